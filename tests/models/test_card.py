"""Front matter of model cards: what is plain is read, whatever else stands there is passed over."""

import os
from pathlib import Path

import pytest

from sfumato.models.card import MAX_BYTES, MAX_VALUES, card_of, read_card
from sfumato.models.folders import find_folder
from sfumato.settings import Settings


def matter(*lines: str) -> str:
    return "\n".join(("---", *lines, "---", "# A model", "license: of the text, not of the model", ""))


def test_the_bundled_models_card_is_read(tmp_path: Path) -> None:
    card = read_card(find_folder("bundled", Settings(data_dir=tmp_path)))
    assert card["license"] == ("apache-2.0",)
    assert card["library_name"] == ("diffusers",)
    assert card["tags"] == ("stable-diffusion", "sfumato")


def test_plain_forms_are_read() -> None:
    card = card_of(
        matter(
            'license: "openrail++"  # the old one',
            "base_model:",
            "- frogs/base",
            "  - 'frogs/other' # why not",
            "# nothing",
            "",
            "tags: [art, \"text, to-image\", 'x', [deep], ] # many",
            "library_name:   diffusers   ",
            "license_link: https://example.org/a#b",
            "colour: a #1 frog's",
            "inference: true",
            "pipeline_tag: über-蛙",
        )
    )
    assert card == {
        "license": ("openrail++",),
        "base_model": ("frogs/base", "frogs/other"),
        "tags": ("art", "text, to-image", "x"),
        "library_name": ("diffusers",),
        "license_link": ("https://example.org/a#b",),
        "colour": ("a",),
        "inference": ("true",),
        "pipeline_tag": ("über-蛙",),
    }


@pytest.mark.parametrize(
    "line",
    [
        "license:",
        "license: ''",
        "license: ~",
        "license: null",
        "license: |",
        "license: >-",
        "license: &mit MIT",
        "license: *mit",
        "license: !!python/object/apply:os.system [ls]",
        "license: {name: mit}",
        "license: a: b",
        'license: "open',
        "license: []",
        "license : mit",
        "- license: mit",
        "  license: mit",
        "license:mit",
    ],
)
def test_what_is_not_plain_is_passed_over_and_what_follows_is_read(line: str) -> None:
    assert card_of(matter(line, "  - { a: b }", "  more", "task: art")) == {"task": ("art",)}


@pytest.mark.parametrize(
    "text", ["", "---", "---\nlicense: mit", "license: mit\n---", " ---\nlicense: mit\n---"]
)
def test_a_card_without_front_matter_says_nothing(text: str) -> None:
    assert card_of(text) == {}


def test_other_systems_line_ends_and_marks_are_read(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"\xef\xbb\xbf---\r\nlicense: mit\r\n---\r\n\xff\xfe")
    assert read_card(tmp_path) == {"license": ("mit",)}


def test_no_more_than_a_part_is_read_and_kept(tmp_path: Path) -> None:
    many = matter("tags:", *(f"- {number}" for number in range(1000)))
    assert len(card_of(many)["tags"]) == MAX_VALUES
    (tmp_path / "README.md").write_text(matter("license: mit", f"x: {'a' * MAX_BYTES}"), encoding="utf-8")
    assert read_card(tmp_path) == {}  # its end was not seen


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    assert read_card(tmp_path) == {}
    (tmp_path / "README.md").mkdir()
    assert read_card(tmp_path) == {}
    (tmp_path / "README.md").rmdir()
    os.mkfifo(tmp_path / "README.md")  # who opens it waits for ever
    assert read_card(tmp_path) == {}

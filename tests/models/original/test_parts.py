"""What is read from an original file."""

from pathlib import Path

import pytest

from sfumato.errors import ModelFileError
from sfumato.models.original.parts import Source, num_bytes, numbered, refused, side, sides
from sfumato.models.safetensors_header import Header, Tensor
from sfumato.models.stored import Rows, Stored

PATH = Path("models") / "w.safetensors"
HEADER = Header({}, {"p.a": Tensor("F16", (2, 3), 100, 112), "p.b": Tensor("F32", (1,), 112, 116)}, 100, 116)
SOURCE = Source(PATH, "p.", {"a": (2, 3), "b": (1,), "empty": (0, 2), "one": ()}, HEADER)


def test_tensors_are_found_behind_their_prefix() -> None:
    assert SOURCE.stored("a") == Stored(PATH, "p.a")
    assert SOURCE.shape("a", 2) == (2, 3)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("c", r"it has no p\.c"),
        ("b", r"its p\.b is 1 "),
        ("empty", r"its p\.empty is 0x2 "),
        ("one", r"its p\.one is a single number "),
    ],
)
def test_other_shapes_are_refused_with_what_they_are(key: str, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        SOURCE.shape(key, 2)


def test_a_tensor_that_is_read_in_parts_counts_once() -> None:
    stored = {
        "q": Stored(PATH, "p.a", Rows(0, 1)),
        "k": Stored(PATH, "p.a", Rows(1, 2)),
        "b": Stored(PATH, "p.b"),
    }
    assert num_bytes(HEADER, stored) == 16


def test_shapes_for_people_and_errors_in_one_line() -> None:
    assert (sides((3, 4)), sides(())) == ("3x4", "a single number")
    line = str(refused(PATH, "it has no UNet"))
    assert line.startswith("model: this is no model that is known: it has no UNet (got ")
    assert "hint" not in line
    assert line.endswith("are drawn with.")


def test_numbers_go_on_until_one_is_missing() -> None:
    names = {"a.0.w": (2,), "a.1.w": (2,), "a.3.w": (2,)}
    assert numbered(names, "a.{}.w", 9) == 2
    assert numbered(names, "a.{}.w", 1) == 1
    assert numbered(frozenset(names), "b.{}.w", 9) == 0


def test_sides_of_what_is_there() -> None:
    assert (side(SOURCE.shapes, "a", 1), side(SOURCE.shapes, "b", 1), side(SOURCE.shapes, "c", 0)) == (
        3,
        None,
        None,
    )

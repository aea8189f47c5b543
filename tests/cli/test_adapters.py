from pathlib import Path
from typing import Any

import pytest

from sfumato.cli.adapters import adapters_in_words, with_adapters
from sfumato.cli.flags import Flags
from sfumato.errors import RecipeError
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.adapters import ResolvedAdapter, ResolvedAdapters, ResolvedEmbedding
from tiny_adapters import kohya_lora, write_adapter


@pytest.fixture
def foo(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "home" / "loras" / "foo.safetensors", kohya_lora(size=0.2))


def drawn(sfumato: Any, *more: str) -> Any:
    ran = sfumato("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "2", *more)
    assert ran.code == 0, ran.err
    return ran


def test_options_take_the_place_of_those_before() -> None:
    before = {"adapters": {"kind": "adapters", "adapters": ({"name": "x"},), "embeddings": ({"name": "w"},)}}
    made = with_adapters(before, Flags(lora=("foo:0.8:0.6", "bar")))
    assert made["adapters"]["embeddings"] == ({"name": "w"},)
    assert made["adapters"]["adapters"] == [
        {"name": "foo", "weight": 0.6, "text_weight": 0.8},
        {"name": "bar", "weight": 1.0},
    ]
    assert with_adapters(before, Flags()) is before
    assert with_adapters(before, Flags(lora=("off",)))["adapters"]["adapters"] == []
    with pytest.raises(RecipeError, match="--lora NAME"):
        with_adapters({}, Flags(lora=("foo:x",)))


def test_paths_may_have_colons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_adapter(tmp_path / "a:0.5.safetensors", kohya_lora())
    for written, name, weight in (
        (str(path), str(path), None),
        ("C:\\loras\\foo.safetensors:0.5", "C:\\loras\\foo.safetensors", 0.5),
    ):
        (one,) = with_adapters({}, Flags(lora=(written,)))["adapters"]["adapters"]
        assert (one["name"], one.get("weight")) == (name, weight)


def test_words_for_people() -> None:
    one = ResolvedAdapter(
        name="foo", digest="a" * 64, hash="a" * 12, weight=0.5, text_weight=1.0, blocks={"MID": 0.25}
    )
    word = ResolvedEmbedding(name="bad", digest="b" * 64, hash="b" * 12)
    assert adapters_in_words(ResolvedAdapters(adapters=(one,), embeddings=(word,))) == {
        "lora": "foo (aaaaaaaaaaaa), weight 0.5, 1 in the text, MID x 0.25",
        "embeddings": "bad (bbbbbbbbbbbb)",
    }


def test_a_picture_carries_its_adapters(foo: Path, sfumato: Any) -> None:
    drawn(sfumato, "--lora", "foo:0.5", "--output", "a.png")
    parameters = read_metadata(Path("a.png")).parameters
    assert parameters.startswith("a frog <lora:foo:0.5>\n")
    assert 'Lora hashes: "foo: ' in parameters
    assert "foo (" in sfumato("show", "a.png").out
    assert sfumato("verify", "a.png").code == 0
    sfumato("redo", "a.png", "--output", "b.png")
    sfumato("redo", "a.png", "--lora", "off", "--output", "c.png")
    drawn(sfumato, "--output", "d.png")
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert Path("c.png").read_bytes() == Path("d.png").read_bytes()


def test_a_renamed_file_is_found_and_a_missing_one_is_named(foo: Path, sfumato: Any, bad: Any) -> None:
    drawn(sfumato, "--lora", "foo", "--output", "a.png")
    renamed = foo.rename(foo.with_name("bar.safetensors"))
    assert sfumato("verify", "a.png").code == 0
    renamed.unlink()
    said = bad("verify", "a.png")
    assert "a.png: lora: the adapter that is asked for is not here (got 'foo')" in said


def test_a_picture_names_no_files(foo: Path, sfumato: Any, bad: Any, tmp_path: Path) -> None:
    other = write_adapter(tmp_path / "elsewhere.safetensors", kohya_lora(seed=4))
    drawn(sfumato, "--lora", str(other), "--output", "a.png")
    assert str(tmp_path) not in str(read_metadata(Path("a.png")))
    assert "is not here (got 'elsewhere')" in bad("verify", "a.png")


def test_what_another_program_wrote_asks_for_the_same_file(foo: Path, sfumato: Any) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    drawn(sfumato, "--lora", "foo:0.5", "--output", "a.png")
    text = read_metadata(Path("a.png")).parameters.split(", Adapters:")[0] + ", Version: v1.10.1"
    info = PngInfo()
    info.add_text("parameters", text)
    with Image.open("a.png") as image:
        image.convert("RGB").save("foreign.png", pnginfo=info)
    ran = sfumato("redo", "foreign.png", "--model", "tiny", "--output", "b.png")
    assert ran.code == 0, ran.err
    assert read_metadata(Path("b.png")).parameters == read_metadata(Path("a.png")).parameters


def test_a_grid_crosses_marks_in_prompts(foo: Path, sfumato: Any) -> None:
    prompts = "a frog,a frog <lora:foo:0.5>"
    ran = sfumato(
        *("grid", "--x", f"prompt={prompts}", "--model", "tiny", "--steps", "1", "--seed", "1"),
        *("--output", "sheet"),
    )
    assert ran.code == 0, ran.err

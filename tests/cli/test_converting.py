"""What `sfumato convert` says; what it does is in `test_convert`."""

from pathlib import Path

import pytest

from sfumato.cli.converting import convert_model
from sfumato.errors import InputError, OutputError, RecipeError


def convert(model: str, output: Path, **options: object) -> None:
    rest: dict[str, object] = {"dtype": None, "vae": None, "only": None, "as_json": False, **options}
    convert_model(model, output, **rest)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float61"}, r'dtype: is not known .*Did you mean "float16"\?'),
        ({"dtype": "x"}, "Choose float32 or float16 or bfloat16"),
        ({"only": "unet"}, "Choose vae"),
        ({"only": "vae", "vae": Path("x")}, "vae: is not possible with --only"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    options: dict[str, object], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        convert("bundled", tmp_path / "out", **options)


def test_the_bundled_model_becomes_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert("bundled", tmp_path / "out", dtype="float32")
    said = capsys.readouterr()
    assert said.out.strip() == str(tmp_path / "out")
    assert said.err.split(" ")[1] == "tensors,"
    assert (tmp_path / "out" / "unet" / "config.json").is_file()
    with pytest.raises(OutputError, match="is there already"):
        convert("bundled", tmp_path / "out")


def test_names_that_are_not_known_are_said(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown model"):
        convert("nowhere", tmp_path / "out")
    with pytest.raises(RecipeError, match="unknown model"):
        convert("nowhere", tmp_path / "out", only="vae")

"""`sfumato compile` as a command: what it prints, stores and refuses, and that pictures stay the same."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.models.backends.openvino.backend import load_openvino
from sfumato.models.backends.openvino.cache import (
    HEAD_BYTES,
    CachePlace,
    GraphCache,
    Maker,
    builder_version,
)
from sfumato.models.backends.openvino.compiling import Usual, compile_graphs
from sfumato.models.files import locate
from tiny_models import tiny_folder

FROG = ("generate", "a frog", "--model", "tiny", "--seed", "7", "--backend", "openvino", "--precision", "f32")


@pytest.fixture
def compiled(tmp_path: Path, here: Path) -> Path:
    """The folder of all compiled graphs."""
    return tmp_path / "home" / "compiled"


@pytest.fixture(scope="module")
def stored_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = locate(tiny_folder())
    place = CachePlace(tmp_path_factory.mktemp("stored"), files.digest(), storing=True)
    for _ in compile_graphs(load_openvino(files, "float32", place), Usual(16, 4, 8, 8)):
        pass
    return place.folder


def graphs(compiled: Path) -> list[Path]:
    return sorted(compiled.glob("*/*/*.graph"))


def draw(sfumato: Any, name: str, *flags: str) -> Any:
    ran = sfumato(*FROG, "--output", name, "--json", *flags)
    assert ran.code == 0, ran.err
    with Image.open(name) as image:
        return np.asarray(image), ran.json["warnings"]


def test_pictures_are_the_same_with_and_without(sfumato: Any, compiled: Path) -> None:
    before, _ = draw(sfumato, "before.png")
    assert len(graphs(compiled)) == 3  # what it needed is kept for the next process
    ran = sfumato("compile", "tiny", "--precision", "f32", "--pictures", "0")
    assert ran.code == 0, ran.err
    files = {path: path.stat().st_mtime_ns for path in graphs(compiled)}
    assert len(files) == 8
    assert ran.out.startswith("openvino cpu float32: 8 graphs, ")
    after, warnings = draw(sfumato, "after.png")
    np.testing.assert_array_equal(after, before)
    assert warnings == []
    for path in files:
        damage_late(path)
    damaged, (warning,) = draw(sfumato, "damaged.png")
    np.testing.assert_array_equal(damaged, before)
    # Only what was needed was looked at.
    assert warning.startswith("A compiled graph is damaged and was not used: ")
    assert warning.endswith(". To store it again, run: sfumato compile MODEL")
    # And was mended on the way.
    again, warnings = draw(sfumato, "again.png")
    np.testing.assert_array_equal(again, before)
    assert warnings == []


def test_a_folder_that_cannot_be_written_to_stops_no_picture(sfumato: Any, compiled: Path) -> None:
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(b"in the way")
    _, (warning,) = draw(sfumato, "frog.png")
    assert "cannot be read (Not a directory)" in warning
    assert compiled.read_bytes() == b"in the way"


def damage_early(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def damage_late(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[HEAD_BYTES + 2000] ^= 1
    path.write_bytes(data)


def test_what_another_version_stored_is_told(sfumato: Any, compiled: Path) -> None:
    place = CachePlace(compiled, locate(tiny_folder()).digest(), storing=True)
    cache = GraphCache(place, "float32", Maker(builder_version(), "2020.1", "a processor", {}))
    with cache.writing("text_encoder", (1, 16)) as file:
        file.write(b"what openvino 2020.1 makes of it")
    _, (warning,) = draw(sfumato, "frog.png")
    assert warning == (
        "What was compiled and stored by another version of openvino is not used: it is done again. To "
        "store it again, run: sfumato compile MODEL"
    )


@pytest.mark.parametrize("damage", [damage_early, damage_late])
def test_compiling_again_mends_what_is_damaged(
    damage: Callable[[Path], None], sfumato: Any, compiled: Path, stored_once: Path
) -> None:
    shutil.copytree(stored_once, compiled)
    for path in graphs(compiled):
        damage(path)
    assert sfumato("compile", "tiny", "--precision", "f32", "--pictures", "0").code == 0
    assert draw(sfumato, "frog.png")[1] == []


def test_the_report_is_printed_stored_and_listed(sfumato: Any, compiled: Path) -> None:
    ran = sfumato("compile", "tiny", "--precision", "bf16", "--pictures", "2", "--json")
    assert ran.code == 0, ran.err
    report = ran.json
    assert (report["graphs"], report["note"]) == (8, None)
    assert report["bytes"] == sum(path.stat().st_size for path in graphs(compiled))
    parity = report["parity"]
    assert json.loads((Path(report["folder"]) / "parity.json").read_text()) == parity
    assert parity["backend"] == report["backend"] == "openvino cpu bfloat16"
    assert parity["reference"] == "openvino cpu float32"
    assert set(parity["errors"]) == {
        *("text encoder", "decoder"),
        *(f"unet, t = {t}" for t in (899, 500, 100)),
    }
    assert all(0 <= error < 0.1 for error in parity["errors"].values())
    assert parity["pictures"] == 2
    (listed,) = [model for model in sfumato("models", "--json").json if model["name"] == "tiny"]
    assert listed["compiled"] == [{**parity, "stale": False}]
    lines = sfumato("models").out.splitlines()
    (line,) = [line for line in lines if line.startswith("tiny ")]
    assert "bf16 identical" in line if parity["median_psnr"] is None else " dB  " in line
    (bundled,) = [line for line in lines if line.startswith("bundled ")]
    assert " -  " in bundled
    assert sfumato("compile", "tiny", "--precision", "f32", "--pictures", "0").code == 0
    assert ", f32 without pictures  " in sfumato("models").out


def test_whole_numbers_are_drawn_with_once_ranges_are_measured(
    sfumato: Any, bad: Any, compiled: Path
) -> None:
    flags = ("--model", "tiny", "--seed", "7", "--backend", "openvino", "--precision", "int8-full")
    line = bad("generate", "a frog", *flags)
    assert line.startswith("error: precision: int8-full needs the ranges of this model's numbers")
    assert line.endswith("Run: sfumato compile MODEL --precision int8-full\n")
    ran = sfumato("compile", "tiny", "--precision", "int8-full", "--pictures", "1", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["graphs"] == len(graphs(compiled)) == 8
    folder = Path(ran.json["folder"])
    assert {path.suffix for path in folder.iterdir()} == {".graph", ".json", ".safetensors"}
    assert ran.json["parity"]["backend"] == "openvino cpu int8-full"
    assert 1e-3 < ran.json["parity"]["errors"]["unet, t = 899"] < 0.5
    drawn = sfumato("generate", "a frog", *flags, "--output", "frog.png", "--json")
    assert drawn.code == 0, drawn.err
    assert (drawn.json["backend"], drawn.json["warnings"]) == ("openvino cpu int8-full", [])
    fast = sfumato("generate", "a frog", *flags, "--cache-interval", "2", "--output", "fast.png", "--json")
    assert fast.code == 0, fast.err
    assert "int8-full " in sfumato("models").out
    path = folder / "ranges.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    assert "int8-full cannot read the ranges in" in bad("generate", "a frog", *flags)
    assert sfumato("compile", "tiny", "--precision", "int8-full", "--pictures", "0").code == 0
    assert sfumato("generate", "a frog", *flags, "--output", "frog.png").code == 0


def test_a_table_for_people(sfumato: Any, compiled: Path) -> None:
    ran = sfumato("compile", "tiny", "--precision", "f32", "--pictures", "1")
    lines = ran.out.splitlines()
    assert lines[2].split() == ["NETWORK", "ERROR", "AGAINST", "FLOAT32"]
    assert [line.split()[-1] for line in lines[3:8]] == ["0.00e+00"] * 5
    assert lines[-1] == "PSNR of 1 picture of 64x64 against float32: identical pictures"
    assert ran.err == ""


def test_auto_is_what_this_processor_does_best(sfumato: Any, compiled: Path) -> None:
    ran = sfumato("compile", "tiny", "--pictures", "0", "--json")
    name = load_openvino(locate(tiny_folder()), "auto").name
    assert ran.json["backend"] == name
    assert Path(ran.json["folder"]).name == name.split()[-1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["tiny", "--precision", "f16"], "does not compute in float16 (got 'float16')"),
        (["tiny", "--precision", "f8"], "precision: unknown name (got 'f8')"),
        (["tiny", "--pictures", "-1"], "pictures: must be between 0 and 1000 (got -1)"),
        (["tiny", "--pictures", "many"], "pictures: must be a whole number (got 'many')"),
        (["tinny"], "model: unknown model (got 'tinny'). Did you mean \"tiny\"?"),
        ([], "See: sfumato compile --help"),
    ],
)
def test_what_cannot_be_compiled_is_one_line(arguments: list[str], line: str, bad: Any) -> None:
    assert line in bad("compile", *arguments)


def test_a_model_that_openvino_cannot_run_is_refused(
    bad: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "models" / "odd"))
    path = folder / "vae" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "act_fn": "relu"}))
    monkeypatch.setenv("SFUMATO_MODELS", str(folder.parent))
    line = bad("compile", "odd")
    assert line == (
        "error: model: cannot be compiled: its vae has act_fn 'relu' (got 'odd'). It is drawn with torch.\n"
    )


def test_a_place_that_cannot_be_written_is_refused_at_once(bad: Any, tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"in the way")
    assert "output: this is no folder" in bad("compile", "tiny")


def test_a_gpu_in_the_settings_is_no_obstacle(
    sfumato: Any, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFUMATO_DEVICE", "cuda")
    assert sfumato("compile", "tiny", "--pictures", "0").code == 0


def test_without_torch_as_well(compiled: Path) -> None:
    code = (
        "import sys; from sfumato.cli.app import run\n"
        "assert run(['compile', 'tiny', '--pictures', '1', '--json']) == 0\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    environ: Mapping[str, str] = dict(os.environ)
    ran = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr

"""`sfumato convert`."""

import json
import os
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.cli.app import run
from sfumato.models.files import locate
from tiny_families import FAMILIES, networks_of, write_family, write_original

TINY = FAMILIES["tiny-sd"]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        made = write_family(Path(folder) / "model", TINY)
        write_original(made, Path(folder) / "model.safetensors", TINY)
        yield Path(folder)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))


def test_a_file_becomes_a_folder_and_a_file(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, back = tmp_path / "out", tmp_path / "back.safetensors"
    assert run(["convert", str(place / "model.safetensors"), str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(folder)
    assert "tensors" in said.err
    assert run(["convert", str(folder), str(back), "--dtype", "float16", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(back)
    assert facts["num_bytes"] == back.stat().st_size
    assert facts["sidecar"] is None
    before, after = load_file(place / "model.safetensors"), load_file(back)
    assert facts["tensors"] == len(after)
    assert all(torch.equal(after[name], before[name]) for name in after)


def test_the_autoencoder_is_taken_out_and_put_back(place: Path, tmp_path: Path) -> None:
    alone, other = tmp_path / "vae.safetensors", tmp_path / "other.safetensors"
    model = str(place / "model.safetensors")
    assert run(["convert", model, str(alone), "--only", "vae"]) == 0
    save_file({name: -tensor for name, tensor in load_file(alone).items()}, other)
    assert run(["convert", model, str(tmp_path / "new"), "--vae", str(other)]) == 0
    mine, theirs = networks_of(tmp_path / "new", "vae"), networks_of(place / "model", "vae")
    assert all(torch.equal(mine[name], -theirs[name]) for name in theirs)
    bare = tmp_path / "bare.safetensors"
    save_file({key: one for key, one in load_file(model).items() if not key.startswith("first_")}, bare)
    assert run(["convert", str(bare), str(tmp_path / "whole"), "--vae", str(alone)]) == 0
    assert run(["convert", str(bare), str(tmp_path / "third"), "--vae", str(place / "model" / "vae")]) == 0
    for name in ("whole", "third"):
        assert locate(tmp_path / name).vae.config["scaling_factor"] == 0.18215
        found = networks_of(tmp_path / name, "vae")
        assert all(torch.equal(found[key], theirs[key]) for key in theirs)


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{place}/pickle.ckpt", "out"], "is a pickle, which can run any program when opened"),
        (["{place}/model.safetensors", "{place}/model"], "is there already"),
        (["{place}/model.safetensors", "out", "--dtype", "float15"], "dtype"),
        (["{place}/model.safetensors", "out", "--only", "unet"], "only: is not known"),
        (["{place}/model.safetensors", "out", "--only", "vae", "--vae", "x"], "not possible with --only"),
        (["{place}/model.safetensors", "out", "--only", "vae", "--lora", "x"], "not possible with --only"),
        (["{place}/model.safetensors", "out", "--lora", "nobody:0.5"], "unknown adapter"),
        (["{place}/model.safetensors", "out", "--lora", "x:much"], "an adapter cannot be read"),
        (["{place}/model.safetensors", "out", "--vae", "{place}/none.safetensors"], "is missing"),
        (["{place}/nothing.safetensors", "out"], "unknown model"),
        (["bundled", "out.safetensors"], "its words are not CLIP's"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(
    arguments: list[str],
    words: str,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (place / "pickle.ckpt").write_bytes(pickle.dumps(Payload()))
    monkeypatch.chdir(tmp_path)
    assert run(["convert", *(one.format(place=place) for one in arguments)]) == 2
    line = capsys.readouterr().err.strip()
    assert words in line
    assert line.startswith("error: ")
    assert "\n" not in line
    assert not list(tmp_path.iterdir())


def test_loras_are_baked_in_and_shown(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "lora_unet_down_blocks_0_attentions_0_proj_in"
    shape = networks_of(place / "model", "unet")["down_blocks.0.attentions.0.proj_in.weight"].shape
    lora = {
        f"{name}.lora_up.weight": torch.ones(shape[0], 1),
        f"{name}.lora_down.weight": torch.ones(1, shape[1]),
    }
    save_file(lora, tmp_path / "ink.safetensors")
    save_file({"lora_unet_else.lora_up.weight": torch.ones(2, 1), **lora}, tmp_path / "more.safetensors")
    model, done = str(place / "model.safetensors"), tmp_path / "out.safetensors"
    monkeypatch.chdir(tmp_path)
    assert (
        run(["convert", model, str(done), "--lora", "ink.safetensors:0.5", "--lora", "more.safetensors"]) == 0
    )
    assert "1 of its 2 modules are not in this model" in capsys.readouterr().err
    before, after = load_file(model), load_file(done)
    changed = {key for key in after if not torch.equal(before[key], after[key])}
    assert changed == {"model.diffusion_model.input_blocks.1.1.proj_in.weight"}
    for key in changed:
        assert torch.equal(after[key], (before[key].float() + 1.5).half())
    assert run(["models", "info", str(done)]) == 0
    said = capsys.readouterr().out
    assert "ink:0.5:0.5 (" in said
    assert "more:1.0:1.0 (" in said
    assert run(["convert", str(done), str(tmp_path / "folder")]) == 0
    assert run(["models", "info", str(tmp_path / "folder"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert [one["lora"] for one in facts["says"]["loras"]] == ["ink:0.5:0.5", "more:1.0:1.0"]

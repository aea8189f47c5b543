"""Whole stages at tiny sizes: each leaves what the next one needs, and each goes on where it stopped."""

import json
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from safetensors import safe_open
from safetensors.torch import load_file

from judged import needs_font
from sfumato.errors import InputError, ModelFileError, OutputError, RecipeError
from sfumato.models.judge import judge_facts
from sfumato.models.load import find_model
from sfumato.models.tiny_decoder import load_tiny_decoder
from sfumato.training.latents import CacheStep, load
from sfumato.training.runs import digest
from sfumato.training.stages import start
from tiny_models import tiny_settings
from training.tiny_runs import DIFFUSION, OPTIMISATION, TEXT, TINY_DECODER, recipe, train_all, write_runs

AUTOENCODER = {
    "stage": "autoencoder",
    "channels": [4, 4, 8, 8],
    "latent_channels": 2,
    "groups": 2,
    "crop": 16,
}
LATENTS = {"stage": "latents", "autoencoder": "autoencoder", "count": 3, "shard": 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("stages"))


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs"))


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "facts.json"  # the mean loss begins anew where a run goes on
    }


def stop_after(wanted: Any, runs: Path, steps: int) -> None:
    with closing(start(wanted, runs=runs, settings=tiny_settings())) as going:
        for _ in range(steps):
            next(going)


def test_diffusion_makes_a_model_that_loads(runs: Path) -> None:
    steps = train_all(recipe("diffusion", DIFFUSION), runs)
    assert [step.step for step in steps] == [1, 2, 3, 4]
    found = find_model(str(runs / "diffusion" / "model"), tiny_settings())
    assert (found.defaults.width, found.defaults.height, found.defaults.sampler) == (32, 32, "ddim")
    weights = load_file(runs / "diffusion" / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    averages = load_file(runs / "diffusion" / "step-000000004" / "state.safetensors")
    for name, value in weights.items():
        assert torch.equal(value, averages[f"ema.unet.{name}"].half())


@pytest.mark.parametrize(
    ("name", "task", "optimizer"),
    [("diffusion", DIFFUSION, "muon"), ("words", TEXT, "adamw"), ("previews", TINY_DECODER, "muon")],
)
def test_a_stopped_stage_equals_an_uninterrupted_one(
    runs: Path, tmp_path: Path, name: str, task: dict[str, Any], optimizer: str
) -> None:
    wanted = recipe(name, task, optimisation={**OPTIMISATION, "optimizer": optimizer})
    train_all(wanted, runs)
    whole = everything(runs / name)
    shutil.move(runs / name, tmp_path / "whole")
    stop_after(wanted, runs, 3)
    train_all(wanted, runs)
    assert everything(runs / name) == whole
    train_all(wanted, runs)  # once more changes nothing
    assert everything(runs / name) == whole


def test_diffusion_can_begin_with_a_finished_model(runs: Path) -> None:
    train_all(recipe("diffusion", DIFFUSION), runs)
    more = recipe("more", {**DIFFUSION, "start": "diffusion"}, optimisation={**OPTIMISATION, "steps": 1})
    train_all(more, runs)
    first, second = (
        load_file(runs / name / "model" / "unet" / "diffusion_pytorch_model.safetensors")
        for name in ("diffusion", "more")
    )
    assert all((second[key] - value).abs().max() < 0.01 for key, value in first.items())


def test_a_tiny_decoder_can_be_put_into_a_model(runs: Path) -> None:
    steps = train_all(recipe("previews", TINY_DECODER), runs)
    assert steps[-1].figures.keys() == {"psnr", "edges"}
    made = runs / "previews" / "tiny_decoder"
    with safe_open(made / "diffusion_pytorch_model.safetensors", "pt") as file:
        facts = json.loads(file.metadata()["tiny_decoder"])
    assert facts["held_out"] == 4
    assert facts["recipe"] == digest(recipe("previews", TINY_DECODER))
    assert 0 < facts["psnr"] < 50
    train_all(recipe("diffusion", DIFFUSION), runs)
    model = runs / "diffusion" / "model"
    shutil.copytree(made, model / "tiny_decoder")
    found = find_model(str(model), tiny_settings())
    assert found.files.tiny_decoder is not None
    decoder = load_tiny_decoder(found.files.tiny_decoder, torch.device("cpu"), torch.float32)
    latents = load([runs / "latents"]).latents[-4:].float()
    vae = AutoencoderKL.from_pretrained(runs / "autoencoder" / "vae")
    with torch.no_grad():
        error = (decoder(latents).clamp(-1, 1) - vae.decode(latents).sample.clamp(-1, 1)).square().mean()
    assert float(10 * torch.log10(4 / error)) == pytest.approx(facts["psnr"], abs=0.02)


def test_a_tiny_decoder_follows_its_autoencoder(runs: Path) -> None:
    wanted = recipe("previews", TINY_DECODER)
    stop_after(wanted, runs, 2)
    weights = runs / "autoencoder" / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(RecipeError, match="name: holds a run of another recipe"):
        train_all(wanted, runs)


def test_samples_come_with_checkpoints(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A judge would have 64 more pictures drawn; its score is tested with the samples.
    monkeypatch.setattr("sfumato.training.stages.bundled_judge", lambda: runs / "no judge")
    reporting = {"every": 1, "checkpoint": 2, "sample": 4}
    steps = train_all(recipe("diffusion", DIFFUSION, reporting=reporting), runs)
    assert [path.name for path in (runs / "diffusion" / "samples").iterdir()] == ["step-000000004.png"]
    assert [step.step for step in steps] == [1, 2, 3, 4]


def test_how_often_a_run_reports_does_not_change_it(runs: Path) -> None:
    calm = recipe("words", TEXT, reporting={"every": 3, "checkpoint": 4})
    train_all(calm, runs)
    train_all(recipe("other", TEXT), runs)
    assert everything(runs / "words" / "text_encoder") == everything(runs / "other" / "text_encoder")


def test_a_changed_recipe_under_the_same_name_is_refused(runs: Path) -> None:
    before = everything(runs / "text")
    with pytest.raises(RecipeError, match="name: holds a run of another recipe"):
        train_all(recipe("text", {**TEXT, "layers": 2}), runs)
    assert everything(runs / "text") == before


@pytest.mark.parametrize(
    ("missing", "hint"),
    [("autoencoder", "autoencoder"), ("text", "text"), ("latents", "latents")],
)
def test_a_missing_stage_is_named(runs: Path, missing: str, hint: str) -> None:
    shutil.rmtree(runs / missing)
    with pytest.raises(InputError, match=f"Run the recipe that makes {hint} first"):
        train_all(recipe("diffusion", DIFFUSION), runs)
    assert not (runs / "diffusion").exists()


def test_a_run_is_refused_when_what_it_builds_on_has_changed(runs: Path) -> None:
    wanted = recipe("diffusion", DIFFUSION)
    stop_after(wanted, runs, 2)
    facts = {"recipe": "random latents", "count": 11}
    (runs / "latents" / "cache.json").write_text(json.dumps(facts))
    with pytest.raises(RecipeError, match="name: holds a run of another recipe"):
        train_all(wanted, runs)
    (runs / "latents" / "cache.json").write_text(json.dumps({**facts, "count": 12}))
    weights = runs / "text" / "text_encoder" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(RecipeError, match="name: holds a run of another recipe"):
        train_all(wanted, runs)
    weights.write_bytes(whole)
    assert [step.step for step in train_all(wanted, runs)] == [3, 4]


def test_half_a_cache_is_not_trained_on(runs: Path) -> None:
    (runs / "latents" / "cache.json").write_text(json.dumps({"recipe": "random latents"}))
    with pytest.raises(ModelFileError, match="latent cache is not complete"):
        train_all(recipe("diffusion", DIFFUSION), runs)
    assert not (runs / "diffusion").exists()


@pytest.mark.parametrize("network", ["autoencoder/vae/diffusion_pytorch_model", "text/text_encoder/model"])
def test_a_damaged_earlier_network_is_reported(runs: Path, network: str) -> None:
    (runs / f"{network}.safetensors").write_bytes(b"half")
    with pytest.raises(ModelFileError, match="the network cannot be read") as caught:
        train_all(recipe("diffusion", DIFFUSION), runs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["a file", "a file/deeper", "x" * 300])
@pytest.mark.parametrize(("name", "task"), [("text", TEXT), ("judge", {"stage": "judge", "width": 8})])
def test_an_impossible_runs_folder_is_one_line(
    tmp_path: Path, place: str, name: str, task: dict[str, Any]
) -> None:
    (tmp_path / "a file").write_text("")
    with pytest.raises(OutputError, match="runs: the run's files cannot be written") as caught:
        train_all(recipe(name, task), tmp_path / place)
    assert caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_runs_folder_is_refused_before_the_first_step(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="the run's files cannot be written"):
        train_all(recipe("text", TEXT), tmp_path / "runs")


def test_a_file_in_the_way_of_a_result_is_one_line(runs: Path) -> None:
    shutil.rmtree(runs / "text")
    (runs / "text").mkdir()
    (runs / "text" / ".tokenizer.draft").write_text("")
    with pytest.raises(OutputError, match="the run's files cannot be written"):
        train_all(recipe("text", TEXT), runs)


def test_nothing_happens_before_the_first_step(tmp_path: Path) -> None:
    start(recipe("text", TEXT), runs=tmp_path / "runs", settings=tiny_settings()).close()
    assert list(tmp_path.iterdir()) == []


@needs_font
def test_autoencoder_and_latents_from_scenes(runs: Path) -> None:
    shutil.rmtree(runs / "autoencoder")
    shutil.rmtree(runs / "latents")
    steps = train_all(recipe("autoencoder", AUTOENCODER), runs)
    assert steps[-1].figures.keys() == {"psnr", "edges"}
    vae = AutoencoderKL.from_pretrained(runs / "autoencoder" / "vae")
    assert vae.config["scaling_factor"] == 1.0
    cached = list(start(recipe("latents", LATENTS), runs=runs, settings=tiny_settings()))
    assert cached == [CacheStep(2, 3), CacheStep(3, 3)]
    latents = load([runs / "latents"]).latents.float()
    assert latents.shape == (3, 2, 4, 4)
    assert float(latents.abs().mean()) < 5
    train_all(recipe("diffusion", DIFFUSION), runs)
    assert (runs / "diffusion" / "model" / "model_index.json").exists()


@needs_font
def test_a_cache_of_another_autoencoder_is_refused(runs: Path) -> None:
    shutil.rmtree(runs / "latents")
    wanted = recipe("latents", LATENTS)
    list(start(wanted, runs=runs, settings=tiny_settings()))
    more = recipe("latents", {**LATENTS, "count": 4})
    assert list(start(more, runs=runs, settings=tiny_settings()))[-1] == CacheStep(4, 4)
    weights = runs / "autoencoder" / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(RecipeError, match="holds the latents of another recipe"):
        list(start(more, runs=runs, settings=tiny_settings()))


@needs_font
def test_a_judge_knows_its_own_accuracy(tmp_path: Path) -> None:
    wanted = recipe("judge", {"stage": "judge", "width": 8}, data={"size": 16})
    train_all(wanted, tmp_path)
    facts = judge_facts(tmp_path / "judge" / "judge.safetensors")
    assert facts["recipe"] == digest(wanted)
    assert json.loads(json.dumps(facts["accuracy"])).keys() == {"objects", "background", "time", "style"}


def test_a_finished_run_without_checkpoints_says_so(runs: Path) -> None:
    shutil.rmtree(runs / "text" / "step-000000004")
    (runs / "text" / "step-000000002" / "facts.json").unlink()
    with pytest.raises(ModelFileError, match="Remove this folder"):
        train_all(recipe("text", TEXT), runs)

"""What a run of a training recipe is known by, and what it finds of earlier ones."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from sfumato.errors import InputError, ModelFileError, RecipeError
from sfumato.recipe.train import TrainRecipe
from sfumato.training.runs import Run, digest, earlier_results, load_averages, load_vae, sha256_of
from tiny_models import tiny_settings
from training.tiny_runs import DIFFUSION, TEXT, TINY_DECODER, recipe, shared_runs


@pytest.fixture
def runs(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(shared_runs(tmp_path_factory.getbasetemp()), tmp_path / "runs"))


def run_of(wanted: TrainRecipe, runs: Path) -> Run:
    return Run(wanted, runs, tiny_settings())


def test_names_and_reports_do_not_make_another_run() -> None:
    calm = recipe("words", TEXT, reporting={"every": 3, "checkpoint": 4})
    assert digest(calm) == digest(recipe("other", TEXT))
    assert digest(calm) != digest(recipe("words", {**TEXT, "layers": 2}))
    assert digest(calm) != digest(recipe("words", TEXT, seed=3))
    assert digest(calm) != digest(calm, {})
    assert digest(calm, {"files": {"a": "1"}}) != digest(calm, {"files": {"a": "2"}})


def test_the_order_of_keys_does_not_count() -> None:
    assert sha256_of({"a": 1, "b": {"c": 2, "d": 3}}) == sha256_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert sha256_of({"a": 1}) != sha256_of({"a": 1.5})


def test_a_run_builds_on_the_weights_and_caches_it_names(runs: Path) -> None:
    assert earlier_results(recipe("words", TEXT), runs) is None
    assert earlier_results(recipe("judge", {"stage": "judge", "width": 8}), runs) is None
    vae = "autoencoder/vae/diffusion_pytorch_model.safetensors"
    words = ["text/text_encoder/model.safetensors", "text/tokenizer/merges.txt", "text/tokenizer/vocab.json"]
    diffusion, previews = recipe("diffusion", DIFFUSION), recipe("previews", TINY_DECODER)
    found, fewer = earlier_results(diffusion, runs), earlier_results(previews, runs)
    assert found is not None
    assert fewer is not None
    assert sorted(found["files"]) == [vae, *words]
    assert sorted(fewer["files"]) == [vae]
    assert found["latents"] == fewer["latents"] == [{"recipe": "random latents", "count": 12}]
    weights = runs / vae
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    changed = earlier_results(diffusion, runs)
    assert changed is not None
    assert [name for name, value in changed["files"].items() if value != found["files"][name]] == [vae]


def test_what_an_earlier_stage_should_have_made_is_named(runs: Path) -> None:
    run = run_of(recipe("diffusion", DIFFUSION), runs)
    assert run.result("text", "tokenizer") == runs / "text" / "tokenizer"
    with pytest.raises(InputError, match="Run the recipe that makes judge first"):
        run.result("judge", "judge.safetensors")


def test_a_stage_that_learns_needs_a_plan(runs: Path) -> None:
    assert run_of(recipe("words", TEXT), runs).plan.steps == 4
    without = recipe("latents", {"stage": "latents", "autoencoder": "autoencoder", "count": 3, "shard": 2})
    with pytest.raises(RecipeError, match="the stage latents needs a section"):
        _ = run_of(without, runs).plan


def test_a_run_without_a_checkpoint_has_no_averages(runs: Path) -> None:
    with pytest.raises(ModelFileError, match="the run has no checkpoint"):
        load_averages(run_of(recipe("empty", TEXT), runs), {"net": nn.Linear(1, 1)})


def test_a_damaged_autoencoder_is_one_line(runs: Path) -> None:
    vae = load_vae(runs / "autoencoder" / "vae")
    assert not vae.training
    assert vae.dtype == torch.float32
    (runs / "autoencoder" / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"half")
    with pytest.raises(ModelFileError, match="the network cannot be read") as caught:
        load_vae(runs / "autoencoder" / "vae")
    assert "\n" not in str(caught.value)

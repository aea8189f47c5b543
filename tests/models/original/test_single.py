"""Single files of the original layout: every family, against its diffusers folder."""

import functools
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.errors import ModelFileError
from sfumato.models.backends import torch_weights
from sfumato.models.backends.openvino.weights import weights_of
from sfumato.models.files import locate
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.schedule import Schedule
from tiny_families import FAMILIES, networks_of, write_family, write_original
from tiny_models import tiny_settings

EPSILON = {"modelspec.prediction_type": "epsilon"}
NOTES = dict.fromkeys(("sd2-base", "bk-sdm-v2-base", "bk-sdm-v2-small"), EPSILON)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        written.cache_clear()


@functools.cache
def written(place: Path, name: str) -> tuple[Path, Path]:
    """Return the folder and the single file of a family."""
    tiny = FAMILIES[name]
    folder = write_family(place / name, tiny)
    return folder, write_original(folder, place / f"{name}.safetensors", tiny, NOTES.get(name))


def read_all(network: Any) -> dict[str, torch.Tensor]:
    """Return every tensor of a network as the torch backend reads it."""
    return torch_weights.read_tensors(network, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_tensor_and_number_is_that_of_the_folder(name: str, place: Path) -> None:
    folder, path = written(place, name)
    here, there = locate(path), locate(folder)
    assert here.single is not None
    assert len(here.networks) == len(there.networks)
    for ours, theirs in zip(here.networks, there.networks, strict=True):
        assert ours.class_name == theirs.class_name
        found, expected = read_all(ours), read_all(theirs)
        assert found.keys() == {key.removeprefix("text_model.") for key in expected}
        for key, tensor in expected.items():
            assert torch.equal(found[key.removeprefix("text_model.")], tensor), (ours.name, key)
        compiled = weights_of(ours)
        for key in ("encoder.conv_out.weight", "encoder.layers.1.self_attn.k_proj.bias", "mid_block.none"):
            if key in found:
                np.testing.assert_array_equal(compiled.array(key), found[key].numpy())
    for at, kind in enumerate((UNet2DConditionModel, AutoencoderKL)):
        assert config_of(here.networks[at].config, kind) == config_of(there.networks[at].config, kind)
    texts = (here.text_encoder, there.text_encoder), (here.text_encoder_2, there.text_encoder_2)
    for one, other in texts:
        if one is not None and other is not None:
            same = one.config.keys() & other.config.keys() - {"architectures", "projection_dim"}
            assert len(same) > 10
            assert {key: one.config[key] for key in same} == {key: other.config[key] for key in same}
            assert one.config["hidden_act"] == other.config["hidden_act"]
    ours, theirs = (Schedule.from_diffusers_config(files.scheduler) for files in (here, there))
    np.testing.assert_array_equal(ours.alphas_cumprod, theirs.alphas_cumprod)
    assert (ours.prediction, ours.steps_offset) == (theirs.prediction, theirs.steps_offset)
    assert here.tokenizer["pad_token"] == there.tokenizer["pad_token"]
    assert (here.low_res is None) == (there.low_res is None)


UNSEEN = {"upcast_attention", "addition_embed_type_num_heads", "_class_name", "force_upcast"}


def config_of(config: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Return a configuration with diffusers' defaults, one way of saying each thing."""
    with torch.device("meta"):
        whole = dict(kind.from_config(dict(config)).config)
    whole = {key: value for key, value in whole.items() if key[0] != "_" and key not in UNSEEN}
    levels = len(whole["block_out_channels"])
    for key in ("attention_head_dim", "transformer_layers_per_block", "only_cross_attention"):
        if key in whole and not isinstance(whole[key], list | tuple):
            whole[key] = [whole[key]] * levels
    if (down := whole.pop("transformer_layers_per_block", None)) is not None:
        up = whole.pop("reverse_transformer_layers_per_block") or down[::-1]
        layers = whole["layers_per_block"]
        whole["depths"] = (
            _each(down, layers, whole["down_block_types"]),
            _each(up, layers + 1, whole["up_block_types"]),
        )
        attending = down[-1] if isinstance(down[-1], int) else down[-1][-1]
        whole["middle"] = attending if whole["mid_block_type"] == "UNetMidBlock2DCrossAttn" else 0
    return json.loads(json.dumps(whole))


def _each(depths: list[Any], blocks: int, kinds: list[str]) -> list[list[int]]:
    """Return the transformer layers behind each block of each level that attends."""
    rows = zip(depths, kinds, strict=True)
    return [[one] * blocks if isinstance(one, int) else one for one, kind in rows if "Cross" in kind]


ORACLES = ("sd15", "tiny-sd", "sd2-768-v", "x4-upscaler", "sdxl", "sdxl-refiner")


@pytest.mark.parametrize("name", ORACLES)
def test_diffusers_reads_the_same_from_it(name: str, place: Path) -> None:
    """The file is what diffusers takes for one of the original layout: the writer proves something."""
    folder, path = written(place, name)
    state = load_file(path)
    config = UNet2DConditionModel.load_config(folder / "unet")
    check_equal(convert_ldm_unet_checkpoint(dict(state), config), networks_of(folder, "unet"))
    config = AutoencoderKL.load_config(folder / "vae")
    check_equal(convert_ldm_vae_checkpoint(dict(state), config), networks_of(folder, "vae"))
    if name.startswith("sd2"):
        with torch.device("meta"):
            kind = CLIPTextModel(CLIPTextModel.config_class.from_pretrained(folder / "text_encoder"))
        found = convert_open_clip_checkpoint(kind, dict(state), prefix="cond_stage_model.model.")
        assert found is not None
        expected = networks_of(folder, "text_encoder")
        named = {key.removeprefix("text_model."): tensor for key, tensor in found.items()}
        check_equal({key: named[key] for key in expected}, expected)


def check_equal(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(found[key].reshape(tensor.shape), tensor), key


DRAWN = (("sd15", "torch"), ("sd2-768-v", "torch"), ("sdxl", "torch"), ("tiny-sd", "openvino"))


@pytest.mark.parametrize(("name", "backend"), DRAWN)
def test_pictures_are_those_of_the_folder(name: str, backend: Any, place: Path) -> None:
    settings = replace(tiny_settings(), backend=backend)
    recipe = Recipe(seed=3, parts=(TextPart(prompt="a (frog:1.2) on a beach"),), width=64, height=64, steps=2)
    drawn = []
    for path in written(place, name):
        bundle = load_bundle(str(path), settings)
        events = draw(resolve(recipe, bundle.defaults), bundle)
        drawn.append(next(event.pixels for event in events if isinstance(event, Picture)))
    assert drawn[0].std() > 5
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_names_come_from_the_file_and_digests_are_those_that_others_have(place: Path) -> None:
    import hashlib

    _, path = written(place, "tiny-sd")
    assert load_bundle(str(path), tiny_settings()).name == "tiny-sd"
    assert locate(path).digest() == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("marks", "notes", "prediction", "zero"),
    [
        (("v_pred", "ztsnr"), {}, "v_prediction", True),
        (("v_pred",), EPSILON, "v_prediction", False),
        ((), {"modelspec.prediction_type": "v"}, "v_prediction", False),
        ((), {}, "epsilon", False),
    ],
)
def test_marks_and_metadata_say_what_is_predicted(
    marks: tuple[str, ...], notes: dict[str, str], prediction: str, zero: bool, place: Path, tmp_path: Path
) -> None:
    folder, _ = written(place, "tiny-sd")
    extra = {mark: torch.zeros(0) for mark in marks}
    files = locate(write_original(folder, tmp_path / "a.safetensors", FAMILIES["tiny-sd"], notes, extra))
    assert files.scheduler["prediction_type"] == prediction
    assert files.scheduler.get("rescale_betas_zero_snr", False) is zero


def test_stable_diffusion_2_predicts_velocity_unless_it_says_otherwise(place: Path, tmp_path: Path) -> None:
    folder, path = written(place, "bk-sdm-v2-tiny")
    tiny = FAMILIES["bk-sdm-v2-tiny"]
    unsaid = locate(path)
    assert unsaid.scheduler["prediction_type"] == "v_prediction"
    assert unsaid.unet.config["sample_size"] == 96
    assert unsaid.unet.config["upcast_attention"] is True
    steps = {"global_step": torch.tensor(875_000), "model_ema.decay": torch.tensor(0.9)}
    counted = locate(write_original(folder, tmp_path / "a.safetensors", tiny, {}, steps))
    assert counted.scheduler["prediction_type"] == "epsilon"
    assert counted.unet.config["sample_size"] == 64
    sized = {"modelspec.resolution": "768x768", **EPSILON}
    said = locate(write_original(folder, tmp_path / "b.safetensors", tiny, sized))
    assert (said.scheduler["prediction_type"], said.unet.config["sample_size"]) == ("epsilon", 96)


def test_a_person_beside_the_file_has_the_last_word(place: Path, tmp_path: Path) -> None:
    folder, _ = written(place, "tiny-sd")
    own = write_original(folder, tmp_path / "mine.safetensors", FAMILIES["tiny-sd"], EPSILON)
    plain = locate(own).digest()
    beside = own.with_name("mine.sfumato.json")
    beside.write_text(json.dumps({"steps": 3, "width": 128, "height": 128}))
    assert locate(own).digest() == plain
    said = {
        "steps": 3,
        "prediction_type": "v_prediction",
        "zero_terminal_snr": True,
        "vae": {"scaling_factor": 0.5},
    }
    beside.write_text(json.dumps(said))
    files = locate(own)
    assert files.scheduler["prediction_type"] == "v_prediction"
    assert files.scheduler["rescale_betas_zero_snr"] is True
    assert files.vae.config["scaling_factor"] == 0.5
    assert files.digest() != plain
    assert load_bundle(str(own), tiny_settings()).defaults.steps == 3
    beside.write_text(json.dumps({"steps": "many"}))
    with pytest.raises(ModelFileError, match=r"mine\.sfumato\.json holds the wrong kind of value for steps"):
        load_bundle(str(own), tiny_settings())


LEFT = {
    "model_ema.diffusion_modelinput_blocks00weight": torch.zeros(2),
    "betas": torch.zeros(4),
    "sqrt_recipm1_alphas_cumprod": torch.zeros(4),
    "sqrt_one_minus_alphas_cumprod": torch.zeros(4),
    "posterior_mean_coef1": torch.zeros(4),
    "first_stage_model.loss.discriminator.main.0.weight": torch.zeros(2),
    "cond_stage_model.transformer.vision_model.post_layernorm.bias": torch.zeros(2),
    "cond_stage_model.logit_scale": torch.zeros(()),
    "optimizer_states.0": torch.zeros(2),
}


def test_what_training_left_behind_is_no_obstacle(place: Path, tmp_path: Path) -> None:
    folder, path = written(place, "tiny-sd")
    extra = locate(write_original(folder, tmp_path / "a.safetensors", FAMILIES["tiny-sd"], {}, LEFT))
    for one, other in zip(extra.networks, locate(path).networks, strict=True):
        assert one.stored is not None
        assert other.stored is not None
        assert one.stored.keys() == other.stored.keys()


def test_strangers_in_it_are_refused_with_counts(place: Path, tmp_path: Path) -> None:
    folder, _ = written(place, "tiny-sd")
    extra = {
        "model.diffusion_model.input_blocks.1.2.transformer.weight": torch.zeros(2),
        "something": torch.zeros(1),
    }
    path = write_original(folder, tmp_path / "a.safetensors", FAMILIES["tiny-sd"], {}, extra)
    seen = r"it has 2 tensors of no known network, beside \d{3} that are known, the first model\.diffusion"
    with pytest.raises(ModelFileError, match=seen) as caught:
        locate(path)
    assert "\n" not in str(caught.value)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "a narrow text": (
        {
            "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": torch.zeros(
                49408, 128
            )
        },
        "attends to 64 numbers, and its text encoders give 128",
    ),
    "no text": ({"cond_stage_model.": None}, "it has a UNet and an autoencoder, and no text encoder"),
    "no VAE": ({"first_stage_model.": None}, "no autoencoder.*convert MODEL OUT --vae FILE"),
    "five channels": (
        {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(32, 5, 3, 3)},
        "its UNet has 5 channels of input",
    ),
    "another way of training": (
        {"edm_mean": torch.zeros(4)},
        "trained in another way.*edm_mean does not explain",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_belong_together_is_refused(name: str, place: Path, tmp_path: Path) -> None:
    _, path = written(place, "tiny-sd")
    changes, words = CHANGES[name]
    gone = tuple(key for key, value in changes.items() if value is None)
    state = {key: value for key, value in load_file(path).items() if not (gone and key.startswith(gone))}
    state |= {key: value for key, value in changes.items() if value is not None}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match=words) as caught:
        locate(tmp_path / "a.safetensors")
    assert "\n" not in str(caught.value)


def test_a_missing_tensor_is_named(place: Path, tmp_path: Path) -> None:
    _, path = written(place, "tiny-sd")
    state = load_file(path)
    del state["model.diffusion_model.time_embed.2.bias"]
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match=r"lacks time_embedding\.linear_2\.bias \(1 tensors missing"):
        load_bundle(str(tmp_path / "a.safetensors"), tiny_settings())


def test_pickles_are_refused_unopened(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"\x80\x02whatever")
    with pytest.raises(ModelFileError, match=r"model\.ckpt is a pickle.*Only safetensors"):
        locate(tmp_path / "model.ckpt")

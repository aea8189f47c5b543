"""What model files are, told from headers of full size whose bodies are holes: nothing else can be read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from sfumato.errors import ModelFileError
from sfumato.models.facts import read_facts
from sparse_models import LORA, SD1_TEXT, diffusers_shapes, original_shapes, structure, write_sparse
from tiny_models import tiny_folder

BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.mark.parametrize(
    ("shapes", "metadata", "kind", "family"),
    [
        (LORA, {}, "LoRA", "sd1"),
        ({f"unet.{BLOCK}.lora_A.weight": (4, 2048)}, {}, "LoRA", "sdxl"),
        ({f"unet.{BLOCK}.lora_A.weight": (4, 1024)}, {}, "LoRA", "sd2"),
        ({"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (4, 9)}, {}, "LoRA", "sdxl"),
        (
            {"lora_unet_conv_in.lora_down.weight": (4, 4)},
            {"ss_base_model_version": "sdxl_base_v1-0"},
            "LoRA",
            "sdxl",
        ),
        ({"lora_unet_conv_in.lokr_w1": (4, 4)}, {}, "LoRA", None),
        ({"emb_params": (4, 768)}, {}, "embedding", "sd1"),
        ({"clip_l": (4, 768), "clip_g": (4, 1280)}, {}, "embedding", "sdxl"),
        ({"<frog>": (768,)}, {}, "embedding", "sd1"),
        (
            {
                "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
                f"{BLOCK}.weight": (640, 1024),
            },
            {},
            "ControlNet",
            "sd2",
        ),
        ({"first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3)}, {}, "VAE", None),
        ({"conv_first.weight": (64, 3, 3, 3)}, {}, "upscaler", None),
        ({"body.0.block1.weight": (320, 320, 3, 3)}, {}, "T2I-Adapter", None),
        (
            {"body.0.block1.weight": (320, 320, 3, 3), "conv_in.weight": (320, 768, 3, 3)},
            {},
            "T2I-Adapter",
            "sdxl",
        ),
        ({"text_model.encoder.layers.0.mlp.fc1.weight": (3072, 768)}, {}, "text encoder", None),
        (
            {"model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": (9, 3)},
            {},
            "Stable Diffusion 3",
            None,
        ),
        ({"frog": (3, 4), "toad": (5,)}, {}, "unknown", None),
    ],
)
def test_kinds_are_told_from_names_and_shapes(
    shapes: Any, metadata: Any, kind: str, family: str | None, tmp_path: Path
) -> None:
    facts = read_facts(write_sparse(tmp_path / "sdxl_base_lora_vae.safetensors", shapes, metadata))
    assert (facts.kind, facts.family) == (kind, family)


def test_a_whole_file_of_full_size_is_a_checkpoint(tmp_path: Path) -> None:
    shapes = {**original_shapes(structure("sd1", more=5)), **SD1_TEXT}
    facts = read_facts(write_sparse(tmp_path / "sdxl.safetensors", shapes, dtype="F32"))
    assert (facts.kind, facts.family) == ("checkpoint", "sd1-inpaint")
    assert facts.num_bytes > 3_400_000_000
    assert facts.tensors == len(shapes)
    assert facts.numbers == {"F32": facts.parameters}


def test_a_unet_alone_is_one_in_both_layouts(tmp_path: Path) -> None:
    unet = structure("vega")
    for layout, shapes in (("original", original_shapes(unet)), ("diffusers", diffusers_shapes(unet))):
        facts = read_facts(write_sparse(tmp_path / f"{layout}.safetensors", shapes))
        assert (facts.kind, facts.family, facts.layout) == ("UNet", "vega", layout)
        assert facts.parameters == 745_225_604


@pytest.mark.parametrize(
    ("metadata", "mark", "family"),
    [
        ({}, None, "sd2"),
        ({"modelspec.prediction_type": "v"}, None, "sd2-v"),
        ({"modelspec.architecture": "stable-diffusion-v2-512"}, None, "sd2-base"),
        ({}, "v_pred", "sd2-v"),
    ],
)
def test_what_shapes_cannot_show_the_file_may_say(
    metadata: dict[str, str], mark: str | None, family: str, tmp_path: Path
) -> None:
    marks = {} if mark is None else {mark: (0,)}
    shapes = {**original_shapes(structure("sd2")), **marks}
    facts = read_facts(write_sparse(tmp_path / "a.safetensors", shapes, metadata))
    assert facts.family == family


def test_strangers_say_what_was_seen(tmp_path: Path) -> None:
    shapes = original_shapes(structure("sd1"))
    del shapes["model.diffusion_model.output_blocks.11.0.out_layers.3.weight"]
    facts = read_facts(write_sparse(tmp_path / "a.safetensors", shapes))
    assert facts.family is None
    assert facts.seen == "this is no UNet that is known: it has no output_blocks.11.0.out_layers.3.weight"
    facts = read_facts(write_sparse(tmp_path / "b.safetensors", {"frog": (3,), "toad": (4,)}))
    assert facts.seen == "the first tensors are frog, toad"


def test_a_diffusers_folder_is_summed_up() -> None:
    facts = read_facts(tiny_folder())
    assert facts.kind == "diffusers folder"
    assert facts.prediction == "v_prediction"
    assert facts.family is None
    assert facts.seen is not None
    assert facts.parameters == sum(facts.numbers.values()) > 100_000


def test_a_network_folder_is_what_its_configuration_says() -> None:
    assert read_facts(tiny_folder() / "vae").kind == "VAE"
    assert read_facts(tiny_folder() / "unet").kind == "UNet"


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"is a folder without model_index.json"):
        read_facts(tmp_path)
    (tmp_path / "a.ckpt").write_bytes(b"\x80\x04}.")
    with pytest.raises(ModelFileError, match="is a pickle"):
        read_facts(tmp_path / "a.ckpt")


def test_an_upscaler_says_how_much_larger(tmp_path: Path) -> None:
    from tiny_esrgan import tensors_of, tiny_esrgan

    tensors = {key: value.numpy() for key, value in tensors_of(tiny_esrgan(), "real").items()}
    save_file(
        {key: np.ascontiguousarray(value) for key, value in tensors.items()}, tmp_path / "a.safetensors"
    )
    facts = read_facts(tmp_path / "a.safetensors")
    assert facts.kind == "upscaler"
    assert facts.seen is not None
    assert facts.seen.startswith("4 times as large, 6 channels")


@pytest.mark.parametrize("name", ["sd1", "sdxl", "x4-upscaler"])
def test_networks_that_make_no_sense_are_told_all_the_same(name: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    strange = [(), (0,), (1,), (3, 0), (2**20, 2), (1, 1, 1, 1), (7, 7, 7, 7, 7)]
    for number in range(30):
        unet = structure(name)
        shapes = dict((original_shapes if number % 2 else diffusers_shapes)(unet))
        for key in random.choice(sorted(shapes), random.integers(1, 300)):
            shapes[str(key)] = strange[random.integers(len(strange))]
        for key in random.choice(sorted(shapes), random.integers(1, 20)):
            shapes.pop(str(key), None)
        facts = read_facts(write_sparse(tmp_path / "a.safetensors", shapes))
        assert facts.kind in ("UNet", "unknown", "diffusion transformer")

"""Every layout and kind, against diffusers and peft where they read it."""

import contextlib
import copy
import json
import warnings

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from hypothesis import given
from hypothesis import strategies as st
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model_state_dict, inject_adapter_in_model

from recipe.strategies import quick
from sfumato.errors import ModelFileError
from sfumato.models.adapters.blocks import original_modules
from sfumato.models.adapters.layouts import match, read_rows
from sfumato.models.adapters.reading import open_adapter
from sfumato.models.names import current_name
from tiny_adapters import (
    ATTENTION,
    CONVOLUTIONS,
    TEXT,
    kohya,
    kohya_lora,
    low_rank,
    modules,
    tiny_target,
    write_adapter,
)
from tiny_models import tiny_folder

WANTED = [*ATTENTION, "conv1", "proj_in", "ff.net.0.proj"]
TRAINED = ("lora_A", "lora_B", "hada_", "lokr_")


@pytest.fixture(scope="module")
def target():
    return tiny_target()


@pytest.fixture(scope="module")
def pipeline():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return StableDiffusionPipeline.from_pretrained(tiny_folder(), safety_checker=None)


def weights_of(network) -> dict[str, np.ndarray]:
    """Return the weights of a network of diffusers or transformers, with adapters merged or not."""
    return {
        current_name(key.replace(".base_layer", "")): tensor.detach().numpy()
        for key, tensor in network.state_dict().items()
        if not any(part in key for part in (*TRAINED, "lora_magnitude"))
    }


def changed(rows, before: dict[str, np.ndarray], strength: float = 1.0) -> dict[str, np.ndarray]:
    after = dict(before)
    for row in rows:
        after[row.key] = row.applied(before[row.key], strength)
    return after


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], before) -> None:
    assert ours.keys() == theirs.keys()
    worst = max(np.abs(ours[key] - theirs[key]).max() for key in ours)
    most = max(np.abs(theirs[key] - before[key]).max() for key in ours)
    assert worst < 1e-5 < 0.1 < most


def as_diffusers(pipeline, path, scale: float = 1.0):
    """Return the weights of UNet and text encoder with the adapter in `path`, as diffusers merges it."""
    pipe = copy.deepcopy(pipeline)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.load_lora_weights(str(path.parent), weight_name=path.name)
        pipe.fuse_lora(lora_scale=scale)
    return {"unet": weights_of(pipe.unet), "text_encoder": weights_of(pipe.text_encoder)}


def as_kohya(tensors):
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (0.5, 1.0), (3.0, 0.6)])
def test_kohyas_lora_is_diffusers(alpha, scale, pipeline, target, tmp_path):
    path = write_adapter(tmp_path / "a.safetensors", kohya_lora(alpha=alpha))
    found = read_rows(open_adapter(path, "lora"), target, "tiny")
    assert (found.missing, found.warning("a")) == ((), None)
    theirs = as_diffusers(pipeline, path, scale)
    for network in ("unet", "text_encoder"):
        before = weights_of(getattr(pipeline, network))
        assert_same(changed(found.rows[network], before, scale), theirs[network], before)
    assert {row.kind for row in found.rows["unet"]} == {"LoRA", "LoCon"}


@pytest.mark.parametrize("rslora", [False, True])
def test_what_diffusers_saves_is_read_with_its_alpha(rslora, pipeline, target, tmp_path):
    pipe = copy.deepcopy(pipeline)
    config = LoraConfig(
        r=4, lora_alpha=2, use_rslora=rslora, target_modules=WANTED, alpha_pattern={"to_q": 6, "conv1": 3}
    )
    pipe.unet.add_adapter(config)
    _train(pipe.unet)
    saved = get_peft_model_state_dict(pipe.unet, adapter_name="default")
    StableDiffusionPipeline.save_lora_weights(
        tmp_path,
        unet_lora_layers=saved,
        unet_lora_adapter_metadata=pipe.unet.peft_config["default"].to_dict(),
    )
    path = tmp_path / "pytorch_lora_weights.safetensors"
    found = read_rows(open_adapter(path, "lora"), target, "tiny")
    pipe.unet.fuse_lora()
    before = weights_of(pipeline.unet)
    assert_same(changed(found.rows["unet"], before), weights_of(pipe.unet), before)
    assert found.missing == ()


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("DoRA", LoraConfig(r=4, lora_alpha=4, target_modules=WANTED, use_dora=True)),
        ("LoHa", LoHaConfig(r=4, alpha=4, target_modules=WANTED)),
        ("LoHa", LoHaConfig(r=4, alpha=4, target_modules=WANTED, use_effective_conv2d=True)),
        ("LoKr", LoKrConfig(r=4, alpha=4, target_modules=WANTED)),
        ("LoKr", LoKrConfig(r=2, alpha=2, target_modules=WANTED, decompose_both=True)),
        (
            "LoKr",
            LoKrConfig(r=2, alpha=2, target_modules=WANTED, decompose_both=True, use_effective_conv2d=True),
        ),
    ],
)
@pytest.mark.parametrize("layout", ["peft", "diffusers", "kohya"])
def test_kinds_are_pefts_under_every_name(kind, config, layout, target, tmp_path):
    unet = UNet2DConditionModel.from_pretrained(tiny_folder() / "unet")
    before = {key: value.copy() for key, value in weights_of(unet).items()}
    inject_adapter_in_model(copy.deepcopy(config), unet, adapter_name="default")
    _train(unet)
    saved = {key: value.detach().numpy() for key, value in get_peft_model_state_dict(unet).items()}
    path = write_adapter(tmp_path / "a.safetensors", _named(saved, layout))
    for module in unet.modules():
        if callable(getattr(module, "merge", None)):
            module.merge()
    found = read_rows(open_adapter(path, "lora"), target, "tiny")
    assert found.missing == ()
    assert all(kind in row.kind for row in found.rows["unet"])
    assert_same(changed(found.rows["unet"], before), weights_of(unet), before)


def _train(network) -> None:
    """Have every factor of an adapter hold something."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if any(part in name for part in TRAINED):
                weight.normal_(std=0.4, generator=generator)
            elif "lora_magnitude" in name:
                weight.mul_(1 + torch.rand(weight.shape, generator=generator))


def _named(saved, layout):
    if layout == "peft":
        return as_kohya({f"base_model.model.{key}": value for key, value in saved.items()})
    if layout == "diffusers":
        return as_kohya({f"unet.{key}": value for key, value in saved.items()})
    tensors = {}
    for key, value in saved.items():
        at = min(key.find(part) for part in (".lora_", ".hada_", ".lokr_") if part in key)
        rest = key[at:].replace("lora_A", "lora_down").replace("lora_B", "lora_up")
        if "lora_magnitude" in rest:  # as LyCORIS writes it, when it is that of outputs
            rest, value = ".dora_scale", value.reshape(-1, 1)
        tensors[f"lora_unet_{key[:at].replace('.', '_')}{rest}"] = value
    return as_kohya(tensors)


@pytest.mark.parametrize(
    "form",
    [
        "lora_unet_{flat}.lora_{part}.weight",
        "lycoris_{flat}.lora_{part}.weight",
        "lora_unet_{original_flat}.lora_{part}.weight",
        "diffusion_model.{original}.lora_{letter}.weight",
        "unet.{name}.lora.{part}.weight",
        "unet.{name}.lora_linear_layer.{part}.weight",
        "unet.{processor}_lora.{part}.weight",
        "{processor}_lora.{part}.weight",
        "unet.base_model.model.{name}.lora_{letter}.weight",
        "{name}.lora_{letter}.default.weight",
    ],
)
def test_one_adapter_under_all_its_names(form, target, tmp_path):
    shapes = modules("unet", ("attn1.to_q", "attn2.to_out.0"))
    original = original_modules(key.rpartition(".")[0] for key in target.shapes["unet"])
    tensors, wanted = {}, {}
    for name, factors in low_rank(shapes).items():
        start, _, end = name.removesuffix(".0").rpartition(".")
        for part, letter, factor in zip(("down", "up"), "AB", factors, strict=True):
            raw = form.format(
                flat=name.replace(".", "_"),
                name=name,
                original=original[name],
                original_flat=original[name].replace(".", "_"),
                processor=f"{start}.processor.{end}",
                part=part,
                letter=letter,
            )
            tensors[raw] = factor
        wanted[f"{name}.weight"] = factors[1] @ factors[0]
    path = write_adapter(tmp_path / "a.safetensors", tensors)
    found = read_rows(open_adapter(path, "lora"), target, "tiny")
    assert found.missing == ()
    assert {row.key for row in found.rows["unet"]} == wanted.keys()
    for row in found.rows["unet"]:
        shape = target.shapes["unet"][row.key]
        assert (row.applied(np.zeros(shape, np.float32), 1.0) == wanted[row.key]).all()


@pytest.mark.parametrize(
    "form",
    [
        "lora_te_text_model_{flat}.lora_{part}.weight",
        "lora_te1_text_model_{flat}.lora_{part}.weight",
        "text_encoder.text_model.{name}.lora_linear_layer.{part}.weight",
        "text_encoder.{name}.lora_{letter}.weight",
        "text_encoder.text_model.{old}_lora.{part}.weight",
    ],
)
def test_text_encoders_under_all_their_names(form, target, tmp_path):
    older = {"q_proj": "to_q", "v_proj": "to_v", "out_proj": "to_out"}
    tensors = {}
    for name, factors in low_rank(modules("text_encoder", older)).items():
        start, _, end = name.rpartition(".")
        for part, letter, factor in zip(("down", "up"), "AB", factors, strict=True):
            names = {"flat": name.replace(".", "_"), "name": name, "old": f"{start}.{older[end]}"}
            tensors[form.format(**names, part=part, letter=letter)] = factor
    path = write_adapter(tmp_path / "a.safetensors", tensors)
    found = match(open_adapter(path, "lora"), target, "tiny")
    assert (found.missing, len(found.rows["text_encoder"]), found.total) == ((), 6, 6)


def test_differences_norms_and_rescaling_are_read(target, tmp_path):
    tensors = {
        "lora_unet_conv_in.diff": np.ones(target.shapes["unet"]["conv_in.weight"], np.float32),
        "lora_unet_conv_in.diff_b": np.ones(16, np.float32),
        "lora_unet_conv_norm_out.w_norm": np.ones(16, np.float32),
        "lora_unet_conv_norm_out.b_norm": np.ones(16, np.float32),
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.weight": np.ones(
            (32, 1), np.float32
        ),
        "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.on_input": np.zeros(1, np.float32),
    }
    path = write_adapter(tmp_path / "a.safetensors", tensors)
    found = read_rows(open_adapter(path, "lora"), target, "tiny")
    kinds = {
        row.key.removeprefix("mid_block.attentions.0.transformer_blocks.0."): row.kind
        for row in found.rows["unet"]
    }
    assert kinds == {
        **dict.fromkeys(("conv_in.weight", "conv_in.bias"), "difference"),
        **dict.fromkeys(("conv_norm_out.weight", "conv_norm_out.bias"), "difference"),
        "attn2.to_k.weight": "(IA)^3",
    }


def test_lycoris_dora_of_inputs_is_told_by_its_shape(target, tmp_path):
    (name,) = modules("unet", ("mid_block.attentions.0.transformer_blocks.0.attn1.to_q",))
    raw = kohya("unet", name)
    ((down, up),) = low_rank({name: (32, 32)}).values()
    for shape, per_output in (((1, 32), False), ((32, 1), True)):
        tensors = {
            f"{raw}.lora_down.weight": down,
            f"{raw}.lora_up.weight": up,
            f"{raw}.dora_scale": np.ones(shape, np.float32),
        }
        path = write_adapter(tmp_path / "a.safetensors", tensors)
        ((row,),) = read_rows(open_adapter(path, "lora"), target, "tiny").rows.values()
        assert row.magnitude is not None
        assert row.magnitude.per_output == per_output


def test_a_partial_match_is_a_warning_with_counts(target, tmp_path):
    tensors = kohya_lora()
    tensors["lora_unet_down_blocks_7_conv.lora_down.weight"] = np.ones((2, 4), np.float32)
    tensors["lora_unet_down_blocks_7_conv.lora_up.weight"] = np.ones((4, 2), np.float32)
    path = write_adapter(tmp_path / "a.safetensors", tensors)
    found = match(open_adapter(path, "lora"), target, "tiny")
    total = len(modules("unet", (*ATTENTION, *CONVOLUTIONS))) + len(modules("text_encoder", TEXT)) + 1
    assert found.warning("a") == (
        f"Of the adapter 'a', 1 of its {total} modules are not in this model and were left out, "
        "'lora_unet_down_blocks_7_conv' for example."
    )


def test_a_stranger_is_refused_with_examples_of_both(target, tmp_path):
    tensors = {
        f"lora_unet_double_blocks_{at}_img_attn_qkv.{part}": np.ones((4, 4), np.float32)
        for at in range(3)
        for part in ("lora_down.weight", "lora_up.weight")
    }
    path = write_adapter(tmp_path / "a.safetensors", tensors, {"ss_base_model_version": "flux1"})
    with pytest.raises(ModelFileError) as error:
        match(open_adapter(path, "lora"), target, "tiny")
    said = str(error.value)
    assert "fits nothing of the model tiny (it says it is for 'flux1'): none of its 3 modules" in said
    assert "'lora_unet_double_blocks_0_img_attn_qkv', where the model has 'lora_unet_" in said


DOWN, UP = "lora_unet_conv_in.lora_down.weight", "lora_unet_conv_in.lora_up.weight"


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({DOWN: (2, 4, 3, 3)}, "without its partner (up)"),
        (
            {DOWN: (2, 4, 3, 3), UP: (16, 3, 1, 1)},
            "'lora_unet_conv_in.lora_up.weight' with shape 16x3x1x1 and",
        ),
        ({DOWN: (2, 4, 3, 3), UP: (16, 2, 3, 3)}, "cannot be multiplied"),
        (
            {DOWN: (2, 4, 3, 3), UP: (8, 2, 1, 1)},
            "which makes 8x4x3x3, where the model's conv_in.weight is 16x4x3x3",
        ),
        ({DOWN: (2, 4), UP: (16, 2)}, "which makes 16x4, where"),
        ({DOWN: (0, 4, 3, 3), UP: (16, 0, 1, 1)}, "which is empty"),
        ({"lora_unet_conv_in.diff": (16, 4, 3, 2)}, "16x4x3x2, where"),
        (
            {DOWN: (2, 4, 3, 3), UP: (16, 2, 1, 1), "lora_unet_conv_in.dora_scale": (5, 1)},
            "with shape 5x1, for a weight of 16x4x3x3",
        ),
        ({"lora_unet_conv_in.oft_blocks": (2, 2, 2)}, "of a kind that is not supported, OFT"),
        ({"lora_unet_conv_in.lokr_w1": (4, 2), "lora_unet_conv_in.lokr_w2_a": (4, 2)}, "without its partner"),
        (
            {f"lora_unet_conv_in.hada_w{one}": (16, 2) for one in ("1_a", "1_b", "2_a", "2_b")},
            "cannot be multiplied",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_read(shapes, said, target, tmp_path):
    path = write_adapter(
        tmp_path / "a.safetensors", {key: np.ones(shape, np.float32) for key, shape in shapes.items()}
    )
    with pytest.raises(ModelFileError) as error:
        match(open_adapter(path, "lora"), target, "tiny")
    assert said in str(error.value)
    assert error.value.field == "lora"


ENDS = (
    *(f"lora_{part}.weight" for part in ("up", "down", "mid")),
    *("alpha", "dora_scale", "lora_magnitude_vector", "diff", "diff_b", "w_norm", "weight", "on_input"),
    *(f"hada_{part}" for part in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
    *(f"lokr_{part}" for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
)


@quick
@given(
    raw=st.sampled_from(["lora_unet_conv_in", "conv_norm_out", "lora_te_text_model_final_layer_norm"]),
    shapes=st.dictionaries(
        st.sampled_from(ENDS), st.lists(st.sampled_from([1, 2, 4, 16]), max_size=4), min_size=1, max_size=6
    ),
)
def test_any_shapes_are_read_or_refused(raw, shapes, target, tmp_path_factory):
    tensors = {f"{raw}.{end}": np.ones(shape, np.float32) for end, shape in shapes.items()}
    path = write_adapter(tmp_path_factory.getbasetemp() / "any" / "a.safetensors", tensors)
    with contextlib.suppress(ModelFileError):
        found = read_rows(open_adapter(path, "lora"), target, "tiny")
        for network, rows in found.rows.items():
            for row in rows:
                weight = np.zeros(target.shapes[network][row.key], np.float32)
                assert row.applied(weight, 1.0).shape == weight.shape


def test_numbers_that_are_not_finite_are_refused(target, tmp_path):
    tensors = kohya_lora()
    key = next(iter(tensors))
    tensors[key] = np.full_like(tensors[key], np.nan)
    file = open_adapter(write_adapter(tmp_path / "a.safetensors", tensors), "lora")
    match(file, target, "tiny")
    with pytest.raises(ModelFileError, match="not finite"):
        read_rows(file, target, "tiny")


def test_two_names_of_one_module_are_refused(target, tmp_path):
    tensors = {}
    for raw in ("lora_unet_conv_in", "lora_unet_input_blocks_0_0"):
        tensors[f"{raw}.diff_b"] = np.ones(16, np.float32)
    path = write_adapter(tmp_path / "a.safetensors", tensors)
    with pytest.raises(ModelFileError, match=r"changes conv_in.bias twice"):
        match(open_adapter(path, "lora"), target, "tiny")


@pytest.mark.parametrize(
    "noted", ["{", "[]", '{"unet.lora_alpha": "x", "unet.alpha_pattern": 3}', json.dumps({})]
)
def test_notes_that_say_nothing_are_passed_over(noted, target, tmp_path):
    path = write_adapter(tmp_path / "a.safetensors", kohya_lora(), {"lora_adapter_metadata": noted})
    found = read_rows(open_adapter(path, "lora"), target, "tiny")
    assert {row.scale for row in found.rows["unet"]} == {1.0}

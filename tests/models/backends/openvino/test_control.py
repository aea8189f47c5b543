"""The ControlNet's graph against diffusers with the same weights, in the layouts that published ones have."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from sfumato.errors import InputError, ModelFileError
from sfumato.models.backends.base import Extra, Work
from sfumato.models.backends.openvino import networks
from sfumato.models.backends.openvino.backend import OpenVinoBackend, load_openvino
from sfumato.models.backends.openvino.cache import CachePlace
from sfumato.models.backends.openvino.control import HintShape, OpenVinoControl, build_control, open_control
from sfumato.models.backends.openvino.networks import Network, shared_core
from sfumato.models.backends.openvino.unet import UNetShape
from sfumato.models.backends.openvino.weights import Weights
from sfumato.models.backends.torch import load_torch
from sfumato.models.controlnets import DEFAULTS, locate_controlnet
from sfumato.models.files import locate
from tiny_controlnets import original_controlnet, write_controlnet
from tiny_models import tiny_folder

WEIGHTS = "diffusion_pytorch_model.safetensors"
CROSS, PLAIN = "CrossAttnDownBlock2D", "DownBlock2D"
LAYOUTS: dict[str, dict[str, Any]] = {
    "bundled": {
        "in_channels": 8,
        "block_out_channels": (8, 16, 16),
        "down_block_types": (PLAIN, CROSS, CROSS),
        "use_linear_projection": True,
        "norm_num_groups": 4,
    },
    "bundled, short middle": {
        "block_out_channels": (8, 16, 16),
        "down_block_types": (PLAIN, CROSS, CROSS),
        "use_linear_projection": True,
        "norm_num_groups": 4,
        "mid_block_type": "UNetMidBlock2D",
    },
    "sd1": {"layers_per_block": 2},
    "sd2": {"layers_per_block": 2, "use_linear_projection": True, "attention_head_dim": (2, 4)},
    "sdxl": {
        "layers_per_block": 2,
        "down_block_types": (PLAIN, CROSS),
        "use_linear_projection": True,
        "transformer_layers_per_block": (1, 2),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + 20,
    },
    "bgr": {"controlnet_conditioning_channel_order": "bgr"},
}


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def hint(rows: int, side: int = 64) -> NDArray[np.float32]:
    return np.random.default_rng(1).random((rows, 3, side, side), np.float32)


def opened(folder: Path) -> OpenVinoControl:
    files = locate_controlnet(folder)
    return open_control(files, Network(shared_core(), files.network, {"INFERENCE_PRECISION_HINT": "f32"}))


def compared(net: ControlNetModel, folder: Path, rows: int, hint_rows: int, side: int = 8) -> None:
    config: Any = net.config
    x, context, seen = (
        normal(rows, config.in_channels, side, side),
        normal(rows, 5, 32, seed=1),
        hint(hint_rows, 8 * side),
    )
    given: dict[str, Any] = {}
    extra = Extra()
    if config.addition_embed_type is not None:
        pooled, ids = normal(rows, 20, seed=2), np.array([[64, 64, 0, 8, 64, 32]] * rows, np.float32)
        extra = Extra(pooled=pooled, time_ids=ids)
        given = {"added_cond_kwargs": {"text_embeds": torch.tensor(pooled), "time_ids": torch.tensor(ids)}}
    expected = net(
        torch.tensor(x),
        torch.tensor(321.5),
        torch.tensor(context),
        torch.tensor(seen),
        conditioning_scale=0.8,
        **given,
    )
    down, mid = opened(folder).residuals(x, 321.5, context, seen, 0.8, extra)
    theirs = (*expected.down_block_res_samples, expected.mid_block_res_sample)
    for ours, one in zip((*down, mid), theirs, strict=True):
        np.testing.assert_allclose(ours, one.numpy(), atol=2e-5)
        assert np.abs(ours).max() > 0.05


@pytest.mark.parametrize("layout", LAYOUTS)
def test_residuals_are_those_of_diffusers(layout: str, tmp_path: Path) -> None:
    net = write_controlnet(tmp_path, **LAYOUTS[layout])
    compared(net, tmp_path, rows=2, hint_rows=1)
    compared(net, tmp_path, rows=2, hint_rows=2)


@pytest.mark.parametrize(
    "changes", [{"attention_head_dim": 8}, {"attention_head_dim": (1, 2), "use_linear_projection": True}]
)
def test_a_single_file_of_the_original_layout_is_the_same(changes: dict[str, Any], tmp_path: Path) -> None:
    wide: dict[str, Any] = {"block_out_channels": (64, 128), "norm_num_groups": 32, "layers_per_block": 2}
    net = write_controlnet(tmp_path / "lines", **wide, **changes)
    path = tmp_path / "lines.safetensors"
    save_file(original_controlnet(net.state_dict()), path)
    compared(net, path, rows=2, hint_rows=1)


@pytest.mark.parametrize("layout", ["bundled", "sd1", "sdxl"])
def test_one_graph_of_any_size_gives_the_same(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "SMALL_BYTES", 0)
    net = write_controlnet(tmp_path, **LAYOUTS[layout])
    compared(net, tmp_path, rows=2, hint_rows=1)
    compared(net, tmp_path, rows=3, hint_rows=3, side=6)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    write_controlnet(folder)
    return folder


@pytest.fixture(scope="module")
def compiled() -> OpenVinoBackend:
    return load_openvino(locate(tiny_folder()), "float32")


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def test_a_steered_prediction_is_that_of_torch(compiled: OpenVinoBackend, lines: Path) -> None:
    theirs = load_torch(locate(tiny_folder()), "cpu", "float32")
    files = locate_controlnet(lines)
    x, context = normal(2, 4, 8, 8), normal(2, 16, 32, seed=1)
    given = [theirs.asarray(one) for one in (x, context, hint(1))]
    down, mid = theirs.control(files).residuals(given[0], 500.5, given[1], given[2], 1.0)
    expected = theirs.to_numpy(theirs.predict(given[0], 500.5, given[1], Extra(down=down, mid=mid)))
    ours, middle = compiled.control(files).residuals(x, 500.5, context, hint(1), 1.0)
    extra = Extra(down=ours, mid=middle)
    assert distance(compiled.predict(x, 500.5, context, extra), expected) < 1e-5
    assert distance(compiled.predict(x, 500.5, context), expected) > 0.05
    whole, features = compiled.predict_reusing(x, 500.5, context, None, extra)
    assert distance(whole, expected) < 1e-5
    again, _ = compiled.predict_reusing(x, 500.5, context, features, extra)
    assert distance(again, expected) < 1e-5


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_fewer_digits_stay_near(dtype: str, compiled: OpenVinoBackend, lines: Path) -> None:
    coarse = load_openvino(locate(tiny_folder()), dtype)
    x, context, files = normal(2, 4, 8, 8), normal(2, 16, 32, seed=1), locate_controlnet(lines)
    _, exact = compiled.control(files).residuals(x, 500.0, context, hint(1), 1.0)
    _, near = coarse.control(files).residuals(x, 500.0, context, hint(1), 1.0)
    assert distance(near, exact) < 0.05


def test_a_controlnet_is_opened_once(compiled: OpenVinoBackend, lines: Path) -> None:
    assert compiled.control(locate_controlnet(lines)) is compiled.control(locate_controlnet(lines))


def test_its_graphs_are_made_ahead_and_stored(lines: Path, tmp_path: Path) -> None:
    model, files = locate(tiny_folder()), locate_controlnet(lines)
    place = CachePlace(tmp_path, model.digest())
    backend = load_openvino(model, "float32", place)
    backend.prepare(Work((1, 16), 2, 8, 8, controls=(files,)))
    x, context = normal(2, 4, 8, 8), normal(2, 16, 32, seed=1)
    control = backend.control(files)
    down, mid = control.residuals(x, 500.0, context, hint(1), 1.0)
    backend.predict(x, 500.0, context, Extra(down=down, mid=mid))
    assert len(control.network._requests) == 1  # the graph made ahead is the one that is used
    assert len(backend.unet._requests) == 1
    backend.store()
    second = load_openvino(model, "float32", place)
    again, _ = second.control(files).residuals(x, 500.0, context, hint(1), 1.0)
    np.testing.assert_array_equal(again[0], down[0])
    assert not second.control(files).network._unstored  # it was read, not compiled
    assert second.notes == ()


def test_another_controlnet_of_the_same_name_has_graphs_of_its_own(lines: Path, tmp_path: Path) -> None:
    model = locate(tiny_folder())
    place = CachePlace(tmp_path / "cache", model.digest())
    x, context = normal(1, 4, 8, 8), normal(1, 16, 32, seed=1)
    found: list[NDArray[np.float32]] = []
    for seed in (0, 1):
        write_controlnet(tmp_path / "same", seed=seed)
        backend = load_openvino(model, "float32", place)
        _, mid = backend.control(locate_controlnet(tmp_path / "same")).residuals(
            x, 9.0, context, hint(1), 1.0
        )
        backend.store()
        found.append(mid)
    assert distance(*found) > 0.1


def test_what_cannot_be_opened_is_no_fault_of_preparing(
    compiled: OpenVinoBackend, lines: Path, tmp_path: Path
) -> None:
    broken = locate_controlnet(unlike(lines, tmp_path / "broken", act_fn="gelu"))
    compiled.prepare(Work((1, 16), 2, 8, 8, controls=(broken,)))


def unlike(folder: Path, target: Path, **changes: Any) -> Path:
    shutil.copytree(folder, target)
    config = target / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    return target


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"act_fn": "gelu"}, "it has act_fn 'gelu'"),
        ({"only_cross_attention": [False, True]}, "it has only_cross_attention True"),
        ({"down_block_types": ["DownBlock2D"]}, "it has no usable down_block_types"),
        ({"down_block_types": ["DownBlock2D", "KDownBlock2D"]}, "it has a KDownBlock2D"),
    ],
)
def test_what_the_builder_does_not_know_is_refused(
    compiled: OpenVinoBackend, lines: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    files = locate_controlnet(unlike(lines, tmp_path / "other", **changes))
    with pytest.raises(
        InputError, match=f"^control: the compiled backend cannot run this .*{words}"
    ) as caught:
        compiled.control(files)
    assert caught.value.hint == "Use the backend torch."


def test_weights_that_do_not_fit_are_a_damaged_controlnet(
    compiled: OpenVinoBackend, lines: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(lines, tmp_path / "damaged"))
    weights = load_file(folder / WEIGHTS)
    whole = weights["conv_in.weight"]
    weights["conv_in.weight"] = whole[:, :3].contiguous()
    save_file(weights, folder / WEIGHTS)
    x, context = normal(1, 4, 8, 8), normal(1, 16, 32)
    with pytest.raises(ModelFileError, match=r"^control: .*does not fit its config\.json"):
        compiled.control(locate_controlnet(folder)).residuals(x, 1.0, context, hint(1), 1.0)
    weights["conv_in.weight"] = whole
    del weights["controlnet_mid_block.weight"]
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(ModelFileError, match=r"^control: .*lacks controlnet_mid_block\.weight"):
        compiled.control(locate_controlnet(folder)).residuals(x, 1.0, context, hint(1), 1.0)


def test_inputs_and_outputs_have_names(lines: Path) -> None:
    files = locate_controlnet(lines)
    weights = Weights(files.network.weights)
    model = build_control(weights, {**DEFAULTS, **files.network.config}, UNetShape(), HintShape())
    weights.check_all_taken()
    assert [one.get_any_name() for one in model.inputs] == ["x", "time", "context", "hint"]
    assert [one.get_any_name() for one in model.outputs] == ["down_0", "down_1", "down_2", "down_3", "mid"]

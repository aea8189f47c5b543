"""The graph of a T2I-Adapter, and that of a UNet with features, against the torch backend."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from family_models import family_folder
from sfumato.errors import ModelFileError
from sfumato.models.backends.base import Extra, FreeU, Work
from sfumato.models.backends.openvino import networks
from sfumato.models.backends.openvino.backend import OpenVinoBackend, load_openvino
from sfumato.models.backends.openvino.cache import CachePlace
from sfumato.models.backends.openvino.control import HintShape
from sfumato.models.backends.openvino.networks import Network, shared_core
from sfumato.models.backends.openvino.t2i import OpenVinoT2I, build_t2i
from sfumato.models.backends.openvino.weights import Weights
from sfumato.models.backends.torch import TorchBackend, load_torch
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.files import locate
from tiny_t2i import LIGHT, SD, XL, original_t2i, write_t2i

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def compiled() -> OpenVinoBackend:
    return load_openvino(locate(family_folder("sd")), "float32")


@pytest.fixture(scope="module")
def eager() -> TorchBackend:
    return load_torch(locate(family_folder("sd")), "cpu", "float32")


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def hint(rows: int, channels: int, height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).random((rows, channels, height, width), np.float32)


def opened(path: Path) -> OpenVinoT2I:
    files = locate_controlnet(path)
    return OpenVinoT2I(files, Network(shared_core(), files.network, {"INFERENCE_PRECISION_HINT": "f32"}))


@pytest.mark.parametrize(
    ("config", "channels", "size"),
    [
        (SD, 3, (64, 64)),
        (SD, 1, (64, 40)),
        (SD, 3, (72, 88)),
        (LIGHT, 3, (64, 72)),
        (XL, 3, (64, 64)),
        (XL, 1, (72, 88)),
    ],
)
@pytest.mark.parametrize("small", [True, False])
def test_features_are_those_of_torch(
    config: dict[str, Any],
    channels: int,
    size: tuple[int, int],
    small: bool,
    eager: TorchBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(networks, "SMALL_BYTES", 2**30 if small else 0)
    write_t2i(tmp_path, config, in_channels=channels)
    seen = hint(2, channels, *size)
    made = opened(tmp_path).features(seen)
    theirs = eager.t2i_adapter(locate_controlnet(tmp_path)).features(torch.tensor(seen))
    assert len(made) == locate_controlnet(tmp_path).num_features
    for ours, one in zip(made, theirs, strict=True):
        np.testing.assert_allclose(ours, one.numpy(), atol=2e-5)


@pytest.mark.parametrize("more", [{}, {"freeu": FreeU(1.2, 1.4, 0.9, 0.2)}, {"perturbed": True}])
def test_a_prediction_with_features_is_that_of_torch(
    more: dict[str, Any], compiled: OpenVinoBackend, eager: TorchBackend, tmp_path: Path
) -> None:
    write_t2i(tmp_path, SD)
    files = locate_controlnet(tmp_path)
    seen = hint(1, 3, 64, 64)
    ours, theirs = compiled.t2i_adapter(files), eager.t2i_adapter(files)
    assert compiled.t2i_adapter(files) is ours
    x, context = normal(2, 4, 8, 8), normal(2, 16, 32, seed=1)
    told = Extra(inside=ours.features(seen), **more)
    made = compiled.predict(x, 321.5, context, told)
    tensors = torch.tensor(x), 321.5, torch.tensor(context)
    expected = eager.predict(*tensors, Extra(inside=theirs.features(torch.tensor(seen)), **more)).numpy()
    np.testing.assert_allclose(made, expected, atol=2e-4)
    assert np.abs(made - compiled.predict(x, 321.5, context, Extra(**more))).max() > 0.1


def test_deep_features_know_of_them(compiled: OpenVinoBackend, tmp_path: Path) -> None:
    write_t2i(tmp_path, SD)
    features = compiled.t2i_adapter(locate_controlnet(tmp_path)).features(hint(1, 3, 64, 64))
    x, context, told = normal(2, 4, 8, 8), normal(2, 16, 32, seed=1), Extra(inside=features)
    whole = compiled.predict(x, 321.5, context, told)
    again, deep = compiled.predict_reusing(x, 321.5, context, None, told)
    near, _ = compiled.predict_reusing(x, 321.5, context, deep, told)
    np.testing.assert_allclose(again, whole, atol=1e-4)
    np.testing.assert_allclose(near, whole, atol=1e-4)


def test_graphs_are_made_ahead_and_stored(tmp_path: Path) -> None:
    write_t2i(tmp_path / "lines", SD)
    files, control = locate(family_folder("sd")), locate_controlnet(tmp_path / "lines")
    backend = load_openvino(files, "float32", CachePlace(tmp_path / "compiled", files.digest()))
    backend.prepare(Work((1, 16), 2, 8, 8, controls=(control,)))
    features = backend.t2i_adapter(control).features(hint(1, 3, 64, 64))
    backend.predict(normal(2, 4, 8, 8), 10.0, normal(2, 16, 32), Extra(inside=features))
    backend.store()
    # The adapter, the UNet that takes its features, the text encoder and the decoder; nothing else was made.
    assert len(list((tmp_path / "compiled").rglob("*.graph"))) == 4


def test_a_single_file_is_the_same(tmp_path: Path) -> None:
    net: Any = write_t2i(tmp_path / "lines", SD)
    path = tmp_path / "lines.safetensors"
    save_file({key: one.half() for key, one in original_t2i(net.state_dict(), 2).items()}, path)
    seen = hint(1, 3, 64, 64)
    for ours, one in zip(opened(path).features(seen), opened(tmp_path / "lines").features(seen), strict=True):
        np.testing.assert_allclose(ours, one, atol=0.05)


def test_weights_that_do_not_fit_are_a_damaged_one(tmp_path: Path) -> None:
    write_t2i(tmp_path, SD)
    config = {**locate_controlnet(tmp_path).network.config, "num_res_blocks": 3}
    with pytest.raises(ModelFileError, match=r"lacks adapter\.body\.0\.resnets\.2\.block1\.weight"):
        build_t2i(Weights(tmp_path / WEIGHTS), config, HintShape(1, 64, 64))

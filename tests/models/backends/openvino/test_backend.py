"""The compiled backend against the torch backend on the same folder."""

import gc
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from sfumato.errors import InputError, ModelFileError
from sfumato.models.backends.openvino import backend, networks
from sfumato.models.backends.openvino.backend import (
    NO_BFLOAT16,
    NO_INT8,
    OpenVinoBackend,
    load_openvino,
)
from sfumato.models.backends.openvino.cache import CachePlace
from sfumato.models.backends.openvino.calibration import load_observed
from sfumato.models.backends.openvino.ranges import RANGES_FILE, write_ranges
from sfumato.models.backends.torch import load_torch
from sfumato.models.files import locate
from tiny_models import tiny_folder, write_tiny_model


@pytest.fixture(scope="module")
def compiled() -> OpenVinoBackend:
    return load_openvino(locate(tiny_folder()), "float32")


def normal(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def ids() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 600, (2, 16))


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def test_every_call_gives_what_torch_gives(compiled: OpenVinoBackend) -> None:
    theirs = load_torch(locate(tiny_folder()), "cpu", "float32")
    context = compiled.encode_text(ids())
    assert distance(context, theirs.to_numpy(theirs.encode_text(ids()))) < 1e-5
    x = normal(2, 4, 8, 8)
    expected = theirs.to_numpy(theirs.predict(theirs.asarray(x), 500.5, theirs.asarray(context)))
    assert distance(compiled.predict(x, 500.5, context), expected) < 1e-5
    pixels = theirs.decode(theirs.asarray(x))
    assert distance(compiled.decode(x), pixels) < 1e-5
    assert distance(compiled.encode_image(pixels), theirs.to_numpy(theirs.encode_image(pixels))) < 1e-5


def test_features_are_reused(compiled: OpenVinoBackend) -> None:
    x, context = normal(2, 4, 8, 8), compiled.encode_text(ids())
    whole, features = compiled.predict_reusing(x, 500.0, context, None)
    assert distance(whole, compiled.predict(x, 500.0, context)) < 1e-6
    again, same = compiled.predict_reusing(x, 500.0, context, features)
    assert distance(again, whole) < 1e-6
    assert same is features
    cut, _ = compiled.predict_reusing(x[:1], 500.0, context[:1], features[:1])
    assert distance(cut, whole[:1]) < 1e-5


def test_large_networks_share_one_graph_of_any_size(
    compiled: OpenVinoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "SMALL_BYTES", 0)
    any_size = load_openvino(locate(tiny_folder()), "float32")
    context = compiled.encode_text(ids())
    for rows, height, width in ((1, 8, 8), (2, 6, 10)):
        x = normal(rows, 4, height, width)
        expected = compiled.predict(x, 10.0, context[:rows])
        assert distance(any_size.predict(x, 10.0, context[:rows]), expected) < 1e-5
        assert distance(any_size.decode(x), compiled.decode(x)) < 1e-5
    assert distance(any_size.encode_text(ids()), context) < 1e-6


def test_bfloat16_files_stay_mapped_while_graphs_live(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", dtype=torch.bfloat16)
    stored = load_openvino(locate(tmp_path / "model"), "float32")
    gc.collect()
    theirs = load_torch(locate(tmp_path / "model"), "cpu", "float32")
    x, context = normal(2, 4, 8, 8), stored.encode_text(ids())
    expected = theirs.to_numpy(theirs.predict(theirs.asarray(x), 500.0, theirs.asarray(context)))
    for _ in range(3):
        gc.collect()
        assert distance(stored.predict(x, 500.0, context), expected) < 1e-5


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.05), ("int8", 0.05), ("auto", 0.05)])
def test_fewer_digits_stay_near(dtype: str, tolerance: float, compiled: OpenVinoBackend) -> None:
    coarse = load_openvino(locate(tiny_folder()), dtype)
    x, context = normal(2, 4, 8, 8), compiled.encode_text(ids())
    assert distance(coarse.predict(x, 500.0, context), compiled.predict(x, 500.0, context)) < tolerance


def test_the_name_says_what_computes(compiled: OpenVinoBackend) -> None:
    assert compiled.name == "openvino cpu float32"
    assert load_openvino(locate(tiny_folder()), "int8").name == "openvino cpu int8"


def test_bfloat16_on_a_processor_without_it_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    files = locate(tiny_folder())
    assert load_openvino(files, "auto").notes == ()
    monkeypatch.setattr(backend, "has_bfloat16", lambda core: False)
    assert load_openvino(files, "bfloat16").notes == (NO_BFLOAT16,)
    assert [load_openvino(files, dtype).notes for dtype in ("auto", "float32", "int8")] == [(), (), ()]
    assert load_openvino(files, "auto").dtype == "float32"


def stored_ranges(folder: Path, low: float = -4) -> CachePlace:
    """Write ranges of the tiny UNet, the same for every channel, and return where they are stored."""
    observed = load_observed(locate(tiny_folder()))
    observed.predict(normal(1, 4, 8, 8), 500.0, normal(1, 16, 32))
    place = CachePlace(folder, locate(tiny_folder()).digest())
    same = {name: np.full_like(one, 4) for name, one in observed.seen.ranges.items()}
    for one in same.values():
        one[0] = low
    path = place.of_precision("int8-full") / RANGES_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ranges(path, same, place.digest)
    return place


def test_whole_numbers_need_ranges(tmp_path: Path) -> None:
    files = locate(tiny_folder())
    place = CachePlace(tmp_path, files.digest())
    for where in (None, place):
        with pytest.raises(InputError, match=r"int8-full.*Run: sfumato compile MODEL --precision int8-full$"):
            load_openvino(files, "int8-full", where)
    stored_ranges(tmp_path)
    assert load_openvino(files, "int8-full", place).name == "openvino cpu int8-full"
    with pytest.raises(InputError, match="int8-full needs the ranges"):
        load_openvino(files, "int8-full", CachePlace(tmp_path, "0" * 64))


def test_graphs_made_with_other_ranges_are_not_used(tmp_path: Path) -> None:
    files = locate(tiny_folder())
    x, context = normal(1, 4, 8, 8), normal(1, 16, 32)
    first = load_openvino(files, "int8-full", replace(stored_ranges(tmp_path), storing=True))
    output = first.predict(x, 500.0, context)
    place = CachePlace(tmp_path, files.digest())
    same = load_openvino(files, "int8-full", place)
    np.testing.assert_array_equal(same.predict(x, 500.0, context), output)
    assert same.notes == ()
    stored_ranges(tmp_path, low=-1)
    other = load_openvino(files, "int8-full", place)
    assert "compiled and stored with other options is not used" in other.notes[0]
    assert distance(other.predict(x, 500.0, context), output) > 0.01


def test_a_processor_without_whole_numbers_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, place = locate(tiny_folder()), stored_ranges(tmp_path)
    monkeypatch.setattr(backend, "has_int8", lambda core: False)
    assert load_openvino(files, "int8-full", place).notes == (NO_INT8,)
    assert load_openvino(files, "int8").notes == ()


def test_other_precisions_are_refused() -> None:
    with pytest.raises(InputError, match=r"dtype.*float16.*backend torch"):
        load_openvino(locate(tiny_folder()), "float16")


def test_weights_that_do_not_fit_are_a_damaged_model(tmp_path: Path) -> None:
    shutil.copytree(tiny_folder(), tmp_path / "model")
    path = tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["conv_in.weight"] = weights["conv_in.weight"][:, :3].contiguous()
    save_file(weights, path)
    damaged = load_openvino(locate(tmp_path / "model"), "float32")
    with pytest.raises(ModelFileError, match=r"does not fit its config\.json"):
        damaged.predict(normal(1, 4, 8, 8), 1.0, damaged.encode_text(ids()[:1]))
    del weights["conv_out.bias"]
    save_file(weights, path)
    with pytest.raises(ModelFileError):
        load_openvino(locate(tmp_path / "model"), "float32").predict(
            normal(1, 4, 8, 8), 1.0, normal(1, 16, 32)
        )

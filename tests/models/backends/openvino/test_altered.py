"""Altered graphs against diffusers' own FreeU and against the torch backend."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.utils.torch_utils import apply_freeu, fourier_filter
from numpy.typing import NDArray

from sfumato.models.backends.base import Extra, FreeU, Work
from sfumato.models.backends.openvino.altered import AS_IT_IS, Altered, freeu_factors, weighed
from sfumato.models.backends.openvino.backend import OpenVinoBackend, load_openvino
from sfumato.models.backends.openvino.cache import CachePlace
from sfumato.models.backends.openvino.layers import output_of
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.torch import TorchBackend, load_torch
from sfumato.models.files import locate
from tiny_models import tiny_folder

FACTORS = FreeU(b1=1.3, b2=1.5, s1=0.8, s2=0.3)


@pytest.fixture(scope="module")
def compiled() -> OpenVinoBackend:
    return load_openvino(locate(tiny_folder()), "float32")


@pytest.fixture(scope="module")
def eager() -> TorchBackend:
    return load_torch(locate(tiny_folder()), "cpu", "float32")


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ids() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 600, (2, 16))


def weighed_by_graph(
    h: NDArray[np.float32], skip: NDArray[np.float32], level: int, *, known: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    nodes = [
        op.parameter([*one.shape] if known else [-1, one.shape[1], -1, -1], ov.Type.f32) for one in (h, skip)
    ]
    factors = op.parameter([4], ov.Type.f32)
    made = weighed(nodes[0], nodes[1], level, factors)
    model = ov.Model([op.result(output_of(one)) for one in made], [*nodes, factors], "weighed")
    run = shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = run([h, skip, freeu_factors(FACTORS)])
    return np.array(results[0]), np.array(results[1])


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (2, 3), (1, 1), (16, 8)])
def test_the_factors_of_freeu_are_those_of_diffusers(level: int, known: bool, size: tuple[int, int]) -> None:
    h, skip = normal(2, 6, *size), normal(2, 4, *size, seed=1)
    factors = {"b1": 1.3, "b2": 1.5, "s1": 0.8, "s2": 0.3}
    expected = apply_freeu(level, torch.tensor(h), torch.tensor(skip), **factors)
    made = weighed_by_graph(h, skip, level, known=known)
    for ours, theirs in zip(made, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-6)


def test_the_lowest_frequencies_are_four() -> None:
    x = torch.tensor(normal(1, 1, 8, 8))
    rest = torch.fft.fft2(fourier_filter(x, 1, 0)).abs()[0, 0]
    # Real parts are taken, so half of each mirrored frequency stays.
    assert int((rest < 1e-4).sum()) == 1
    _, ours = weighed_by_graph(np.ones((1, 2, 8, 8), np.float32), x.numpy(), 1, known=True)
    np.testing.assert_allclose(ours.mean(), 0.3 * float(x.mean()), atol=1e-6)


@pytest.mark.parametrize(
    "extra",
    [Extra(perturbed=True), Extra(freeu=FACTORS), Extra(perturbed=True, freeu=FACTORS)],
    ids=["perturbed", "freeu", "both"],
)
def test_a_call_that_is_altered_is_that_of_torch(
    compiled: OpenVinoBackend, eager: TorchBackend, extra: Extra
) -> None:
    x, context = normal(2, 4, 8, 8), compiled.encode_text(ids())
    theirs = eager.asarray(x), 500.5, eager.asarray(context)
    expected = eager.to_numpy(eager.predict(*theirs, extra))
    ours = compiled.predict(x, 500.5, context, extra)
    np.testing.assert_allclose(ours, expected, atol=2e-5)
    assert np.abs(ours - compiled.predict(x, 500.5, context)).max() > 1e-2
    whole, features = compiled.predict_reusing(x, 500.5, context, None, extra)
    np.testing.assert_allclose(whole, expected, atol=2e-5)
    again, _ = compiled.predict_reusing(x, 500.5, context, features, extra)
    np.testing.assert_allclose(again, expected, atol=2e-5)


def test_layers_of_the_text_encoder_are_left_out(compiled: OpenVinoBackend, eager: TorchBackend) -> None:
    for skipped in (0, 1, 2):
        expected = eager.to_numpy(eager.encode_text(ids(), skipped))
        np.testing.assert_allclose(compiled.encode_text(ids(), skipped), expected, atol=2e-5)
    assert np.abs(compiled.encode_text(ids(), 1) - compiled.encode_text(ids())).max() > 1e-2


def test_what_is_altered_is_stored_under_a_key_of_its_own(tmp_path: Path) -> None:
    files = locate(tiny_folder())
    place = CachePlace(tmp_path, "0" * 64)
    backend = load_openvino(files, "float32", place)
    x, context = normal(1, 4, 8, 8), normal(1, 16, 32)
    plain = backend.predict(x, 500.0, context)
    made = [backend.predict(x, 500.0, context, one) for one in (Extra(perturbed=True), Extra(freeu=FACTORS))]
    backend.store()
    assert len(list(place.of_precision("float32").iterdir())) == 3
    again = load_openvino(files, "float32", place)
    np.testing.assert_array_equal(again.predict(x, 500.0, context), plain)
    np.testing.assert_array_equal(again.predict(x, 500.0, context, Extra(perturbed=True)), made[0])
    other = FreeU(b1=1.0, b2=1.0, s1=1.0, s2=1.0)
    np.testing.assert_allclose(again.predict(x, 500.0, context, Extra(freeu=other)), plain, atol=2e-5)
    assert again.cache is not None
    assert not again.cache.written


def test_what_was_made_ready_is_what_is_used(tmp_path: Path) -> None:
    backend = load_openvino(locate(tiny_folder()), "float32", CachePlace(tmp_path, "0" * 64))
    backend.prepare(Work((1, 16), 2, 8, 8, reusing=True, skipped=1, perturbed=1, freeu=True))
    backend.encode_text(ids()[:1], 1)
    both = Extra(freeu=FACTORS), Extra(freeu=FACTORS, perturbed=True)
    for extra, rows in zip(both, (2, 1), strict=True):
        x, context = normal(rows, 4, 8, 8), normal(rows, 16, 32)
        _, features = backend.predict_reusing(x, 500.0, context, None, extra)
        backend.predict_reusing(x, 500.0, context, features, extra)
    made: list[Any] = [*backend.unet._requests]  # pyright: ignore[reportPrivateUsage]
    keys = [key[-1] for key in made]
    assert sorted(keys, key=repr) == sorted([Altered(freeu=True)] * 3 + [Altered(True, True)], key=repr)


def test_the_usual_graph_has_no_name_of_its_own() -> None:
    assert Altered.by(Extra()) == AS_IT_IS

"""What is stored of a model, and that a process which reads it back computes the same."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sfumato.models.backends.openvino import networks
from sfumato.models.backends.openvino.backend import OpenVinoBackend, load_openvino
from sfumato.models.backends.openvino.cache import HEAD_BYTES, CachePlace
from sfumato.models.backends.openvino.compiling import (
    GraphsStored,
    Job,
    Usual,
    compile_graphs,
    jobs_of,
    omitted,
    worth_storing,
)
from sfumato.models.files import ModelFiles, locate
from tiny_models import tiny_folder

USUAL = Usual(tokens=16, channels=4, height=8, width=8)
REUSED = "unet with features reused"


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    return locate(tiny_folder())


@pytest.fixture(scope="module")
def expected(files: ModelFiles) -> list[NDArray[np.float32]]:
    """What is computed in float32 without a cache."""
    return all_outputs(load_openvino(files, "float32"))


@pytest.fixture(scope="module")
def stored_once(files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    store(files, folder)
    return folder


@pytest.fixture
def stored(stored_once: Path, tmp_path: Path) -> Path:
    """A folder in which the tiny model is compiled in float32."""
    return shutil.copytree(stored_once, tmp_path / "stored")


def store(files: ModelFiles, folder: Path, dtype: str = "float32") -> list[GraphsStored]:
    place = CachePlace(folder, files.digest(), storing=True)
    return list(compile_graphs(load_openvino(files, dtype, place), USUAL))


def reading(files: ModelFiles, folder: Path, dtype: str = "float32") -> OpenVinoBackend:
    return load_openvino(files, dtype, CachePlace(folder, files.digest()))


def all_outputs(backend: OpenVinoBackend) -> list[NDArray[np.float32]]:
    """Every call that drawing one picture can make, with and without guidance and reuse."""
    rng = np.random.default_rng(0)
    text = backend.encode_text(rng.integers(0, 600, (1, 16)))
    outputs = [text]
    for rows in (2, 1):
        x = rng.standard_normal((rows, 4, 8, 8)).astype(np.float32)
        context = np.concatenate([text] * rows)
        whole, features = backend.predict_reusing(x, 400.0, context, None)
        again, _ = backend.predict_reusing(x + 1, 399.0, context, features)
        outputs += [backend.predict(x, 400.0, context), whole, features, again, backend.decode(x[:1])]
    return outputs


def make_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "SMALL_BYTES", 0)


def agree(ones: list[NDArray[np.float32]], others: list[NDArray[np.float32]]) -> None:
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_what_is_read_back_computes_the_same(dtype: str, files: ModelFiles, tmp_path: Path) -> None:
    events = store(files, tmp_path, dtype)
    backend = reading(files, tmp_path, dtype)
    agree(all_outputs(backend), all_outputs(load_openvino(files, dtype)))
    assert backend.notes == ()
    sizes = [path.stat().st_size for path in (tmp_path / files.digest() / dtype).iterdir()]
    assert (events[-1].num_graphs, events[-1].num_bytes) == (len(sizes), sum(sizes)) == (8, sum(sizes))
    assert [event.finished for event in events] == list(range(1, events[0].total + 1))


def test_nothing_that_one_picture_needs_is_missing(
    files: ModelFiles, stored: Path, expected: list[NDArray[np.float32]], tmp_path: Path
) -> None:
    copy = locate(Path(shutil.copytree(files.folder, tmp_path / "model")))
    backend = reading(copy, stored)
    for network in (copy.text_encoder, copy.unet, copy.vae):
        network.weights.write_bytes(bytes(network.weights.stat().st_size))  # nothing to build from
    agree(all_outputs(backend), expected)


def test_a_damaged_graph_is_built_and_noted(
    files: ModelFiles, stored: Path, expected: list[NDArray[np.float32]]
) -> None:
    for path in (stored / files.digest() / "float32").iterdir():
        data = bytearray(path.read_bytes())
        data[HEAD_BYTES + len(data) // 2] ^= 4
        path.write_bytes(data)
    backend = reading(files, stored)
    assert backend.notes == ()  # heads are whole
    agree(all_outputs(backend), expected)
    (note,) = backend.notes
    assert "does not hold what was written" in note


def test_precisions_and_models_are_kept_apart(files: ModelFiles, stored: Path) -> None:
    for dtype, digest in (("bfloat16", files.digest()), ("float32", "0" * 64)):
        backend = load_openvino(files, dtype, CachePlace(stored, digest))
        assert backend.cache is not None
        assert backend.cache.find("text_encoder", (1, 16)) is None
        assert backend.notes == ()
    found = reading(files, stored).cache
    assert found is not None
    assert found.find("text_encoder", (1, 16)) is not None


def test_storing_again_leaves_the_same_files(files: ModelFiles, stored: Path) -> None:
    folder = stored / files.digest() / "float32"
    first = {path.name for path in folder.iterdir()}
    (folder / "0.graph").write_bytes(b"left over")
    store(files, stored)
    assert {path.name for path in folder.iterdir()} == first


def test_small_networks_are_stored_whatever_the_precision(files: ModelFiles) -> None:
    jobs = [("text encoder", 1), ("unet", 2), ("unet", 1), (REUSED, 2), (REUSED, 1), ("decoder", 1)]
    for dtype in ("float32", "bfloat16", "int8"):
        assert [(job.what, job.rows) for job in jobs_of(files, dtype)] == jobs
        assert omitted(files, dtype) == ()
    assert networks.is_small(files.unet)


def test_of_large_networks_only_eight_bits_are_stored(
    files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_large(monkeypatch)
    for dtype in ("float32", "bfloat16"):
        assert jobs_of(files, dtype) == ()
        assert omitted(files, dtype) == ("text encoder", "unet", "decoder")
    assert jobs_of(files, "int8") == (Job("text encoder", 1), Job("unet", 2))
    assert omitted(files, "int8") == ("decoder",)
    assert not worth_storing(files.vae, "int8")
    assert jobs_of(files, "int8-full") == (Job("unet", 2),)
    assert omitted(files, "int8-full") == ("text encoder", "decoder")
    assert store(files, tmp_path, "int8")[-1].num_graphs == 2
    agree(all_outputs(reading(files, tmp_path, "int8")), all_outputs(load_openvino(files, "int8")))


def test_nothing_large_is_left_from_when_it_was_small(
    files: ModelFiles, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_large(monkeypatch)
    assert store(files, stored) == []
    assert list((stored / files.digest() / "float32").iterdir()) == []


def test_a_backend_that_stores_nothing_is_refused(files: ModelFiles, tmp_path: Path) -> None:
    for backend in (load_openvino(files, "float32"), reading(files, tmp_path)):
        with pytest.raises(ValueError, match="stores nothing"):
            list(compile_graphs(backend, USUAL))

"""Loaded models that are kept: loaded once, dropped in turn, and never under who uses them."""

import shutil
import threading
import weakref
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import sfumato
from sfumato.errors import ModelFileError
from sfumato.models import cache as cache_module
from sfumato.models.adapters.changes import Changes, NetworkChanges
from sfumato.models.adapters.kinds import Difference, Row
from sfumato.models.bundle import ModelBundle
from sfumato.models.cache import ModelCache
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.load import FoundModel, find_model, load
from sfumato.settings import Settings
from tiny_controlnets import write_controlnet
from tiny_models import temporary_folder, tiny_settings, write_tiny_model

KEY = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"


@pytest.fixture(scope="module")
def folders() -> tuple[Path, ...]:
    parent = temporary_folder() / "cached"
    return tuple(write_tiny_model(parent / f"model-{seed}", seed=seed) for seed in range(3))


@pytest.fixture
def settings() -> Settings:
    return tiny_settings()


@pytest.fixture
def found(folders: tuple[Path, ...], settings: Settings) -> tuple[FoundModel, ...]:
    return tuple(find_model(str(one), settings) for one in folders)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of models that were loaded, in order; loading is the real thing."""
    names: list[str] = []

    def counted(one: FoundModel, *others: object) -> ModelBundle:
        names.append(one.defaults.name)
        return load(one, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(cache_module, "load", counted)
    return names


def names(cache: ModelCache) -> list[str]:
    return [one.name for one in cache.models]


def test_a_model_is_loaded_once(found: tuple[FoundModel, ...], settings: Settings, loads: list[str]) -> None:
    cache = ModelCache()
    with cache.lease(found[0], settings) as first:
        assert cache.models[0].users == 1
    with cache.lease(found[0], settings) as again:
        assert again.backend is first.backend
        assert again.seconds["import"] == first.seconds["import"]
    assert loads == ["model-0"]
    assert cache.models[0].users == 0
    assert cache.models[0].num_bytes > 1_000_000


def test_what_finding_a_model_said_is_said_of_that_find_alone(
    found: tuple[FoundModel, ...], settings: Settings
) -> None:
    cache = ModelCache()
    for notes in (("beside",), (), ("elsewhere", "beside")):
        other = replace(found[0], notes=notes, defaults=replace(found[0].defaults))  # as it is found anew
        with cache.lease(other, settings, (64, 64)) as bundle:
            assert bundle.notes[: len(notes)] == notes
            assert "beside" not in bundle.notes[len(notes) :]


def test_the_least_recently_used_goes(
    found: tuple[FoundModel, ...], settings: Settings, loads: list[str]
) -> None:
    cache = ModelCache(max_models=2)
    for one in (found[0], found[1], found[0], found[2]):
        with cache.lease(one, settings):
            pass
    assert names(cache) == ["model-0", "model-2"]
    with cache.lease(found[1], settings):
        pass
    assert names(cache) == ["model-2", "model-1"]
    assert loads == ["model-0", "model-1", "model-2", "model-1"]


def test_bytes_are_a_limit(found: tuple[FoundModel, ...], settings: Settings) -> None:
    size = sum(one.num_bytes for one in found[0].files.networks)
    cache = ModelCache(max_bytes=size * 5 // 2)
    for one in found:
        with cache.lease(one, settings):
            pass
    assert names(cache) == ["model-1", "model-2"]
    # One that is too large by itself is used, and goes.
    small = ModelCache(max_bytes=size // 2)
    with small.lease(found[0], settings):
        assert names(small) == ["model-0"]
    assert names(small) == []


def test_a_model_in_use_stays(found: tuple[FoundModel, ...], settings: Settings) -> None:
    cache = ModelCache(max_models=1)
    with ExitStack() as stack:
        first = stack.enter_context(cache.lease(found[0], settings))
        stack.enter_context(cache.lease(found[1], settings))
        assert names(cache) == ["model-0", "model-1"]
        cache.clear()
        assert names(cache) == ["model-0", "model-1"]
        with cache.lease(found[0], settings) as again:
            assert again.backend is first.backend
    assert len(names(cache)) == 1
    cache.clear()
    assert names(cache) == []


def test_what_is_dropped_is_gone(found: tuple[FoundModel, ...], settings: Settings) -> None:
    cache = ModelCache(max_models=1)
    with cache.lease(found[0], settings) as bundle:
        gone = weakref.ref(bundle.backend)
    del bundle
    with cache.lease(found[1], settings):
        assert gone() is None


def test_settings_that_matter_tell_models_apart(
    found: tuple[FoundModel, ...], settings: Settings, loads: list[str]
) -> None:
    cache = ModelCache()
    with cache.lease(found[0], settings):
        pass
    for other in (replace(settings, dtype="bfloat16"), replace(settings, storage="int8")):
        with cache.lease(found[0], other) as bundle:
            assert bundle.backend.name != "torch cpu float32"
    with cache.lease(found[0], replace(settings, max_count=3)):
        pass
    assert len(loads) == 3


def test_a_copy_under_another_name(
    folders: tuple[Path, ...], found: tuple[FoundModel, ...], settings: Settings, tmp_path: Path
) -> None:
    other = find_model(str(shutil.copytree(folders[0], tmp_path / "copy")), settings)
    cache = ModelCache()
    with cache.lease(found[0], settings) as first, cache.lease(other, settings) as second:
        assert (first.name, second.name) == ("model-0", "copy")
        assert first.backend is second.backend


def test_threads_wait_for_one_that_loads(
    found: tuple[FoundModel, ...], settings: Settings, loads: list[str]
) -> None:
    cache, start = ModelCache(), threading.Barrier(6)
    got: list[object] = []

    def use(one: FoundModel) -> None:
        start.wait()
        for _ in range(3):
            with cache.lease(one, settings) as bundle:
                got.append(bundle.backend)

    threads = [threading.Thread(target=use, args=(found[number % 2],)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(loads) == ["model-0", "model-1"]
    assert len(got) == 18
    assert len({id(one) for one in got}) == 2
    assert [one.users for one in cache.models] == [0, 0]


def test_what_cannot_be_loaded_leaves_nothing(
    folders: tuple[Path, ...], settings: Settings, tmp_path: Path
) -> None:
    folder = shutil.copytree(folders[0], tmp_path / "broken")
    config = folder / "unet" / "config.json"
    config.write_text(config.read_text().replace('"layers_per_block": 1', '"layers_per_block": 2'))
    broken = find_model(str(folder), settings)
    cache = ModelCache()
    for _ in range(2):
        with pytest.raises(ModelFileError), cache.lease(broken, settings):
            pass
    assert names(cache) == []


def test_what_lies_over_a_model_and_steers_it_counts_and_goes_first(
    found: tuple[FoundModel, ...], settings: Settings, tmp_path: Path
) -> None:
    size = sum(one.num_bytes for one in found[0].files.networks)
    cache = ModelCache(max_bytes=size * 5 // 2)
    write_controlnet(tmp_path / "lines")
    control = locate_controlnet(tmp_path / "lines")
    row = Row(KEY, KEY, "difference", Difference(np.ones((16, 16), np.float32)))
    with cache.lease(found[0], settings) as bundle:
        bundle.backend.adapted(Changes("a", {"unet": NetworkChanges({KEY: ((row, 1.0),)})}))
        bundle.backend.control(control)
        assert cache.models[0].num_bytes == size  # what is in use is counted when it is left
    beside = 16 * 16 * 4 + control.network.num_bytes
    assert bundle.backend.beside == beside
    assert cache.models[0].num_bytes == size + beside
    with cache.lease(found[1], settings):
        pass
    assert [one.num_bytes for one in cache.models] == [size + beside, size]
    small = ModelCache(max_bytes=2 * size + beside // 2)
    with small.lease(found[0], settings) as bundle:
        bundle.backend.control(control)
    with small.lease(found[1], settings):
        pass
    # There is room for both models, and not for what steers the first.
    assert [one.num_bytes for one in small.models] == [size, size]
    assert names(small) == ["model-0", "model-1"]


def test_pictures_from_a_cache(folders: tuple[Path, ...], settings: Settings, loads: list[str]) -> None:
    cache = ModelCache.of(settings)
    drawn = [_picture(folders[0], settings, cache) for _ in range(2)]
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] == _picture(folders[0], settings, None)).all()
    assert loads == ["model-0"]
    assert [one.users for one in cache.models] == [0]


def test_switching_leaves_memory_where_it_was(
    folders: tuple[Path, ...], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never more than one model; tests/model_switches.py measures the same at full size."""
    loaded: list[weakref.ref[object]] = []
    alive: list[int] = []

    def watched(one: FoundModel, *others: object) -> ModelBundle:
        alive.append(sum(each() is not None for each in loaded))  # before there is one more
        bundle = load(one, *others)  # type: ignore[arg-type]
        loaded.append(weakref.ref(bundle.backend))
        return bundle

    monkeypatch.setattr(cache_module, "load", watched)
    cache = ModelCache(max_models=1)
    for number in range(6):
        _picture(folders[number % 2], settings, cache)
    assert alive == [0] * 6
    cache.clear()
    assert not any(each() is not None for each in loaded)


def _picture(folder: Path, settings: Settings, cache: ModelCache | None) -> NDArray[np.uint8]:
    part = sfumato.TextPart(prompt="a frog")
    recipe = sfumato.Recipe(model=str(folder), parts=(part,), seed=1, steps=1, width=64, height=64)
    events = sfumato.run(recipe, settings, cache=cache)
    return next(one.pixels.copy() for one in events if isinstance(one, sfumato.Picture))


def test_one_is_dropped_by_its_name_unless_it_is_used(
    found: tuple[FoundModel, ...], settings: Settings
) -> None:
    cache = ModelCache()
    name = found[0].defaults.name
    assert not cache.drop(name)
    with cache.lease(found[0], settings):
        assert not cache.drop(name)
    with cache.lease(found[1], settings):
        assert cache.drop(name)
    assert [one.name for one in cache.models] == [found[1].defaults.name]

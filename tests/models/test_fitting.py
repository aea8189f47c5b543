"""Less of a model in memory, as much as has to be, and a sentence about it."""

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import InputError
from sfumato.models.backends.selection import TORCH_STACK
from sfumato.models.estimate import Drawing, Way, estimate
from sfumato.models.files import ModelFiles, locate
from sfumato.models.fitting import Fitted, Room, decodes_within, fits, fitted, kept_bytes, room_of, way_of
from sfumato.models.load import LARGE, find_model, load
from sfumato.settings import Settings
from sparse_models import write_sparse
from tiny_models import tiny_folder, tiny_settings

SIDE = 512
TORCH = Settings(data_dir=Path("/nowhere"), backend="torch", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """The tiny model with a UNet and text of 400 and 80 million numbers, which are holes in a file."""
    folder, found = tmp_path_factory.mktemp("large"), locate(tiny_folder())
    shapes = {f"layers.{number}.weight": (2000, 2000) for number in range(100)}
    unet = write_sparse(folder / "unet.safetensors", shapes)
    text = write_sparse(folder / "text.safetensors", dict(list(shapes.items())[:20]))
    return replace(
        found,
        unet=replace(found.unet, weights=unet),
        text_encoder=replace(found.text_encoder, weights=text),
    )


def needed(files: ModelFiles, **changes: str) -> int:
    made = estimate(files, replace(Way("torch", "float32"), **changes), Drawing(SIDE, SIDE))
    return made.needed + made.libraries


def at(files: ModelFiles, limit: int, **changes: object) -> tuple[str, str, int | None]:
    made = fitted(files, replace(TORCH, max_memory=limit, **changes), "torch", SIDE, SIDE)  # type: ignore[arg-type]
    return made.settings.offload, made.settings.storage, made.max_latents


def test_as_asked_where_it_fits(files: ModelFiles) -> None:
    made = fitted(files, replace(TORCH, max_memory=needed(files)), "torch", SIDE, SIDE)
    assert made.settings.offload == "auto"
    assert (made.max_latents, made.notes) == (None, ())


def test_ways_in_their_order(files: ModelFiles) -> None:
    whole = needed(files)
    assert at(files, whole - 1)[:2] == ("none", "whole")  # in tiles
    assert at(files, whole - 1)[2] == SIDE * SIDE // 64 // 4
    assert at(files, needed(files, offload="component"))[:2] == ("component", "whole")
    assert at(files, needed(files, offload="component", storage="int8"))[:2] == ("component", "int8")
    assert at(files, needed(files, offload="sequential"))[:2] == ("sequential", "whole")


def test_what_was_asked_for_stays(files: ModelFiles) -> None:
    limit = needed(files, offload="component", storage="int8")
    assert at(files, limit, storage="whole")[:2] == ("sequential", "whole")
    with pytest.raises(InputError):
        at(files, limit, offload="none")
    assert at(files, limit, offload="component", storage="int8") == ("component", "int8", None)


def test_notes_say_why(files: ModelFiles) -> None:
    limit = needed(files, offload="component")
    (note,) = fitted(files, replace(TORCH, max_memory=limit), "torch", SIDE, SIDE).notes
    assert note.startswith("Drawing 512x512 with all of this model in memory would take about 2.")
    assert f"SFUMATO_MAX_MEMORY allows {limit / 1e9:.1f} GB: one network at a time" in note


def test_a_refiner_has_room_as_well(files: ModelFiles) -> None:
    def with_refiner(limit: int) -> Fitted:
        return fitted(files, replace(TORCH, max_memory=limit), "torch", SIDE, SIDE, files)

    stays = kept_bytes(files, TORCH, "torch", SIDE, SIDE)
    assert with_refiner(needed(files) + stays).notes == ()
    assert at(files, needed(files) + stays - 1) == ("auto", "auto", None)  # alone it has room
    tight = with_refiner(needed(files))
    assert tight.settings.offload == "component"  # one network of both
    assert "with all of this model and its refiner in memory" in tight.notes[0]
    limited = replace(TORCH, max_memory=needed(files))
    assert fits(files, limited, "torch", SIDE, SIDE)
    assert not fits(files, limited, "torch", SIDE, SIDE, files)
    with pytest.raises(InputError, match="with this model and its refiner takes about"):
        with_refiner(1_000_000)


def test_nothing_fits(files: ModelFiles) -> None:
    with pytest.raises(InputError, match=r"memory: .* takes about 0\.\d GB at the least, and SFUMATO"):
        at(files, 400_000_000)


def test_torch_goes_on_for_openvino(files: ModelFiles) -> None:
    free = Settings(data_dir=Path("/nowhere"), device="cpu")
    least = estimate(files, way_of(free, "openvino"), Drawing(SIDE, SIDE, max_latents=256))
    limited = replace(free, max_memory=least.needed + least.libraries - 1)
    made = fitted(files, limited, "openvino", SIDE, SIDE)
    assert made.settings.backend == "torch"
    assert made.settings.dtype in ("bfloat16", "float32")
    assert "torch draws instead of openvino (--backend torch); " in made.notes[0]
    with pytest.raises(InputError):
        fitted(files, replace(limited, backend="openvino"), "openvino", SIDE, SIDE)


def test_rooms() -> None:
    assert room_of(replace(TORCH, max_memory=5), "torch") == Room("cpu", 5, total=True)
    assert room_of(replace(TORCH, device="cuda:1", max_memory=5), "torch").device == "cuda"
    own = room_of(TORCH, "torch")
    assert own.device == "cpu"
    assert own.free > 100_000_000
    assert len(TORCH_STACK) == 3


def test_what_auto_becomes() -> None:
    auto = replace(TORCH, dtype="auto")
    assert way_of(auto, "torch") == Way("torch", "float32")
    assert way_of(auto, "torch", "cuda") == Way("torch", "float16", "cuda")
    assert way_of(auto, "openvino").dtype in ("bfloat16", "float32")


def test_a_cache_asks(files: ModelFiles) -> None:
    limited = replace(TORCH, max_memory=needed(files) - 1)
    assert not fits(files, limited, "torch", SIDE, SIDE)
    assert fits(files, replace(TORCH, max_memory=needed(files)), "torch", SIDE, SIDE)
    assert not fits(files, replace(TORCH, max_memory=1_000_000), "torch", SIDE, SIDE)
    assert kept_bytes(files, limited, "torch", SIDE, SIDE) == pytest.approx(4 * 480e6, rel=0.01)


def test_larger_pictures_of_a_loaded_model(files: ModelFiles) -> None:
    room = needed(files)
    assert decodes_within(files, replace(TORCH, max_memory=room + 10**9), "torch", SIDE, SIDE) is None
    tight = replace(TORCH, max_memory=kept_bytes(files, TORCH, "torch", SIDE, SIDE) + 600_000_000)
    assert decodes_within(files, tight, "torch", 4096, 4096) == 256
    assert decodes_within(files, TORCH, "torch", 64, 64) is None


def test_loading_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model, taken for a large one: it is loaded as it fits, and says so."""
    monkeypatch.setattr("sfumato.models.load.LARGE", 1)
    settings = tiny_settings()
    found = find_model(str(tiny_folder()), settings)
    native = Drawing(found.defaults.width, found.defaults.height)
    less = estimate(found.files, Way("torch", "float32", offload="component"), native)
    limit = less.needed + less.libraries
    bundle = load(found, replace(settings, max_memory=limit))
    assert any("--offload component" in note for note in bundle.notes)
    assert bundle.settings is not None
    assert bundle.settings.offload == "component"
    plain = load(found, settings)
    assert plain.settings is None
    assert not any("--offload" in note for note in plain.notes)
    whole = estimate(found.files, Way("torch", "float32"), native)
    enough = replace(settings, max_memory=whole.needed + whole.libraries)
    assert load(found, enough).settings is None
    both = load(found, enough, refiner=found)  # there is no room for a second one
    assert both.settings is not None
    assert any("and its refiner" in note for note in both.notes)
    assert LARGE > 100_000_000


def test_a_small_model_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.models.fitting.fitted", None)
    settings = tiny_settings()
    assert load(find_model(str(tiny_folder()), settings), settings).backend.name == "torch cpu float32"

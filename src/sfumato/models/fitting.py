"""What of a model is in memory, so that drawing with it fits: decided from the estimate, before it is loaded.

The first of these that fits is taken: as it was asked for; decoding in tiles; one network in memory at a time;
weights in eight bits besides; one layer at a time. Where openvino was chosen freely and does not fit, torch
goes on. Models of up to SMALL bytes fit everywhere, and nothing is looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Final

from sfumato.errors import InputError
from sfumato.models.backends.selection import TORCH_STACK
from sfumato.models.estimate import Drawing, Estimate, Way, estimate
from sfumato.models.files import ModelFiles
from sfumato.models.memory import available_memory
from sfumato.models.tiling import SMALLEST
from sfumato.settings import Settings

#: What the ways are called in notes, in the order in which they are tried.
WAYS: Final = (
    ("none", "whole", ""),
    ("component", "whole", "one network at a time is in memory (--offload component)"),
    ("component", "int8", "its weights are in eight bits, one network at a time (--storage int8)"),
    ("sequential", "whole", "one layer at a time is in memory (--offload sequential), which is slow"),
)
TILES: Final = "pictures are decoded in tiles, which may differ a little in tone"


@dataclass(frozen=True)
class Fitted:
    """How a model is to be loaded: with `settings`, and with `max_latents` decoded at a time at most (None:
    as many as ever). `notes` say what was changed and why.
    """

    settings: Settings
    max_latents: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Room:
    """The kind of the device that draws ("cpu", "cuda", "mps"), and the bytes of its memory that are `free`
    for a model. `total`: libraries count as well, as it is all that a process may take.
    """

    device: str
    free: int
    total: bool = False

    def holds(self, made: Estimate) -> bool:
        """Tell whether what is estimated fits."""
        return made.needed + (made.libraries if self.total else 0) <= self.free


def fitted(files: ModelFiles, settings: Settings, backend: str, drawing: Drawing) -> Fitted:
    """Return how the model of `files` is loaded, so that `drawing` with `backend` ("torch" or "openvino",
    that can be imported) fits into the memory that is there, or into `Settings.max_memory`.

    Raises InputError when nothing fits, and ModelFileError for files that cannot be read.
    """
    room = room_of(settings, backend)
    whole = (drawing.width // _side(files)) * (drawing.height // _side(files))
    wanted: Estimate | None = None
    least: Estimate | None = None
    for way, words in _ways(settings, backend, room.device):
        for tile in (None, whole // 4, SMALLEST * SMALLEST):
            asked = drawing if tile is None else replace(drawing, max_latents=max(SMALLEST**2, tile))
            made = estimate(files, way, asked)
            wanted = made if wanted is None else wanted
            least = made if least is None or made.needed < least.needed else least
            if room.holds(made):
                changes = [one for one in (words, "" if tile is None else TILES) if one]
                return _fitted(settings, way, asked, changes, _because(wanted, room, drawing))
    assert least is not None  # there is one way at least
    raise _nothing_fits(least, room, drawing)


def room_of(settings: Settings, backend: str) -> Room:
    """Return the memory that drawing with `backend` may take. Raises InputError for a device that is not
    here.
    """
    if settings.max_memory is not None:
        kind = settings.device.partition(":")[0]
        return Room("cpu" if backend == "openvino" or kind == "auto" else kind, settings.max_memory, True)
    if backend == "openvino":
        return Room("cpu", available_memory())
    from sfumato.models.backends.torch_room import room  # imports torch, which is needed next anyway

    device, free = room(settings.device)
    return Room(device, free)


def way_of(settings: Settings, backend: str, device: str = "cpu") -> Way:
    """Return how `settings` have a model run with `backend`, "auto" being what it becomes."""
    dtype = settings.dtype
    if dtype == "auto":
        dtype = _quick() if backend == "openvino" else "float32" if device == "cpu" else "float16"
    offload = "none" if settings.offload == "auto" else settings.offload
    storage = "whole" if settings.storage == "auto" else settings.storage
    return Way(backend, dtype, device, offload, storage)


def _quick() -> str:
    from sfumato.models.backends.openvino.networks import has_bfloat16, shared_core

    return "bfloat16" if has_bfloat16(shared_core()) else "float32"


def _ways(settings: Settings, backend: str, device: str) -> Iterator[tuple[Way, str]]:
    """Yield how a model can be run, what was asked for first, and what is different."""
    asked = way_of(settings, backend, device)
    yield asked, ""
    if backend == "openvino":
        free = settings.backend == "auto" and settings.dtype == "auto"
        if not free or any(find_spec(name) is None for name in TORCH_STACK):
            return
        asked = replace(asked, backend="torch")
        yield asked, "torch draws instead of openvino (--backend torch)"
    for offload, storage, words in WAYS:
        kept = settings.offload not in ("auto", offload) or settings.storage not in ("auto", storage)
        if words and not kept:
            yield replace(asked, offload=offload, storage=storage), words


def _fitted(settings: Settings, way: Way, drawing: Drawing, changes: list[str], because: str) -> Fitted:
    if not changes:
        return Fitted(settings)
    if way.backend != "openvino" and settings.backend == "auto":
        dtype = settings.dtype if settings.dtype != "auto" else way.dtype
        settings = replace(settings, backend="torch", dtype=dtype)
    settings = replace(settings, offload=way.offload, storage=way.storage)
    return Fitted(settings, drawing.max_latents, (f"{because}: {'; '.join(changes)}.",))


def _because(made: Estimate, room: Room, drawing: Drawing) -> str:
    return (
        f"Drawing {drawing.width}x{drawing.height} with all of this model in memory would take about "
        f"{_size(made, room)}, and {_limit(room)}"
    )


def _nothing_fits(least: Estimate, room: Room, drawing: Drawing) -> InputError:
    return InputError(
        f"drawing {drawing.width}x{drawing.height} with this model takes about {_size(least, room)} at the "
        f"least, and {_limit(room)}",
        field="memory",
        hint="Draw a smaller picture, close other programs, or set SFUMATO_MAX_MEMORY to what it may take.",
    )


def _size(made: Estimate, room: Room) -> str:
    return f"{(made.needed + (made.libraries if room.total else 0)) / 1e9:.1f} GB"


def _limit(room: Room) -> str:
    if room.total:
        return f"SFUMATO_MAX_MEMORY allows {room.free / 1e9:.1f} GB"
    where = "" if room.device == "cpu" else " of the GPU"
    return f"{room.free / 1e9:.1f} GB of memory{where} are free"


def _side(files: ModelFiles) -> int:
    """Return how many pixels a latent spans per side."""
    return 2 ** (len(files.vae.config["block_out_channels"]) - 1)

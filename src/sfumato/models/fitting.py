"""What of a model is in memory, so that drawing with it fits: decided from the estimate, before it is loaded.

The first of these that fits is taken: as it was asked for; decoding in tiles; one network in memory at a
time; weights in eight bits besides; one layer at a time. Where openvino was chosen freely and does not fit,
torch goes on. Small models fit everywhere: `sfumato.models.load.load` does not ask for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Final

from sfumato.errors import InputError
from sfumato.models.backends.selection import TORCH_STACK
from sfumato.models.estimate import LIBRARIES, Drawing, Estimate, Way, decode_bytes, estimate, together
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


def fitted(
    files: ModelFiles,
    settings: Settings,
    backend: str,
    width: int,
    height: int,
    refiner: ModelFiles | None = None,
) -> Fitted:
    """Return how the model of `files` is loaded, so that drawing `width` x `height` pixels with `backend`
    ("torch" or "openvino", that can be imported) fits into the memory that is there, or into
    `Settings.max_memory`; together with a `refiner` that is loaded in the same way next.

    Raises InputError when nothing fits, and ModelFileError for files that cannot be read.
    """
    room = room_of(settings, backend)
    drawing = Drawing(width, height)
    side = 2 ** (len(files.vae.config["block_out_channels"]) - 1)
    whole = (width // side) * (height // side)
    wanted: Estimate | None = None
    least: Estimate | None = None
    for way, words in _ways(settings, backend, room.device):
        for tile in (None, whole // 4, SMALLEST * SMALLEST):
            asked = drawing if tile is None else replace(drawing, max_latents=max(SMALLEST**2, tile))
            made = _made(files, refiner, way, asked)
            wanted = made if wanted is None else wanted
            least = made if least is None or made.needed < least.needed else least
            if room.holds(made):
                changes = [one for one in (words, "" if tile is None else TILES) if one]
                return _fitted(settings, way, asked, changes, _because(wanted, room, drawing, refiner))
    assert least is not None  # there is one way at least
    raise _nothing_fits(least, room, drawing, refiner)


def fits(
    files: ModelFiles,
    settings: Settings,
    backend: str,
    width: int,
    height: int,
    refiner: ModelFiles | None = None,
) -> bool:
    """Tell whether `fitted` would leave everything as it is asked for."""
    try:
        return not fitted(files, settings, backend, width, height, refiner).notes
    except InputError:
        return False


def kept_bytes(files: ModelFiles, settings: Settings, backend: str, width: int, height: int) -> int:
    """Return the bytes that a model takes while nothing is drawn: openvino frees nothing in between."""
    drawing = Drawing(width, height)
    made = estimate(files, way_of(settings, backend, room_of(settings, backend).device), drawing)
    return made.needed if backend == "openvino" else made.loaded - made.libraries


def decodes_within(
    files: ModelFiles, settings: Settings, backend: str, width: int, height: int
) -> int | None:
    """Return how many latents may be decoded at a time with a model that is loaded already, for pictures of
    another size than it was loaded for; None for as many as ever.
    """
    room = room_of(settings, backend)
    way = way_of(settings, backend, room.device)
    free = room.free
    if room.total:
        free -= kept_bytes(files, settings, backend, width, height) + LIBRARIES[backend]
    least = SMALLEST * SMALLEST
    side = 2 ** (len(files.vae.config["block_out_channels"]) - 1)
    for tile in (None, max(least, width * height // side**2 // 4)):
        if decode_bytes(files.vae.config, way, Drawing(width, height, max_latents=tile)) <= free:
            return tile
    return least


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
    asked, first = way_of(settings, backend, device), ""
    yield asked, first
    if backend == "openvino":
        free = settings.backend == "auto" and settings.dtype == "auto"
        if not free or any(find_spec(name) is None for name in TORCH_STACK):
            return
        asked, first = replace(asked, backend="torch"), "torch draws instead of openvino (--backend torch)"
        yield asked, first
    for offload, storage, words in WAYS:
        kept = settings.offload not in ("auto", offload) or settings.storage not in ("auto", storage)
        if words and not kept:
            both = "; ".join(one for one in (first, words) if one)
            yield replace(asked, offload=offload, storage=storage), both


def _fitted(settings: Settings, way: Way, drawing: Drawing, changes: list[str], because: str) -> Fitted:
    if not changes:
        return Fitted(settings)
    if way.backend != "openvino" and settings.backend == "auto":
        dtype = settings.dtype if settings.dtype != "auto" else way.dtype
        settings = replace(settings, backend="torch", dtype=dtype)
    settings = replace(settings, offload=way.offload, storage=way.storage)
    return Fitted(settings, drawing.max_latents, (f"{because}: {'; '.join(changes)}.",))


def _made(files: ModelFiles, refiner: ModelFiles | None, way: Way, drawing: Drawing) -> Estimate:
    made = estimate(files, way, drawing)
    if refiner is None:
        return made
    return together((made, estimate(refiner, way, drawing)), all_stays=way.backend == "openvino")


def _because(made: Estimate, room: Room, drawing: Drawing, refiner: ModelFiles | None) -> str:
    return (
        f"Drawing {drawing.width}x{drawing.height} with all of {_named(refiner)} in memory would take about "
        f"{_size(made, room)}, and {_limit(room)}"
    )


def _named(refiner: ModelFiles | None) -> str:
    return "this model" if refiner is None else "this model and its refiner"


def _nothing_fits(least: Estimate, room: Room, drawing: Drawing, refiner: ModelFiles | None) -> InputError:
    drawn = f"drawing {drawing.width}x{drawing.height} with {_named(refiner)}"
    return InputError(
        f"{drawn} takes about {_size(least, room)} at the least, and {_limit(room)}",
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

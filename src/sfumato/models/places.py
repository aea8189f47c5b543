"""Where the files of models lie in folders that people have already: those of A1111, ComfyUI and InvokeAI, of
Sfumato itself, and plain ones. Nothing is opened here, and nothing heavy is imported.

A folder of models is walked at most `MAX_DEPTH` deep and `MAX_ENTRIES` wide. What leads out of all folders of
models, by a symbolic link, is not followed: it is found with a problem, and has no name to draw with.
"""

import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sfumato.settings import Settings

Kind: TypeAlias = Literal["checkpoint", "lora", "embedding", "vae", "controlnet", "upscaler", "other"]

WEIGHTS: Final = ".safetensors"
PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin", ".pkl")  # listed, to say why they cannot be used
INDEX: Final = "model_index.json"  # in a diffusers folder
CONFIG: Final = "config.json"  # in the folder of one network
VAE_BESIDE: Final = ".vae"  # of NAME.vae.safetensors, the autoencoder that A1111 uses with NAME.safetensors
LEAVES: Final = "is a symbolic link that leaves the folders of models"
MAX_DEPTH: Final = 8
MAX_ENTRIES: Final = 50_000

# InvokeAI sorts by the family of the model first.
_BASES: Final = ("any", "sd-1", "sd-2", "sdxl", "sdxl-refiner")


def _invoke(kind: str) -> tuple[str, ...]:
    return tuple(f"{over}{base}/{kind}" for over in ("models/", "") for base in _BASES)


def _both(*names: str) -> tuple[str, ...]:
    """Whoever gives the program's folder and whoever gives the folder "models" in it mean the same."""
    return tuple(f"{over}{name}" for over in ("models/", "") for name in names)


#: Folders of each kind within a folder of models. What lies in none of them may be of any kind.
PLACES: Final[Mapping[Kind, Sequence[str]]] = {
    "checkpoint": (*_both("Stable-diffusion", "checkpoints", "diffusers", "Diffusers"), *_invoke("main")),
    "lora": (*_both("Lora", "LyCORIS", "loras"), *_invoke("lora")),
    "embedding": (*_both("embeddings"), "../embeddings", *_invoke("embedding")),
    "vae": (*_both("VAE", "vae", "VAE-approx", "vae_approx", "VAE-taesd"), *_invoke("vae")),
    "controlnet": (
        *_both("ControlNet", "controlnet", "controlnets", "t2i_adapter"),
        "extensions/sd-webui-controlnet/models",
        *_invoke("controlnet"),
        *_invoke("t2i_adapter"),
    ),
    "upscaler": (
        *_both("ESRGAN", "RealESRGAN", "upscale_models", "upscalers"),
        *_invoke("spandrel_image_to_image"),
    ),
    "other": (
        *_both("text_encoders", "clip", "clip_vision", "unet", "diffusion_models", "hypernetworks"),
        *_both("configs", "style_models", "gligen", "ipadapter", "Codeformer", "GFPGAN", "SwinIR", "LDSR"),
        *_invoke("ip_adapter"),
        *_invoke("clip_vision"),
        *_invoke("onnx"),
    ),
}
#: Only where their neighbour shows that the folder is A1111's "models": the folder above it is not ours else.
_NEIGHBOUR: Final[Mapping[str, str]] = {"../embeddings": "Stable-diffusion"}


@dataclass(frozen=True)
class Place:
    """A folder that holds files of one `kind`; None for a folder of models itself, which may hold all kinds.
    `deep` is whether folders in it belong to it, too.
    """

    path: Path
    kind: Kind | None
    deep: bool


@dataclass(frozen=True)
class Found:
    """A file or folder that looks like a model: called `name`, of the `kind` of its place. `problem` says why
    it cannot be used, as the end of a sentence. `full_name` has the folders before it, as far as its place.
    """

    name: str
    kind: Kind | None
    path: Path
    full_name: str
    problem: str | None = None


def roots(settings: Settings) -> tuple[Path, ...]:
    """Return the folders of models, those of the settings first."""
    return (*settings.model_dirs, settings.data_dir / "models", settings.data_dir)


def vae_beside(path: Path) -> Path | None:
    """Return the autoencoder that lies beside the single file `path` and is called after it, where one is. It
    may be a symbolic link, and lead anywhere: see `leads_inside`.
    """
    beside = path.with_name(f"{path.stem}{VAE_BESIDE}{WEIGHTS}")
    return beside if beside != path and beside.is_file() else None


def leads_inside(path: Path, settings: Settings) -> bool:
    """Tell whether a path that lies in a folder of models is no symbolic link that leaves them all: visitors
    draw with nothing else.
    """
    return _leads_inside(path, [_resolved(root) for root in roots(settings)])


def in_vae_places(names: Sequence[str], settings: Settings, wanted: Callable[[Path], bool]) -> Path | None:
    """Return the first file or folder of one of these names that lies directly in a place of autoencoders, or
    in a folder of models, is `wanted` and does not lead out; None where there is none.
    """
    inside = [_resolved(root) for root in roots(settings)]
    for place in places(settings, "vae"):
        for path in (place.path / name for name in names):
            if wanted(path) and _leads_inside(path, inside):
                return path
    return None


def places(settings: Settings, *kinds: Kind, loose: bool = True) -> tuple[Place, ...]:
    """Return the places of these kinds (none given: of all) that are there, each once, in the order in which
    names count; and where `loose` the folders of models themselves.
    """
    known: dict[tuple[int, int], Place] = {}
    for root in roots(settings):
        # The data folder also has pictures, caches and traces: only its places count.
        own = root == settings.data_dir
        # What lies loose in a folder depends on all places in it.
        inside = list(_places_of(root, () if loose else kinds))
        whole = [Place(root, None, deep=not inside)] if loose and not own else []
        for place in (*whole, *inside):
            unwanted = place.kind is not None and kinds and place.kind not in kinds
            if unwanted or (own and place.kind in ("checkpoint", "other")):
                continue
            if (key := _identity(place.path)) is not None:
                known.setdefault(key, place)
    return tuple(known.values())


def _places_of(root: Path, kinds: Sequence[Kind] = ()) -> Iterator[Place]:
    if not os.path.isdir(root) or os.path.isfile(root / INDEX):
        return  # a model has folders of its own
    for kind in kinds or PLACES:
        for name in PLACES[kind]:
            neighbour = _NEIGHBOUR.get(name)
            if (neighbour is None or os.path.isdir(root / neighbour)) and os.path.isdir(path := root / name):
                yield Place(path, kind, deep=True)


def find_all(settings: Settings, *kinds: Kind, loose: bool = True) -> Iterator[Found]:
    """Yield what there is of these kinds (none given: of all), in the order in which names count; what lies
    in no place of a kind may be of any, and comes along where `loose`.

    A name is that of the file without its ending, or of the folder, as Unicode composes it; a second file of
    that name has its folders before it, as far as its place.
    """
    there = places(settings, *kinds, loose=loose or not kinds)
    inside = [_resolved(root) for root in roots(settings)]
    inside += [_resolved(place.path) for place in there if ".." in place.path.parts]
    taken: set[tuple[Kind | None, str]] = set()
    for place in there:
        for path in _walk(place, inside):
            name, full_name = _name(path), _full_name(path, place.path)
            if (place.kind, name) in taken:
                name = full_name
            if (place.kind, name) in taken:
                continue
            taken.add((place.kind, name))
            yield Found(name, place.kind, path, full_name, _problem(path, inside))


def _walk(place: Place, inside: Sequence[Path]) -> Iterator[Path]:
    """Yield files of models and folders that are one below a place, sorted in each folder; of what leads out
    the link alone.
    """
    if not _leads_inside(place.path, inside):
        yield place.path
        return
    skipped = {_identity(other.path) for other in _places_of(place.path)} if place.kind is None else set()
    seen: set[tuple[int, int] | None] = {None}
    entries = 0
    waiting = [(place.path, 0)]
    while waiting:
        folder, depth = waiting.pop()
        identity = _identity(folder)
        if identity in seen or (depth and identity in skipped):
            continue
        seen.add(identity)
        here = _listed(folder)
        entries += len(here)
        if entries > MAX_ENTRIES:
            return
        if (depth or place.kind is None) and _is_model({one.name for one in here}):
            yield folder
            continue
        if depth and not place.deep:
            continue
        deeper: list[tuple[Path, int]] = []
        for entry in here:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.name.lower().endswith((WEIGHTS, *PICKLES)):
                yield path
            elif not _leads_inside(path, inside):
                if os.path.isdir(path):
                    yield path
            elif depth < MAX_DEPTH and os.path.isdir(path):
                deeper.append((path, depth + 1))
        waiting += reversed(deeper)


def _listed(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as here:
            return sorted(here, key=lambda one: one.name)
    except OSError:  # one that may not be read has nothing for us
        return []


def _is_model(names: set[str]) -> bool:
    """Tell whether a folder with files of these names is a model in diffusers' layout, or one network."""
    weights = any(one.startswith("diffusion_pytorch_model") for one in names)
    return INDEX in names or (CONFIG in names and weights)


def _problem(path: Path, inside: Sequence[Path]) -> str | None:
    if not path.name.isascii():
        try:
            path.name.encode()
        except UnicodeEncodeError:
            return "has a name that is not in UTF-8: rename it"
    if path.suffix.lower() in PICKLES:
        return "is a pickle, which can run any program when opened: get it as safetensors"
    if path.is_symlink() and not path.exists():
        return "is a symbolic link to nothing"
    if not _leads_inside(path, inside):
        return f"{LEAVES}: add where it leads to SFUMATO_MODELS"
    return None


def _name(path: Path) -> str:
    name = path.stem if path.suffix.lower() in (WEIGHTS, *PICKLES) else path.name
    for parent in path.parents[:2]:  # the cache of huggingface_hub: models--WHOSE--WHAT/snapshots/REVISION
        if parent.name.startswith("models--"):
            name = parent.name.removeprefix("models--").replace("--", "/")
    return unicodedata.normalize("NFC", name)


def _full_name(path: Path, place: Path) -> str:
    name = path.name if path == place else path.relative_to(place).as_posix()
    name = name.removesuffix(path.suffix) if path.suffix.lower() in (WEIGHTS, *PICKLES) else name
    return unicodedata.normalize("NFC", name)


def _leads_inside(path: Path, inside: Sequence[Path]) -> bool:
    """Tell whether a path that may be a symbolic link lies in a folder of models where it ends."""
    if not path.is_symlink():
        return True  # the links above it have been looked at
    end = _resolved(path)
    return any(end.is_relative_to(root) for root in inside)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a circle of links
        return Path(os.path.abspath(path))


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a folder from others, by whatever name; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino)

"""ControlNets (Zhang et al. 2023, arXiv 2302.05543) and T2I-Adapters (Mou et al. 2023, arXiv 2302.08453):
found by name or path, and checked.

Either is a folder in diffusers' layout: `config.json`, which names ControlNetModel or T2IAdapter as its
class, and `diffusion_pytorch_model.safetensors` (or `.fp16.safetensors`). Or it is a single safetensors file,
in whose tensors all of that shows. Nothing heavy is imported here. See `sfumato.models.control_fit` for
whether one fits a model.
"""

import functools
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from sfumato.errors import ModelFileError, RecipeError, closest, shown
from sfumato.models.levels import are_counts, fault_of_levels
from sfumato.models.network_files import Config, NetworkFiles, damaged, find_weights, read_json
from sfumato.models.places import PICKLES, WEIGHTS, find_all
from sfumato.settings import Settings

FOLDER: Final = "controlnets"  # of ControlNets, in each folder of models and in the data folder
KEPT: Final = 4  # of a backend; one for Stable Diffusion 1.5 holds 1.4 GB in float32

T = TypeVar("T")
ControlKind: TypeAlias = Literal["ControlNet", "T2I-Adapter"]

_BUNDLED: Final = Path(__file__).parent / "bundled" / FOLDER
_CLASS: Final = "ControlNetModel"
_ADAPTER: Final = "T2IAdapter"
_UNION: Final = "ControlNetUnionModel"
_LARGE: Final = 100_000_000  # bytes of a file that takes longer to read than what was remembered of it
_CONFIG: Final = "config.json"
_STEM: Final = "diffusion_pytorch_model"

# What diffusers assumes where a configuration is silent.
DEFAULTS: Final[Config] = {
    "addition_embed_type": None,
    "addition_time_embed_dim": None,
    "block_out_channels": [320, 640, 1280, 1280],
    "class_embed_type": None,
    "conditioning_channels": 3,
    "conditioning_embedding_out_channels": [16, 32, 96, 256],
    "controlnet_conditioning_channel_order": "rgb",
    "cross_attention_dim": 1280,
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "global_pool_conditions": False,
    "in_channels": 4,
    "layers_per_block": 2,
    "num_class_embeds": None,
    "projection_class_embeddings_input_dim": None,
}
# What can be steered with: a ControlNet that has another value asks for more than a hint, or gives another
# kind of residuals.
_ONLY: Final[Mapping[str, tuple[Any, ...]]] = {
    "class_embed_type": (None,),
    "conditioning_channels": (3,),
    "controlnet_conditioning_channel_order": ("rgb", "bgr"),
    "encoder_hid_dim": (None,),
    "encoder_hid_dim_type": (None,),
    "global_pool_conditions": (False, None),
    "num_class_embeds": (None,),
}
# What diffusers assumes where the configuration of a T2I-Adapter is silent.
ADAPTER_DEFAULTS: Final[Config] = {
    "adapter_type": "full_adapter",
    "channels": [320, 640, 1280, 1280],
    "downscale_factor": 8,
    "in_channels": 3,
    "num_res_blocks": 2,
}


@dataclass(frozen=True)
class ControlFiles:
    """A checked ControlNet or T2I-Adapter, as `kind` says: its files are there and readable, no tensor is
    loaded yet. `folder` is the folder, or the single file. `digests` are those of large files, by path.
    """

    folder: Path
    network: NetworkFiles
    kind: ControlKind = "ControlNet"
    digests: Mapping[Path, str] = field(default_factory=dict[Path, str])

    @property
    def hint_channels(self) -> int:
        """How many channels the picture has that it follows: 3, or 1 for a grey one."""
        return 3 if self.kind == "ControlNet" else self.network.config["in_channels"]

    @property
    def num_features(self) -> int:
        """How many features a T2I-Adapter makes; a ControlNet makes none."""
        if self.kind == "ControlNet":
            return 0
        config = self.network.config
        return len(config["channels"]) + (config["adapter_type"] == "light_adapter")

    def digest(self) -> str:
        """Return the sha256 (hex) of all that decides what it adds: of a single file its own, of a folder
        that of names and contents of configuration and weights.
        """
        if self.network.derived:
            return self._sha256(self.folder)
        whole = hashlib.sha256()
        for path in (self.folder / _CONFIG, self.network.weights):
            whole.update(f"{path.name} {self._sha256(path)}\n".encode())
        return whole.hexdigest()

    def _sha256(self, path: Path) -> str:
        if path in self.digests:
            return self.digests[path]
        now = path.stat()
        return _sha256(path, now.st_size, now.st_mtime_ns)


class Opened(Generic[T]):
    """The ControlNets that a backend opened last, at most KEPT of them. Safe for several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, files: ControlFiles, load: Callable[[], T]) -> T:
        """Return the network of `files`, made by `load` unless it is open."""
        digest = files.digest()
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = load(), files.network.num_bytes
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(digest)
            return self._kept[digest][0]

    def all(self) -> tuple[T, ...]:
        """Return those that are open."""
        with self._lock:
            return tuple(one for one, _ in self._kept.values())

    @property
    def num_bytes(self) -> int:
        """How many bytes the weights of those that are open have in their files."""
        with self._lock:
            return sum(size for _, size in self._kept.values())

    def clear(self) -> None:
        """Let go of them all; who uses one keeps it."""
        with self._lock:
            self._kept.clear()


def find_controlnet(name_or_path: str, settings: Settings, *, paths: bool = True) -> ControlFiles:
    """Find and check the ControlNet or T2I-Adapter called `name_or_path`: a name that is known or, with
    `paths`, a folder or a file.

    Raises RecipeError for one that is neither, and for a file that is there and cannot be used;
    ModelFileError as `locate_controlnet` does.
    """
    known, unusable = _known(settings)
    for name in (name_or_path, name_or_path.removesuffix(WEIGHTS)):  # metadata has the name of the file
        if name in known:
            return _remembered(locate_controlnet(known[name]), settings)
    if paths and name_or_path:
        try:
            path = Path(name_or_path).expanduser()
            if _may_be_one(path, name_or_path):
                return _remembered(locate_controlnet(path), settings)
        except (OSError, ValueError, RuntimeError):  # a name no file system takes
            pass
    if name_or_path in unusable:
        raise RecipeError(f"this file {unusable[name_or_path]}", field="control", value=name_or_path)
    near = closest(name_or_path, known)
    other = "; or give a folder or a file" if paths else ""
    names = ", ".join(known) if known else "none"
    guess = f'Did you mean "{near}"?' if near is not None else f"Known: {names}{other}."
    raise RecipeError("unknown ControlNet", field="control", value=name_or_path, hint=guess)


def known_controlnets(settings: Settings) -> dict[str, Path]:
    """Return the folder or file of every ControlNet and T2I-Adapter that has a name, the bundled ones first.
    What a file is shows when it is asked for.
    """
    return _known(settings)[0]


def _known(settings: Settings) -> tuple[dict[str, Path], dict[str, str]]:
    """Return what `known_controlnets` does, and why others cannot be used, by their names."""
    known = {config.parent.name: config.parent for config in sorted(_BUNDLED.glob(f"*/{_CONFIG}"))}
    unusable: dict[str, str] = {}
    for found in find_all(settings, "controlnet", loose=False):
        if found.problem is not None:
            unusable.setdefault(found.name, found.problem)
        elif found.path.is_file() or (found.path / _CONFIG).is_file():
            known.setdefault(found.name, found.path)
    return known, unusable


def _may_be_one(path: Path, name: str) -> bool:
    """Tell whether to look at `path`. Any folder here might bear the name of one that is not installed: only
    a ControlNet counts; and of files, those whose ending says that they hold weights.
    """
    if path.is_dir():
        return _is_path(name) or (path / _CONFIG).is_file()
    return path.suffix.lower() in (WEIGHTS, *PICKLES) and path.is_file()


def locate_controlnet(path: Path) -> ControlFiles:
    """Find and check the files of the ControlNet or T2I-Adapter in the folder or file `path`.

    Raises ModelFileError for a folder or file that holds none, for one of a kind that is not supported, and
    for every missing, unreadable, truncated or pickled file.
    """
    if not path.is_dir() and path.suffix.lower() in (WEIGHTS, *PICKLES):
        return _single(path)
    with faults_of_control():
        config = read_json(path, _CONFIG)
        name = config.get("_class_name")
        if name == _UNION or "num_control_type" in config:
            raise ModelFileError(
                f"{path.name} is a ControlNet Union, one network for several kinds of hints, which is not "
                "supported",
                value=str(path),
                hint="Use a ControlNet for one kind of hint.",
            )
        if name == _ADAPTER:
            return _adapter(path, config)
        if name != _CLASS:
            raise damaged(path / _CONFIG, f"does not name {_CLASS} or {_ADAPTER} as its class")
        fault = _unsupported(config)
        if fault is not None:
            raise damaged(path / _CONFIG, fault)
        return ControlFiles(path, NetworkFiles("controlnet", config, find_weights(path, _STEM)))


def _single(path: Path) -> ControlFiles:
    from sfumato.models.original.controls import read_control  # the bundled one draws without

    part = read_control(path)
    fault = _unsupported(part.config) if part.class_name == _CLASS else None
    if fault is not None:
        raise ModelFileError(
            f"{path.name} {fault}", field="control", value=str(path), hint="Use another ControlNet."
        )
    network = NetworkFiles(
        part.name, part.config, path, part.class_name, part.stored, part.num_bytes, derived=True
    )
    return ControlFiles(path, network, "ControlNet" if part.class_name == _CLASS else "T2I-Adapter")


def _adapter(folder: Path, config: Config) -> ControlFiles:
    """Return the T2I-Adapter in `folder`, whose tensors are those that its configuration asks for."""
    from sfumato.models.original.controlnet import Unfit, check_shapes
    from sfumato.models.original.t2i_adapter import CHANNELS, FOLDED, MAX_BLOCKS, expected_of
    from sfumato.models.safetensors_header import read_header

    whole = {**ADAPTER_DEFAULTS, **config}
    numbers = [whole["downscale_factor"], whole["num_res_blocks"]]
    usable = {
        "adapter_type": any(whole["adapter_type"] == one for one in FOLDED),
        "channels": are_counts(whole["channels"]) and len(whole["channels"]) <= MAX_BLOCKS,
        "downscale_factor": are_counts(numbers[:1]),
        "in_channels": whole["in_channels"] in CHANNELS,
        "num_res_blocks": are_counts(numbers[1:]) and whole["num_res_blocks"] <= MAX_BLOCKS,
    }
    for key, fits in usable.items():
        if not fits:
            raise damaged(folder / _CONFIG, f"has {key} {shown(whole[key])}, which is not supported")
    weights = find_weights(folder, _STEM)
    shapes = read_header(weights).shapes
    try:
        check_shapes(shapes, expected_of(whole), {name: name for name in shapes})
    except Unfit as unfit:
        raise damaged(weights, f"does not fit its {_CONFIG}: {unfit}") from None
    return ControlFiles(folder, NetworkFiles("adapter", whole, weights), "T2I-Adapter")


def _remembered(files: ControlFiles, settings: Settings) -> ControlFiles:
    """Return `files` with the digests of large ones, which are remembered in the data folder."""
    large = [path for path in files.network.paths if path.stat().st_size >= _LARGE]
    if not large:
        return files
    from sfumato.models.digests import digests_of

    with faults_of_control():
        return replace(files, digests={path: digests_of(path, settings).whole for path in large})


@contextmanager
def faults_of_control() -> Generator[None]:
    """Have ModelFileErrors inside the block speak of the ControlNet instead of the model."""
    try:
        yield
    except ModelFileError as error:
        hint = (
            (error.hint or "").replace("this model", "this ControlNet").replace("the model", "the ControlNet")
        )
        hint = hint.replace("a whole diffusers folder", "a whole folder of diffusers")
        raise ModelFileError(error.message, field="control", value=error.value, hint=hint or None) from error


def _unsupported(config: Config) -> str | None:
    whole = {**DEFAULTS, **config}
    for key, values in _ONLY.items():
        if not any(whole[key] == one for one in values):
            return f"has {key} {whole[key]!r}, which is not supported"
    if whole["addition_embed_type"] not in (None, "text_time"):
        return f"has addition_embed_type {whole['addition_embed_type']!r}, which is not supported"
    if not are_counts(whole["conditioning_embedding_out_channels"]):
        return "holds no usable conditioning_embedding_out_channels"
    return fault_of_levels(config)


def _is_path(name: str) -> bool:
    return os.sep in name or (os.altsep is not None and os.altsep in name)


@functools.lru_cache(maxsize=16)
def _sha256(path: Path, num_bytes: int, changed: int) -> str:
    """Return the digest of a file, given with bytes and time of change: a process reads it once as long as
    nobody writes to it.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

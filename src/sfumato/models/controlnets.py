"""ControlNets (Zhang et al. 2023, arXiv 2302.05543): found by name or path, checked, and compared with the
model they are to steer.

A ControlNet is a folder in diffusers' layout: `config.json`, which names ControlNetModel as its class, and
`diffusion_pytorch_model.safetensors` (or `.fp16.safetensors`). Nothing heavy is imported here.
"""

import functools
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from sfumato.errors import ModelFileError, RecipeError, closest
from sfumato.models.files import ModelFiles
from sfumato.models.network_files import Config, NetworkFiles, damaged, find_weights, read_json
from sfumato.models.places import find_all
from sfumato.settings import Settings

FOLDER: Final = "controlnets"  # of ControlNets, in each folder of models and in the data folder
KEPT: Final = 4  # of a backend; one for Stable Diffusion 1.5 holds 1.4 GB in float32

T = TypeVar("T")

_BUNDLED: Final = Path(__file__).parent / "bundled" / FOLDER
_CLASS: Final = "ControlNetModel"
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
# What must be as in the UNet when both are told sizes and a pooled text.
_ADDED: Final = ("addition_time_embed_dim", "projection_class_embeddings_input_dim")


@dataclass(frozen=True)
class ControlFiles:
    """A checked ControlNet folder: its files are there and readable, no tensor is loaded yet."""

    folder: Path
    network: NetworkFiles

    def digest(self) -> str:
        """Return the sha256 (hex) of all that decides its residuals: names and contents of configuration and
        weights.
        """
        whole = hashlib.sha256()
        for path in (self.folder / _CONFIG, self.network.weights):
            now = path.stat()
            whole.update(f"{path.name} {_sha256(path, now.st_size, now.st_mtime_ns)}\n".encode())
        return whole.hexdigest()


class Opened(Generic[T]):
    """The ControlNets that a backend opened last, at most KEPT of them. Safe for several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, files: ControlFiles, load: Callable[[], T]) -> T:
        """Return the network of `files`, made by `load` unless it is open."""
        digest = files.digest()
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = load()
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(digest)
            return self._kept[digest]

    def all(self) -> tuple[T, ...]:
        """Return those that are open."""
        with self._lock:
            return tuple(self._kept.values())


def find_controlnet(name_or_path: str, settings: Settings, *, paths: bool = True) -> ControlFiles:
    """Find and check the ControlNet called `name_or_path`: a name that is known or, with `paths`, a folder.

    Raises RecipeError for one that is neither, ModelFileError as `locate_controlnet` does.
    """
    known = known_controlnets(settings)
    if name_or_path in known:
        return locate_controlnet(known[name_or_path])
    if paths and name_or_path:
        try:
            path = Path(name_or_path).expanduser()
            # Any folder here might bear the name of one that is not installed: only a ControlNet counts.
            if path.is_dir() and (_is_path(name_or_path) or (path / _CONFIG).is_file()):
                return locate_controlnet(path)
        except (OSError, ValueError, RuntimeError):  # a name no file system takes
            pass
    near = closest(name_or_path, known)
    other = "; or give a folder" if paths else ""
    names = ", ".join(known) if known else "none"
    guess = f'Did you mean "{near}"?' if near is not None else f"Known: {names}{other}."
    raise RecipeError("unknown ControlNet", field="control", value=name_or_path, hint=guess)


def known_controlnets(settings: Settings) -> dict[str, Path]:
    """Return the folder of every ControlNet that has a name, the bundled ones first."""
    known = {config.parent.name: config.parent for config in sorted(_BUNDLED.glob(f"*/{_CONFIG}"))}
    for found in find_all(settings, "controlnet", loose=False):
        if found.problem is None and (found.path / _CONFIG).is_file():
            known.setdefault(found.name, found.path)
    return known


def locate_controlnet(folder: Path) -> ControlFiles:
    """Find and check the files of the ControlNet in `folder`.

    Raises ModelFileError for a folder that holds none, for one of a kind that is not supported, and for every
    missing, unreadable, truncated or pickled file.
    """
    with faults_of_control():
        config = read_json(folder, _CONFIG)
        if config.get("_class_name") != _CLASS:
            raise damaged(folder / _CONFIG, f"does not name {_CLASS} as its class")
        fault = _unsupported(config)
        if fault is not None:
            raise damaged(folder / _CONFIG, fault)
        return ControlFiles(folder, NetworkFiles("controlnet", config, find_weights(folder, _STEM)))


def check_fit(control: ControlFiles, model: ModelFiles, name: str) -> None:
    """Raise RecipeError when the ControlNet that the recipe calls `name` cannot steer `model`."""
    fault = misfit(control, model)
    if fault is not None:
        raise RecipeError(
            f"this ControlNet does not fit the model: {fault}",
            field="control",
            value=name,
            hint="Use one that was trained for this model, or for one of its family.",
        )


def misfit(control: ControlFiles, model: ModelFiles) -> str | None:
    """Return why a ControlNet cannot steer a model, as one clause; None when it can.

    A UNet for inpainting takes more channels than a ControlNet, which sees the latents alone.
    """
    ours, unet, vae = {**DEFAULTS, **control.network.config}, model.unet.config, model.vae.config
    theirs = {**DEFAULTS, **{key: unet[key] for key in DEFAULTS if key in unet}}
    if ours["in_channels"] != vae.get("latent_channels", 4):
        return f"it takes latents of {ours['in_channels']} channels, not {vae.get('latent_channels', 4)}"
    widths, wanted = list(ours["block_out_channels"]), list(theirs["block_out_channels"])
    if widths != wanted:
        return f"its levels have {_listed(widths)} channels, not {_listed(wanted)}"
    layers, needed = (_per_level(one["layers_per_block"], len(wanted)) for one in (ours, theirs))
    if layers != needed:
        return f"its levels have {_listed(layers)} layers, not {_listed(needed)}"
    if ours["cross_attention_dim"] != theirs["cross_attention_dim"]:
        texts = f"{ours['cross_attention_dim']} numbers, not {theirs['cross_attention_dim']}"
        return f"it attends to texts of {texts}"
    if ours["addition_embed_type"] != theirs["addition_embed_type"]:
        kinds = [one["addition_embed_type"] or "nothing" for one in (ours, theirs)]
        return f"it is told {kinds[0]} beside the text, not {kinds[1]}"
    for key in _ADDED if ours["addition_embed_type"] is not None else ():
        if ours[key] != theirs[key]:
            return f"its {key} is {ours[key]}, not {theirs[key]}"
    halved = len(ours["conditioning_embedding_out_channels"]) - 1
    levels = len(vae.get("block_out_channels", ())) - 1
    if halved != levels:
        return f"it makes hints {2**halved} times smaller, and the autoencoder pictures {2**levels} times"
    return None


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
    for key in ("block_out_channels", "conditioning_embedding_out_channels"):
        if not _counts(whole[key]):
            return f"holds no usable {key}"
    return None


def _counts(values: object) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(one, int) and not isinstance(one, bool) and one >= 1 for one in values)
    )


def _per_level(value: Any, levels: int) -> list[Any]:
    return [value] * levels if isinstance(value, int) else list(value)


def _listed(values: list[Any]) -> str:
    return ", ".join(map(str, values))


def _is_path(name: str) -> bool:
    return os.sep in name or (os.altsep is not None and os.altsep in name)


@functools.lru_cache(maxsize=16)
def _sha256(path: Path, num_bytes: int, changed: int) -> str:
    """Return the digest of a file, given with bytes and time of change: a process reads it once as long as
    nobody writes to it.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The files of a diffusers model folder: found, read and checked before anything heavy is imported.

Every fault a folder can have that shows without running a network is found here and raised as one
`ModelFileError`: missing files, broken JSON, truncated safetensors, pickles (refused, never opened).
"""

import functools
import hashlib
import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from sfumato.errors import ModelFileError

Config = Mapping[str, Any]

# The parts of a text-to-image folder, the class each must be, and the stem of its weights.
NETWORKS: Mapping[str, tuple[str, str]] = {
    "unet": ("UNet2DConditionModel", "diffusion_pytorch_model"),
    "vae": ("AutoencoderKL", "diffusion_pytorch_model"),
    "text_encoder": ("CLIPTextModel", "model"),
}
# Where a decoder for previews may lie beside them; what its config.json leaves out is as diffusers has it.
TINY_DECODERS = ("tiny_decoder", "taesd")
TINY_DECODER_DEFAULTS: Config = {
    "act_fn": "relu",
    "decoder_block_out_channels": [64, 64, 64, 64],
    "in_channels": 3,
    "latent_channels": 4,
    "num_decoder_blocks": [3, 3, 3, 1],
    "out_channels": 3,
    "scaling_factor": 1.0,
    "shift_factor": 0.0,
    "upsample_fn": "nearest",
    "upsampling_scaling_factor": 2,
}
BYTE_PAIRS = ("vocab.json", "merges.txt")
LOW_RES = "low_res_scheduler/scheduler_config.json"
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
MAX_CONFIG_BYTES = 64 * 1024 * 1024  # vocabularies are a few MB; anything larger is not a configuration
DIGEST_BLOCK = 1 << 20

_digesting = threading.Lock()


@dataclass(frozen=True)
class NetworkFiles:
    """One network: its `config` as written and the safetensors file with its `weights`."""

    name: str
    config: Config
    weights: Path


@dataclass(frozen=True)
class ModelFiles:
    """A checked model folder: every file is there and readable, no tensor is loaded yet.

    `vocab` and `merges` are the byte pairs as CLIP was published (`vocab.json`, `merges.txt`); without
    `merges`, `vocab` is a `tokenizer.json` that holds both, as transformers 5 saves it. `tiny_decoder` is an
    AutoencoderTiny whose decoder makes previews, where the folder has one. `low_res` is there in upscalers:
    the scheduler that puts noise on the small picture; `max_noise_level` is as model_index.json has it.
    """

    folder: Path
    unet: NetworkFiles
    vae: NetworkFiles
    text_encoder: NetworkFiles
    scheduler: Config
    tokenizer: Config
    vocab: Path
    merges: Path | None
    defaults: Config
    tiny_decoder: NetworkFiles | None = None
    low_res: Config | None = None
    max_noise_level: object = None

    def digest(self) -> str:
        """Return the sha256 (hex) of everything that decides what the model draws.

        Names and contents of weights, network configurations, schedule and tokenizer; not the model card,
        not the tiny decoder, which only previews go through, and not `sfumato.json`, whose values end up in
        every resolved recipe anyway.
        """
        parts = [self.unet.weights, self.vae.weights, self.text_encoder.weights, self.vocab]
        parts += [] if self.merges is None else [self.merges]
        parts += [self.folder / network / "config.json" for network in NETWORKS]
        parts += [self.folder / "scheduler" / "scheduler_config.json"]
        parts += [self.folder / "tokenizer" / "tokenizer_config.json"]
        parts += [] if self.low_res is None else [self.folder / LOW_RES]
        stamps = [(path, path.stat()) for path in sorted(parts)]
        with _digesting:  # whoever comes second waits for what the first one finds
            return _digest(self.folder, tuple((path, now.st_size, now.st_mtime_ns) for path, now in stamps))


@functools.lru_cache(maxsize=16)
def _digest(folder: Path, stamps: tuple[tuple[Path, int, int], ...]) -> str:
    """Return the digest of files below `folder`, given with bytes and time of change: a process reads a file
    once as long as nobody writes to it.
    """
    whole = hashlib.sha256()
    for path, _, _ in stamps:
        part = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(DIGEST_BLOCK):
                part.update(block)
        whole.update(f"{path.relative_to(folder).as_posix()} {part.hexdigest()}\n".encode())
    return whole.hexdigest()


def locate(folder: Path) -> ModelFiles:
    """Find and check the files of the diffusers folder `folder`.

    Raises ModelFileError for a folder that is no Stable Diffusion folder, and for every missing, unreadable,
    truncated or pickled file.
    """
    index = read_json(folder, "model_index.json")
    found = {name: _network(folder, name, index) for name in NETWORKS}
    vocab, merges = locate_byte_pairs(folder, "tokenizer/")
    return ModelFiles(
        folder=folder,
        unet=found["unet"],
        vae=found["vae"],
        text_encoder=found["text_encoder"],
        scheduler=read_json(folder, "scheduler/scheduler_config.json"),
        tokenizer=read_json(folder, "tokenizer/tokenizer_config.json"),
        vocab=vocab,
        merges=merges,
        defaults=read_json(folder, "sfumato.json") if (folder / "sfumato.json").is_file() else {},
        tiny_decoder=_tiny_decoder(folder, found["vae"].config),
        low_res=read_json(folder, LOW_RES) if index.get("low_res_scheduler") is not None else None,
        max_noise_level=index.get("max_noise_level"),
    )


def locate_byte_pairs(folder: Path, inside: str = "") -> tuple[Path, Path | None]:
    """Return `vocab` and `merges` of `ModelFiles`, looked for in `folder / inside`; raises ModelFileError."""
    whole = folder / f"{inside}tokenizer.json"
    if whole.is_file() and not any((folder / f"{inside}{name}").is_file() for name in BYTE_PAIRS):
        return whole, None
    vocab, merges = (_required(folder, f"{inside}{name}") for name in BYTE_PAIRS)
    return vocab, merges


def read_json(folder: Path, name: str) -> Config:
    """Return the JSON object in `folder / name`; raises ModelFileError when there is none."""
    path = _required(folder, name)
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise damaged(path, "is far too large for a configuration")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, "is not readable JSON") from error
    if not isinstance(data, dict):
        raise damaged(path, "must hold a JSON object")
    return data


def damaged(path: Path, what: str) -> ModelFileError:
    """Return the error for a file of a model that cannot be used."""
    return ModelFileError(
        f"{path.parent.name}/{path.name} {what}",
        field="model",
        value=str(path),
        hint="Copy or download the model again.",
    )


def _network(folder: Path, name: str, index: Config) -> NetworkFiles:
    wanted, stem = NETWORKS[name]
    entry = index.get(name)
    actual = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
    if actual != wanted:
        raise ModelFileError(
            f"model_index.json must name {wanted} as its {name}",
            field="model",
            value=str(folder),
            hint=f"It names {actual}; models built like Stable Diffusion 1 and 2 are supported.",
        )
    config = read_json(folder, f"{name}/config.json")
    return NetworkFiles(name, config, find_weights(folder / name, stem))


def _tiny_decoder(folder: Path, vae: Config) -> NetworkFiles | None:
    name = next((name for name in TINY_DECODERS if (folder / name).is_dir()), None)
    if name is None:
        return None
    config = read_json(folder, f"{name}/config.json")
    fault = _misfit({**TINY_DECODER_DEFAULTS, **config}, vae)
    if fault is not None:
        raise ModelFileError(
            f"{name}/config.json {fault}",
            field="model",
            value=str(folder / name),
            hint="Remove this folder, or put a decoder for this model there; previews do without one.",
        )
    return NetworkFiles(name, config, find_weights(folder / name, "diffusion_pytorch_model"))


def _misfit(tiny: Config, vae: Config) -> str | None:
    """Return why a tiny decoder cannot stand in for the decoder of `vae`, or None when it can."""
    if tiny.get("_class_name") != "AutoencoderTiny":
        return "does not name AutoencoderTiny as its class"
    blocks, widths = tiny["num_decoder_blocks"], tiny["decoder_block_out_channels"]
    if not (_counts(blocks, 0) and _counts(widths, 1) and len(blocks) == len(widths)):
        return "holds no usable num_decoder_blocks and decoder_block_out_channels"
    if len(set(widths)) > 1:  # AutoencoderTiny has no layer that would change the width
        return "holds decoder_block_out_channels that differ"
    if tiny["out_channels"] != 3 or tiny["upsampling_scaling_factor"] != 2:
        return "does not describe a decoder of colour pictures that doubles the size at every level"
    if tiny["act_fn"] != "relu" or tiny["upsample_fn"] != "nearest":
        return f"asks for {tiny['act_fn']!r} and {tiny['upsample_fn']!r}, not for relu and nearest"
    for key, low in (("scaling_factor", 0.0), ("shift_factor", -math.inf)):
        value = tiny[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < math.inf:
            return f"holds no usable {key} ({value!r})"
    channels, levels = vae.get("latent_channels"), vae.get("block_out_channels")
    if tiny["latent_channels"] != channels:
        return f"takes latents of {tiny['latent_channels']} channels, and vae/config.json has {channels}"
    if isinstance(levels, list) and len(levels) != len(blocks):
        return f"has {len(blocks)} levels, and vae/config.json has {len(levels)}"
    return None


def _counts(values: object, low: int) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(one, int) and not isinstance(one, bool) and one >= low for one in values)
    )


def find_weights(folder: Path, stem: str) -> Path:
    """Return the safetensors file called `stem` in `folder`, checked to be whole. Raises ModelFileError, also
    where there is a pickle instead.
    """
    for name in (f"{stem}.safetensors", f"{stem}.fp16.safetensors"):
        path = folder / name
        if path.is_file():
            _check_safetensors(path)
            return path
    pickles = [path for path in sorted(folder.glob("*")) if path.suffix in PICKLES]
    if pickles:
        raise ModelFileError(
            f"{folder.name}/{pickles[0].name} is a pickle, which can run any program when opened",
            field="model",
            value=str(pickles[0]),
            hint="Only safetensors weights are loaded; get or convert this model as safetensors.",
        )
    raise _missing(folder / f"{stem}.safetensors")


def _check_safetensors(path: Path) -> None:
    # safe_open reads the header only and compares it with the length of the file: truncation shows at once.
    try:
        with safe_open(path, framework="np") as file:
            if not file.keys():
                raise damaged(path, "holds no tensors")
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, f"is damaged or truncated ({error})") from error


def _required(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise _missing(path)
    return path


def _missing(path: Path) -> ModelFileError:
    return ModelFileError(
        f"{path.parent.name}/{path.name} is missing",
        field="model",
        value=str(path),
        hint="Copy or download the model again; it must be a whole diffusers folder.",
    )

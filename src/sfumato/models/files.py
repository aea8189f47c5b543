"""The files of a diffusers model folder: found, read and checked before anything heavy is imported.

Every fault a folder can have that shows without running a network is found here and raised as one
`ModelFileError`: missing files, broken JSON, truncated safetensors, pickles (refused, never opened).
"""

import hashlib
import json
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
BYTE_PAIRS = ("vocab.json", "merges.txt")
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
MAX_CONFIG_BYTES = 64 * 1024 * 1024  # vocabularies are a few MB; anything larger is not a configuration
DIGEST_BLOCK = 1 << 20


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
    `merges`, `vocab` is a `tokenizer.json` that holds both, as transformers 5 saves it.
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

    def digest(self) -> str:
        """Return the sha256 (hex) of everything that decides what the model draws.

        Names and contents of weights, network configurations, schedule and tokenizer; not the model card
        and not `sfumato.json`, whose values end up in every resolved recipe anyway.
        """
        parts = [self.unet.weights, self.vae.weights, self.text_encoder.weights, self.vocab]
        parts += [] if self.merges is None else [self.merges]
        parts += [self.folder / network / "config.json" for network in NETWORKS]
        parts += [self.folder / "scheduler" / "scheduler_config.json"]
        parts += [self.folder / "tokenizer" / "tokenizer_config.json"]
        whole = hashlib.sha256()
        for path in sorted(parts):
            part = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(DIGEST_BLOCK):
                    part.update(block)
            whole.update(f"{path.relative_to(self.folder).as_posix()} {part.hexdigest()}\n".encode())
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
    return NetworkFiles(name, config, _weights(folder / name, stem))


def _weights(folder: Path, stem: str) -> Path:
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

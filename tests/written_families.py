"""Families written with random weights, at any size and in any layout, one tensor at a time; and compared
with what was loaded. Numbers follow from the name of their tensor, so that nothing has to be kept.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

import tiny_families as tiny
from sfumato.models.backends.torch import load_torch
from sfumato.models.files import ModelFiles, locate
from sfumato.models.tensor_writer import ToWrite, from_float32, write_tensors

LENGTH: Final = 1 << 20
SHARDS: Final = 3
#: What every layout is called in tables: where it is, the kind of its numbers, and what they are drawn with.
LAYOUTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "file fp16": ("file", "F16", "float16"),
    "file fp32": ("file", "F32", "float32"),
    "file bf16": ("file", "BF16", "bfloat16"),
    "file fp8": ("file", "F8_E4M3", "float16"),
    "folder": ("folder", "F16", "float16"),
    "sharded": ("sharded", "F16", "float16"),
    "fp16 variant": ("variant", "F16", "float16"),
}
# In files, and in no network: a layer and a matrix that nothing looks at, a scale, a counter.
_LEFT_OVER: Final = ("logit_scale", "position_ids")


def write_layout(layout: str, family: tiny.Tiny, networks: Mapping[str, Any], place: Path) -> Path:
    """Write `networks` of `family` in the layout, in the folder `place`, and return the model."""
    where, kind, _ = LAYOUTS[layout]
    if where == "file":
        return write_single(family, networks, place / "model.safetensors", kind)
    return write_folder(family, networks, place / "model", kind, where)


def write_single(family: tiny.Tiny, networks: Mapping[str, Any], path: Path, kind: str) -> Path:
    """Write one file of the original layout, and return it."""
    notes = {"format": "pt"}
    if family.packed and len(family.texts) == 1 and not family.refines:
        says = family.scheduler.get("prediction_type") == tiny.V
        notes["modelspec.prediction_type"] = "v" if says else "epsilon"
    states = {name: network.state_dict() for name, network in networks.items()}
    write_tensors(path, [to_write(key, one, kind) for key, one in original(family, states)], notes)
    return path


def write_folder(
    family: tiny.Tiny, networks: Mapping[str, Any], folder: Path, kind: str, where: str = "folder"
) -> Path:
    """Write a diffusers folder, and return it: with plain weights, in half a dozen files, or called fp16."""
    tiny.write_around(folder, family, networks)
    for name, network in networks.items():
        stem = tiny.stem_of(name)
        writes = [to_write(f"{name} {key}", one, kind, key) for key, one in _folder_names(network)]
        if where != "sharded":
            middle = ".fp16" if where == "variant" else ""
            write_tensors(folder / name / f"{stem}{middle}.safetensors", writes, {"format": "pt"})
            continue
        table: dict[str, str] = {}
        for number in range(SHARDS):
            part = writes[number::SHARDS]
            file = f"{stem}-{number + 1:05}-of-{SHARDS:05}.safetensors"
            write_tensors(folder / name / file, part, {"format": "pt"})
            table |= dict.fromkeys((one.name for one in part), file)
        size = sum(one.num_bytes for one in writes)
        index = {"metadata": {"total_size": size}, "weight_map": table}
        tiny.write_json(folder / name / f"{stem}.safetensors.index.json", index)
    return folder


def original(
    family: tiny.Tiny, states: Mapping[str, Mapping[str, torch.Tensor]]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor of a single file, by its name there, made of what networks hold."""
    layers = family.unet.get("layers_per_block", 2)
    for key, one in states["unet"].items():
        yield f"model.diffusion_model.{tiny.unet_name(key, layers, family.levels)}", one
    for key, one in states["vae"].items():
        yield f"first_stage_model.{tiny.vae_name(key, family.vae_levels)}", tiny.convolved(key, one)
    for at, prefix in enumerate(tiny.text_prefixes(family)):
        state = states["text_encoder_2" if at == 1 or family.refines else "text_encoder"]
        made = (
            tiny.open_clip(state, prefix) if prefix.endswith("model.") else tiny.transformers(state, prefix)
        )
        for key in list(made):
            if not key.endswith(_LEFT_OVER):
                yield key, made.pop(key)


def loaded(files: ModelFiles, dtype: str) -> dict[str, Any]:
    """Return the networks of a model as the torch backend has them, by what a folder calls them."""
    backend = load_torch(files, "cpu", dtype)
    second = backend.text_encoder_2
    found = {"unet": backend.unet, "vae": backend.vae, "text_encoder": backend.text_encoder}
    return found if second is None else {**found, "text_encoder_2": second}


def differing(
    layout: str, family: tiny.Tiny, model: Path, instead: Mapping[Path, Path] | None = None
) -> tuple[int, tuple[str, ...]]:
    """Load `model`, and return how many tensors were compared with those in its files, or in those that are
    to be read `instead`, and the names of those that differ from them or are missing.
    """
    other = {} if instead is None else instead
    where, _, dtype = LAYOUTS[layout]
    networks = loaded(locate(model), dtype)
    if family.refines:
        networks["text_encoder_2"] = networks.pop("text_encoder")
    if where == "file":
        states = {name: network.state_dict() for name, network in networks.items()}
        return _compared(original(family, states), _Files([other.get(model, model)]).get)
    bad: list[str] = []
    count = 0
    for name, network in networks.items():
        files = _Files([other.get(one, one) for one in sorted((model / name).glob("*.safetensors"))])
        number, some = _compared(_folder_names(network), files.get)
        count += number
        bad += [f"{name} {one}" for one in some]
    return count, tuple(bad)


def _compared(
    tensors: Iterator[tuple[str, torch.Tensor]], written: Callable[[str], torch.Tensor | None]
) -> tuple[int, tuple[str, ...]]:
    count, bad = 0, list[str]()
    for key, one in tensors:
        theirs = written(key)
        unseen = "resblocks.23." in key or (key.endswith("text_projection") and _is_unit(one))
        if unseen and theirs is not None:
            continue
        count += 1
        # What is loaded is as wide as what is stored, or wider: nothing was rounded.
        if theirs is None or not torch.equal(one, theirs.to(one.dtype)):
            bad.append(key)
    return count, tuple(bad)


def _is_unit(matrix: torch.Tensor) -> bool:
    return torch.equal(matrix, torch.eye(len(matrix)).to(matrix))


class _Files:
    """Tensors of several files, by name."""

    def __init__(self, paths: list[Path]) -> None:
        self._where: dict[str, Any] = {}
        for path in paths:
            file = safe_open(path, framework="pt")
            self._where |= dict.fromkeys(file.keys(), file)

    def get(self, key: str) -> torch.Tensor | None:
        return None if key not in self._where else self._where[key].get_tensor(key)


def _folder_names(network: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor of a network by the name that published folders have for it."""
    text = any(name.endswith("token_embedding") for name, _ in network.named_modules())
    for key, one in network.state_dict().items():
        if key.endswith(_LEFT_OVER):
            continue
        plain = not text or key.startswith(("text_model.", "text_projection."))
        yield key if plain else f"text_model.{key}", one


def to_write(seed: str, like: torch.Tensor, kind: str, key: str | None = None) -> ToWrite:
    """Return a tensor shaped as `like` for a file, called `key` or as its seed, with random numbers."""
    shape = tuple(like.shape)
    return ToWrite(seed if key is None else key, kind, shape, lambda: _numbers(seed, shape, kind))


def _numbers(seed: str, shape: tuple[int, ...], kind: str) -> NDArray[Any]:
    """Return random numbers that a network stays finite with, others for every name."""
    first = zlib.crc32(seed.encode()) % LENGTH
    last = first + min(LENGTH, int(np.prod(shape)))
    if kind.startswith("F8"):
        # Below two: the highest bit of the exponent is gone, and with it what is no number.
        return np.resize(_EIGHT[first:last], shape)
    scale = max(int(np.prod(shape[1:])), 1) ** -0.5 if len(shape) > 1 else 0.1
    offset = 1 if "norm" in seed and len(shape) == 1 and seed.endswith("weight") else 0
    part = _POOL[first:last] * np.float32(scale) + np.float32(offset)
    return np.resize(from_float32(part, kind), shape)


_RANDOM: Final = np.random.default_rng(0)
_POOL: Final = np.tile(_RANDOM.standard_normal(LENGTH).astype(np.float32), 2)
_EIGHT: Final = np.tile(_RANDOM.integers(0, 256, LENGTH).astype(np.uint8) & 0b10111111, 2)

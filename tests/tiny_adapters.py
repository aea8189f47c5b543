"""Random adapters for the tiny model of `tiny_models`, as files in the layouts that people publish."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from sfumato.models.adapters.target import Target, target_of
from sfumato.models.files import locate
from tiny_models import tiny_folder

Tensors = dict[str, NDArray[np.float32]]
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
CONVOLUTIONS = ("conv1", "conv2", "proj_in")
TEXT = ("q_proj", "v_proj", "out_proj", "fc1")


def tiny_target() -> Target:
    """Return the networks of the tiny model, to lay adapters over."""
    return target_of(locate(tiny_folder()))


def modules(network: str, ends: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the shape of the weight of every module of the tiny model whose name ends so."""
    wanted = tuple(ends)
    shapes = tiny_target().shapes[network]
    return {
        key.removesuffix(".weight"): shape
        for key, shape in shapes.items()
        if key.endswith(".weight") and key.removesuffix(".weight").endswith(wanted)
    }


def low_rank(
    shapes: Mapping[str, tuple[int, ...]], *, rank: int = 2, seed: int = 0, size: float = 0.3
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return factors, down and up, for each module, of about `size` as a product of two numbers."""
    random = np.random.default_rng(seed)

    def normal(*sides: int) -> NDArray[np.float32]:
        return random.normal(0, size, sides).astype(np.float32)

    return {
        name: (normal(rank, *shape[1:]), normal(shape[0], rank, *(1,) * (len(shape) - 2)))
        for name, shape in shapes.items()
    }


def kohya(network: str, name: str) -> str:
    """Return what kohya's programs call a module of the tiny model."""
    prefix = "lora_unet_" if network == "unet" else "lora_te_text_model_"
    return prefix + name.replace(".", "_")


def kohya_lora(*, rank: int = 2, alpha: float | None = None, seed: int = 0, size: float = 0.3) -> Tensors:
    """Return a LoRA with convolutions and text encoder in kohya's layout."""
    tensors: Tensors = {}
    for network, ends in (("unet", (*ATTENTION, *CONVOLUTIONS)), ("text_encoder", TEXT)):
        for name, (down, up) in low_rank(modules(network, ends), rank=rank, seed=seed, size=size).items():
            raw = kohya(network, name)
            tensors |= {f"{raw}.lora_down.weight": down, f"{raw}.lora_up.weight": up}
            if alpha is not None:
                tensors[f"{raw}.alpha"] = np.array(alpha, np.float32)
    return tensors


def write_adapter(path: Path, tensors: Tensors, metadata: Mapping[str, str] | None = None) -> Path:
    """Write an adapter, and return where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), path, None if metadata is None else dict(metadata))
    return path

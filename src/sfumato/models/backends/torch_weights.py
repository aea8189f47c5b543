"""Weights into networks of torch: read one tensor at a time, from whatever layout the files have."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from sfumato.models.names import current_name
from sfumato.models.network_files import Config, NetworkFiles, damaged
from sfumato.models.stored import changed

Weights = dict[str, torch.Tensor]


def load_network(
    files: NetworkFiles,
    build: Callable[[Config], Any],
    device: torch.device,
    dtype: torch.dtype,
    layout: torch.memory_format = torch.contiguous_format,
) -> Any:
    """Return the network that `build` makes of the configuration, with the weights of `files` in it: on
    `device`, as `dtype`, without gradients; kernels of convolutions lie in memory as `layout` says.

    No more than one tensor is there twice at any time. Raises ModelFileError for weights that do not fit.
    """
    # Built on the meta device: no memory and no random initial values for weights that are replaced anyway.
    try:
        with torch.device("meta"):
            network = build(files.config)
    except Exception as error:  # a configuration can fail in as many ways as there are constructors
        raise damaged(files.described, f"does not describe a network ({error})") from error
    weights = _renamed(read_tensors(files, device, dtype, layout), network.state_dict())
    _check(files.weights, weights, network.state_dict())
    network.load_state_dict(weights, strict=True, assign=True)
    _fill_positions(network, device)
    return network.requires_grad_(False).eval()


def read_tensors(
    files: NetworkFiles,
    device: torch.device,
    dtype: torch.dtype,
    layout: torch.memory_format = torch.contiguous_format,
) -> Weights:
    """Return every tensor of a network by the name that its layout gives it. Raises ModelFileError."""
    path = files.weights
    try:
        with ExitStack() as stack:
            weights: Weights = {}
            for name, path, tensor in _stored(files, stack):
                weights[name] = _cast(path, name, tensor, dtype, layout).to(device)
            return weights
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise damaged(path, f"cannot be read ({error})") from error


def _stored(files: NetworkFiles, stack: ExitStack) -> Iterator[tuple[str, Path, torch.Tensor]]:
    """Yield the name, the file and the tensor of everything there is, as it is stored."""
    if files.stored is None:
        file = stack.enter_context(safe_open(files.weights, framework="pt"))
        for key in file.keys():  # noqa: SIM118 - a safetensors file is no mapping
            if not key.endswith("position_ids"):  # a counter that old files stored
                yield key, files.weights, file.get_tensor(key)
        return
    opened: dict[Path, Any] = {}
    for name, one in files.stored.items():
        if one.path not in opened:
            opened[one.path] = stack.enter_context(safe_open(one.path, framework="pt"))
        yield name, one.path, changed(opened[one.path].get_tensor(one.key), one.change)


def _cast(
    path: Path, key: str, tensor: torch.Tensor, dtype: torch.dtype, layout: torch.memory_format
) -> torch.Tensor:
    if not tensor.is_floating_point():
        raise damaged(path, f"holds {tensor.dtype} in {key} where fractions belong")
    # In one go: numbers and their places.
    form = layout if tensor.ndim == 4 else torch.contiguous_format
    return tensor.to(dtype, memory_format=form).contiguous(memory_format=form)


def _renamed(weights: Weights, wanted: Mapping[str, torch.Tensor]) -> Weights:
    """Return `weights` under the names that the installed classes want."""
    result: Weights = {}
    for key, tensor in weights.items():
        current = current_name(key)
        # transformers 4 has the prefix that current names lack.
        name = next((name for name in (key, current, f"text_model.{key}") if name in wanted), key)
        if name == current and tensor.shape[2:] == (1, 1) and wanted[name].ndim == 2:
            tensor = tensor[:, :, 0, 0]  # the oldest files keep attention as 1x1 convolutions
        result[name] = tensor
    return result


def _check(path: Path, weights: Weights, wanted: Mapping[str, torch.Tensor]) -> None:
    missing = sorted(wanted.keys() - weights.keys())
    extra = sorted(weights.keys() - wanted.keys())
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"holds {extra[0]}, unknown to its config.json"
        raise damaged(path, f"{what} ({len(missing)} tensors missing, {len(extra)} unknown)")
    for key, tensor in weights.items():
        if tensor.shape != wanted[key].shape:
            shapes = f"{tuple(tensor.shape)}, and config.json asks for {tuple(wanted[key].shape)}"
            raise damaged(path, f"holds {key} with shape {shapes}")


def _fill_positions(network: torch.nn.Module, device: torch.device) -> None:
    # Buffers that are not saved stay on the meta device; the only one of these networks counts positions.
    for name, buffer in network.named_buffers():
        if buffer.is_meta:
            owner, _, leaf = name.rpartition(".")
            positions = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
            network.get_submodule(owner).register_buffer(leaf, positions, persistent=False)

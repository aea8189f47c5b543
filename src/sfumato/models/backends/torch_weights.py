"""Weights into networks of torch: read one tensor at a time, from whatever layout the files have.

What lies in a file with the dtype that is asked for is not copied on a processor: the tensors are views of
the mapped file.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from sfumato.models.backends.torch_offload import (
    KEPT,
    InFile,
    Keeping,
    Kept,
    Source,
    in_memory,
    keep,
    on_host,
)
from sfumato.models.backends.torch_storage import packs, whole
from sfumato.models.levels import fault_of_counts
from sfumato.models.memory import give_back, ran_out
from sfumato.models.names import current_name
from sfumato.models.network_files import Config, NetworkFiles, damaged
from sfumato.models.stored import Shape, Stored, changed, changed_shape
from sfumato.models.tensor_file import KINDS, TensorFile

Weights = dict[str, torch.Tensor]

#: Networks that work together, so that none of them makes room for another.
UNET: Final = "unet"  # and ControlNets
TEXT: Final = "text"
VAE: Final = "vae"


def load_network(
    files: NetworkFiles,
    build: Callable[[Config], Any],
    device: torch.device,
    dtype: torch.dtype,
    layout: torch.memory_format = torch.contiguous_format,
    keeping: Keeping | None = None,
    group: str = UNET,
) -> Any:
    """Return the network that `build` makes of the configuration, with the weights of `files` in it: on
    `device`, as `dtype`, without gradients; kernels of convolutions lie in memory as `layout` says.

    With `keeping`, its matrices are kept as that says; `group` is whom it works with, `UNET`, `TEXT` or
    `VAE`, which stays whole. No more than one tensor is there twice at any time. Raises ModelFileError for
    weights that do not fit.
    """
    fault = fault_of_counts(files.config)
    if fault is not None:
        raise damaged(files.described, fault)
    # Built on the meta device: no memory and no random initial values for weights that are replaced anyway.
    try:
        with torch.device("meta"):
            network = build(files.config)
    except Exception as error:  # a configuration can fail in as many ways as there are constructors
        raise damaged(files.described, f"does not describe a network ({error})") from error
    if keeping is None:
        weights = _renamed(read_tensors(files, device, dtype, layout), network.state_dict())
        _check(files.weights, weights, network.state_dict())
        network.load_state_dict(weights, strict=True, assign=True)
    else:
        found = _found(files, dtype, layout, network.state_dict())
        try:
            _bring(network, found, device, keeping, group)
        except (OSError, ValueError, RuntimeError) as error:
            if ran_out(error):
                raise
            raise damaged(files.weights, f"cannot be read ({error})") from error
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
        if ran_out(error):
            raise
        raise damaged(path, f"cannot be read ({error})") from error


def _found(
    files: NetworkFiles, dtype: torch.dtype, layout: torch.memory_format, wanted: Mapping[str, torch.Tensor]
) -> dict[str, InFile]:
    """Return where every tensor of a network is, by the name that the installed classes want. Raises
    ModelFileError for tensors that do not fit.
    """
    mapped = {path: TensorFile(path) for path in files.paths}
    stored = files.stored
    if stored is None:
        keys = mapped[files.weights].tensors
        stored = {key: Stored(files.weights, key) for key in keys if not key.endswith("position_ids")}
    result: dict[str, InFile] = {}
    for key, one in stored.items():
        tensor = mapped[one.path].tensors.get(one.key)
        if tensor is None or tensor.dtype not in KINDS:
            what = f"lacks {one.key}" if tensor is None else f"holds {tensor.dtype} in {key}"
            raise damaged(one.path, f"{what} where fractions of 32 bits or fewer belong")
        name, shape = _name(key, changed_shape(tensor.shape, one.change), wanted)
        result[name] = InFile(mapped[one.path], one.key, shape, dtype, one.change, layout)
    _check(files.weights, result, wanted)
    return result


def _bring(
    network: torch.nn.Module,
    found: dict[str, InFile],
    device: torch.device,
    keeping: Keeping,
    group: str,
) -> None:
    """Have every layer of `network`, whose weights were `found`, take them as `keeping` says."""
    for name, layer in network.named_modules():
        if type(layer) not in KEPT:
            continue
        packing = group != VAE and keeping.storage != "whole" and packs(name, layer)
        if not packing and keeping.offload == "none":
            continue
        one = found.pop(f"{name}.weight")
        one = replace(one, storage=keeping.storage) if packing else one
        source: Source = one
        if keeping.offload == "none":
            source = in_memory(one, device)
        elif device.type != "cpu":
            source = on_host(one.load(), device, one)
        keep(layer, Kept(source, keeping.desk, group), one.shape, one.dtype)
    rest: Weights = {}
    for name, one in found.items():
        rest[name] = whole(one.load()).to(device)
    network.load_state_dict(rest, strict=False, assign=True)
    if keeping.storage != "whole":
        give_back()  # what packing left between the weights: a tenth of Stable Diffusion XL's


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
        name, shape = _name(key, tensor.shape, wanted)
        result[name] = tensor.reshape(shape)
    return result


def _name(key: str, shape: Shape, wanted: Mapping[str, torch.Tensor]) -> tuple[str, Shape]:
    """Return what the installed classes call the tensor `key`, and its shape there."""
    current = current_name(key)
    # transformers 4 has the prefix that current names lack.
    name = next((name for name in (key, current, f"text_model.{key}") if name in wanted), key)
    if name == current and shape[2:] == (1, 1) and name in wanted and wanted[name].ndim == 2:
        shape = shape[:2]  # the oldest files keep attention as 1x1 convolutions
    return name, shape


def _check(
    path: Path, weights: Mapping[str, torch.Tensor | InFile], wanted: Mapping[str, torch.Tensor]
) -> None:
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

"""Weights kept in eight bits and computed with in whole precision: a matrix is widened just before its layer
computes, and let go of after.

float8 is e4m3 (Micikevicius et al. 2022, arXiv 2209.05433, Section 3) times a power of two for every output
channel: so widening is exact in every dtype, and e4m3 as files have it stays what it is. Its numbers keep 4
significant bits: on the bundled UNet the rounding error is 31.6 dB below the weights. int8 counts -127 to 127
in steps of its own for every 64 numbers of an output channel, which cost two bytes each. Its error is 44.1 dB
below the weights there; with one step for a whole channel it would be 41.8, with one for 128 numbers 42.8.
"""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import torch

EIGHT_BIT_FLOATS: Final = (torch.float8_e4m3fn, torch.float8_e5m2)
GROUP: Final = 64  # numbers that have a step together in int8, where a channel can be divided so
LARGEST_INT8: Final = 127
LARGEST_FLOAT8: Final = 448.0
AT_ONCE: Final = 2**18  # numbers that are packed at a time: with 2**22 it takes a quarter longer
_SMALLEST: Final = 2.0**-110  # what a channel of zeros is taken for: anything but nothing
_SIGNIFICANT: Final = 256.0  # steps have 8 significant bits, as bfloat16 has: they multiply exactly

#: Parts of a UNet, a transformer or a ControlNet that are small and that everything goes through: they stay
#: whole.
WHOLE_PARTS: Final = (
    *("conv_in", "conv_out", "time_embedding", "add_embedding", "class_embedding"),
    *("controlnet_cond_embedding", "pos_embed", "time_text_embed", "context_embedder"),
    *("norm_out", "proj_out"),
)


@dataclass(frozen=True, eq=False)
class Packed:
    """A weight in eight bits: `data` has its shape, `scale (C, n, 1)` bfloat16 the factors of n groups of
    numbers in each of C output channels, None for factors of one. It is widened to `dtype`.
    """

    data: torch.Tensor
    scale: torch.Tensor | None
    dtype: torch.dtype

    def whole(self) -> torch.Tensor:
        """Return the weight, rounded to `dtype`."""
        if self.scale is None:
            return self.data.to(self.dtype)
        # Small steps would lose bits in float16, whose numbers end at 6e-8.
        kind = torch.float32 if self.dtype == torch.float16 else self.dtype
        wide = self.data.to(kind)
        channels, groups = self.scale.shape[:2]
        wide.view(channels, groups, -1).mul_(self.scale.to(kind))
        return wide.to(self.dtype)

    def to(self, device: torch.device) -> "Packed":
        """Return it on another device; nothing waits for the copy from pinned memory."""
        scale = None if self.scale is None else self.scale.to(device, non_blocking=True)
        return replace(self, data=self.data.to(device, non_blocking=True), scale=scale)

    def pinned(self) -> "Packed":
        """Return it in memory that a GPU copies from by itself."""
        scale = None if self.scale is None else self.scale.pin_memory()
        return replace(self, data=self.data.pin_memory(), scale=scale)

    @property
    def num_bytes(self) -> int:
        """The bytes of memory that it takes."""
        return self.data.nbytes + (0 if self.scale is None else self.scale.nbytes)


#: A weight as it is kept: whole, or in eight bits.
Form: TypeAlias = torch.Tensor | Packed


def packs(name: str, layer: torch.nn.Module) -> bool:
    """Tell whether the weight of `layer`, called `name` in its network, is kept in eight bits: that of every
    linear layer and convolution but the first, the last, and those that embed times and sizes.
    """
    known = isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)
    return known and name.partition(".")[0] not in WHOLE_PARTS


def packed(weight: torch.Tensor, storage: str, dtype: torch.dtype) -> Packed:
    """Return `weight (C, ...)` in eight bits: `storage` is float8 or int8; to be widened to `dtype`.

    With float8, a weight that has eight bits already stays as it is. Never are more than `AT_ONCE` numbers
    there in full beside those of `weight`.
    """
    if storage == "float8" and weight.dtype in EIGHT_BIT_FLOATS:
        return Packed(weight.contiguous(), None, dtype)
    channels, size = weight.shape[0], weight[0].numel()
    groups = size // GROUP if storage == "int8" and size % GROUP == 0 else 1
    pack, kind = (_float8, torch.float8_e4m3fn) if storage == "float8" else (_int8, torch.int8)
    data = torch.empty(weight.shape, dtype=kind, device=weight.device)
    scale = torch.empty(channels, groups, 1, dtype=torch.bfloat16, device=weight.device)
    rows = max(1, AT_ONCE // size)
    for first in range(0, channels, rows):
        part = weight[first : first + rows]
        numbers, step = pack(part.float().reshape(len(part), groups, -1))
        data[first : first + rows] = numbers.reshape(part.shape)
        scale[first : first + rows] = step
    return Packed(data, scale, dtype)


def whole(form: Form) -> torch.Tensor:
    """Return the weight that is kept as `form`."""
    return form.whole() if isinstance(form, Packed) else form


def _float8(numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `numbers (C, n, m)` in eight bits, and the factors `(C, n, 1)`: powers of two."""
    step = torch.exp2(torch.ceil(torch.log2(_largest(numbers) / LARGEST_FLOAT8)))
    return (numbers / step).to(torch.float8_e4m3fn), step


def _int8(numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `numbers (C, n, m)` in eight bits, and the factors `(C, n, 1)`: steps of 8 significant bits."""
    mantissa, exponent = torch.frexp(_largest(numbers) / LARGEST_INT8)
    # Upwards: the largest number must not fall out.
    step = torch.ldexp((mantissa * _SIGNIFICANT).ceil() / _SIGNIFICANT, exponent)
    return (numbers / step).round_().to(torch.int8), step


def _largest(numbers: torch.Tensor) -> torch.Tensor:
    low, high = numbers.aminmax(dim=2, keepdim=True)
    return torch.maximum(-low, high).clamp_min(_SMALLEST)

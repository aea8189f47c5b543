"""What a diffusers UNet's cross-attention looks at while it predicts.

The layers compute as ever; beside each, its probabilities are computed once more and summed up, so that a
drawing that is watched is the same drawing, bit by bit. Summing over heads, layers and steps is what DAAM
does (Tang et al. 2022, arXiv 2210.04885, Section 2.2).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from torch.nn import functional

CROSS: Final = ".attn2"  # how diffusers names the attention of a transformer block to the text
#: The blocks after the middle, whose layers decide what comes where in the picture.
UP: Final = ("up_blocks",)
ALL: Final = ("down_blocks", "mid_block", "up_blocks")


@dataclass(eq=False)
class Heat:
    """The attention of the calls of a UNet so far: `chunks`, one `(rows,T,h,w)` float32 for each call."""

    size: tuple[int, int]
    chunks: list[torch.Tensor] = field(default_factory=list[torch.Tensor])

    def add(self, number: int, maps: torch.Tensor) -> None:
        """Add the maps `(rows,T,h',w')` of one layer to what the call `number` has, brought to `size`."""
        if maps.shape[2:] != self.size:
            maps = functional.interpolate(maps, size=self.size, mode="bilinear", align_corners=False)
        if number < len(self.chunks):
            self.chunks[number] += maps
        else:
            self.chunks.append(maps)

    def total(self) -> NDArray[np.float32] | None:
        """Return the maps `(rows,T,h,w)` of all calls, rows in order; None when no layer was called."""
        return torch.cat(self.chunks).cpu().numpy() if self.chunks else None


@contextmanager
def recording(
    unet: UNet2DConditionModel, size: tuple[int, int], blocks: Sequence[str] = UP
) -> Iterator[Heat]:
    """Sum up what the cross-attention layers in `blocks` of `unet` look at, until the block ends.

    `size (h,w)` is that of the latents, to which the maps of deeper layers are enlarged. For every token a
    map holds its share of the attention at each place, the mean over heads and the sum over layers. Outputs
    do not change, and the layers are afterwards as they were. A compiled UNet runs as it is written until
    then.
    """
    heat = Heat(size)
    parts: Any = unet  # diffusers does not type the parts of its models
    layers = cross_layers(unet, blocks)
    before = [layer.processor for layer in layers]
    compiled = parts._compiled_call_impl  # what torch.compile has put in the place of the forward pass
    parts._compiled_call_impl = None
    try:
        for layer, processor in zip(layers, before, strict=True):
            layer.set_processor(_Recording(processor, heat))
        yield heat
    finally:
        for layer, processor in zip(layers, before, strict=True):
            layer.set_processor(processor)
        parts._compiled_call_impl = compiled


def cross_layers(unet: UNet2DConditionModel, blocks: Sequence[str] = UP) -> list[Any]:
    """Return the layers in `blocks` of `unet` that attend to the text."""
    found = ((name, module) for name, module in unet.named_modules() if name.endswith(CROSS))
    return [module for name, module in found if name.partition(".")[0] in blocks]


@dataclass(eq=False)
class _Recording:
    """An attention processor: what `inner` is, and the probabilities on the way."""

    inner: Any
    heat: Heat
    calls: int = 0

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **more: Any,
    ) -> torch.Tensor:
        if encoder_hidden_states is not None and hidden_states.ndim == 3:
            size = grid_of(hidden_states.shape[1], self.heat.size)
            maps = _probabilities(attn, hidden_states, encoder_hidden_states)
            self.heat.add(self.calls, maps.unflatten(2, size))
            self.calls += 1
        return self.inner(attn, hidden_states, encoder_hidden_states, attention_mask, **more)


def grid_of(places: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a level with so many `places`, in a UNet that halves latents of `size`.

    An odd side is halved upwards, as a convolution of stride two does. Raises ValueError when no level fits.
    """
    height, width = size
    while height * width > max(places, 1):
        height, width = -(-height // 2), -(-width // 2)
    if height * width != places:
        raise ValueError(f"no level of {size} has {places} places")
    return height, width


def _probabilities(attn: Any, hidden: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """Return softmax(Q K^T / sqrt(d)) `(rows,T,N)` in float32, its mean over the heads.

    One head at a time: all of them together would need several times the memory of the layer itself.
    """
    if attn.norm_cross:
        context = attn.norm_encoder_hidden_states(context)
    query = attn.to_q(hidden).float().unflatten(-1, (attn.heads, -1))
    key = attn.to_k(context).float().unflatten(-1, (attn.heads, -1))
    total = torch.zeros(hidden.shape[0], context.shape[1], hidden.shape[1], device=hidden.device)
    for head in range(attn.heads):
        scores = torch.einsum("btd,bnd->btn", key[:, :, head], query[:, :, head])
        total += torch.softmax(scores * attn.scale, dim=1)
    return total / attn.heads

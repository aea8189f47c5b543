"""A diffusers UNet for one call with its layers altered, and a text encoder without its last layers.

Whatever is put in place is taken out again when the call is over, so the networks are always as they were
loaded for everybody else.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.utils.torch_utils import apply_freeu
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from sfumato.models.backends.base import Extra, FreeU

MIDDLE: Final = "mid_block."
SELF: Final = ".attn1"  # how diffusers names the attention of a transformer block to itself


@contextmanager
def altered(unet: UNet2DConditionModel, extra: Extra) -> Iterator[None]:
    """Have `unet` be what `extra` asks for until the block ends. A compiled UNet runs as it is written until
    then.
    """
    with ExitStack() as stack:
        if extra.perturbed or extra.freeu is not None:
            stack.enter_context(_uncompiled(unet))
        if extra.perturbed:
            stack.enter_context(_perturbed(unet))
        if extra.freeu is not None:
            stack.enter_context(_with_freeu(unet, extra.freeu))
        yield


def weighed(block: Any, h: torch.Tensor, skip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what an up block joins, for those who run its layers one by one: `h` from below and `skip` from
    across, with the factors of FreeU that the block has at the moment.
    """
    if not hasattr(block, "b1"):
        return h, skip
    factors = {name: getattr(block, name) for name in ("b1", "b2", "s1", "s2")}
    if None in factors.values():
        return h, skip
    # diffusers multiplies in place, and features are used again.
    return apply_freeu(block.resolution_idx, h.clone(), skip, **factors)


def encode_text(
    encoder: CLIPTextModel | CLIPTextModelWithProjection, ids: torch.Tensor, skipped: int
) -> torch.Tensor:
    """Return the hidden states `(N,T,D)` float32 of tokens `(N,T)` before the last `skipped` layers, after
    the final layer norm.
    """
    states = encoder(ids, output_hidden_states=True).hidden_states
    parts: Any = encoder  # transformers 4 has one module more
    norm = parts.text_model.final_layer_norm if hasattr(parts, "text_model") else parts.final_layer_norm
    return norm(states[-1 - skipped]).float()


@contextmanager
def _uncompiled(unet: UNet2DConditionModel) -> Iterator[None]:
    parts: Any = unet
    compiled = parts._compiled_call_impl  # what torch.compile has put in the place of the forward pass
    parts._compiled_call_impl = None
    try:
        yield
    finally:
        parts._compiled_call_impl = compiled


@contextmanager
def _perturbed(unet: UNet2DConditionModel) -> Iterator[None]:
    """The identity map as every self-attention of the middle block: each place attends to itself alone."""
    named = ((name, module) for name, module in unet.named_modules() if name.startswith(MIDDLE))
    layers: list[Any] = [module for name, module in named if name.endswith(SELF)]
    before = [layer.processor for layer in layers]
    try:
        for layer in layers:
            layer.set_processor(_Identity())
        yield
    finally:
        for layer, processor in zip(layers, before, strict=True):
            layer.set_processor(processor)


@contextmanager
def _with_freeu(unet: UNet2DConditionModel, factors: FreeU) -> Iterator[None]:
    unet.enable_freeu(s1=factors.s1, s2=factors.s2, b1=factors.b1, b2=factors.b2)
    try:
        yield
    finally:
        unet.disable_freeu()


class _Identity:
    """An attention processor that gives every place its own value."""

    def __call__(self, attn: Any, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return attn.to_out[1](attn.to_out[0](attn.to_v(hidden_states)))

"""CLIP's text encoders in the torch backend: with a projection for pooled texts, and without."""

from collections.abc import Callable
from typing import Any

import torch
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from sfumato.models.files import PROJECTING
from sfumato.models.network_files import Config


def builder(class_name: str) -> Callable[[Config], Any]:
    """Return what makes a text encoder of the class that model_index.json names from its configuration."""
    kind = CLIPTextModelWithProjection if class_name == PROJECTING else CLIPTextModel
    return lambda config: kind(CLIPTextConfig(**config))


def encode_pooled(
    encoder: CLIPTextModel | CLIPTextModelWithProjection, ids: torch.Tensor, skipped: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the hidden states `(N,T,D)` float32 of tokens `(N,T)` before the last layer and `skipped` more,
    without the final layer norm, and the pooled text `(N,P)` where the encoder projects one.
    """
    out: Any = encoder(ids, output_hidden_states=True)
    hidden = out.hidden_states[-2 - skipped].float()
    return hidden, out.text_embeds.float() if isinstance(encoder, CLIPTextModelWithProjection) else None

"""diffusers' T2IAdapter in the torch backend."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.adapter import T2IAdapter
from torch.nn.functional import pad

from sfumato.models.network_files import Config


@dataclass(frozen=True)
class TorchT2I:
    """`FeatureNetwork` on torch, of the dtype and on the device that `network` has."""

    network: T2IAdapter

    def features(self, hint: torch.Tensor) -> tuple[torch.Tensor, ...]:
        parts: Any = self.network  # diffusers types its models as plain modules
        height, width = hint.shape[-2:]
        folded: int = parts.config.downscale_factor
        # Latents of an odd side become half of the next even one inside the UNet.
        with torch.no_grad():
            whole = pad(hint, (0, -width % folded, 0, -height % folded), mode="replicate")
            return tuple(one.float() for one in parts(whole.to(parts.dtype)))


def build_t2i(config: Config) -> Any:
    """Return a T2IAdapter of diffusers with this configuration."""
    return T2IAdapter.from_config(dict(config))

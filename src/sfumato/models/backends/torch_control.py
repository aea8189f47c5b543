"""diffusers' ControlNetModel in the torch backend."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.controlnets.controlnet import ControlNetModel

from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.memory import PREDICTING, tells_of_memory
from sfumato.models.network_files import Config


@dataclass(frozen=True, eq=False)
class TorchControl:
    """`ControlNetwork` on torch, of the dtype and on the device that `network` has."""

    network: ControlNetModel

    @tells_of_memory(PREDICTING)
    def residuals(
        self,
        x: torch.Tensor,
        t: float,
        context: torch.Tensor,
        hint: torch.Tensor,
        scale: float,
        extra: Extra = NOTHING,
    ) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        dtype = self.network.dtype
        added: dict[str, torch.Tensor] = {}
        if extra.pooled is not None:
            added["text_embeds"] = extra.pooled.to(dtype)
        if extra.time_ids is not None:
            added["time_ids"] = extra.time_ids  # kept in float32, as for the UNet
        with torch.no_grad():
            call: Any = self.network  # diffusers gives the annotations of another pipeline
            down, mid = call(
                x.to(dtype),
                torch.tensor(t, dtype=torch.float32, device=x.device),
                context.to(dtype),
                controlnet_cond=hint.to(dtype),
                conditioning_scale=scale,
                added_cond_kwargs=added or None,
                return_dict=False,
            )
            return tuple(one.float() for one in down), mid.float()


def build_control(config: Config) -> Any:
    """Return a ControlNet of diffusers with this configuration."""
    return ControlNetModel.from_config(dict(config))

"""Stable Diffusion 3 in the torch backend: diffusers' transformer in the place of the UNet, and T5 beside the
CLIP encoders.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.models.t5.configuration_t5 import T5Config
from transformers.models.t5.modeling_t5 import T5EncoderModel

from sfumato.errors import InputError
from sfumato.models.adapters.changes import Changes
from sfumato.models.backends.base import NOTHING, ControlNetwork, Extra, FeatureNetwork
from sfumato.models.backends.torch import MAX_ROWS, TorchBackend
from sfumato.models.backends.torch_offload import Keeping
from sfumato.models.backends.torch_weights import TEXT, load_network
from sfumato.models.controlnets import ControlFiles
from sfumato.models.files import ModelFiles
from sfumato.models.joint_files import NUMBER
from sfumato.models.memory import ENCODING, PREDICTING, tells_of_memory
from sfumato.models.network_files import Config, NetworkFiles
from sfumato.models.safetensors_header import read_header
from sfumato.models.stored import Stored

# Peak activations of a call, in numbers per token and per channel: two layers as wide as those of Stable
# Diffusion 3 medium took 13 to 18, at 2 rows of 48x48 and 96x96 latents.
ACTIVATIONS_PER_CHANNEL = 24
TEXT_TOKENS = 77 + 256

_TABLE, _TIED = "shared.weight", "encoder.embed_tokens.weight"  # one tensor under two names


@dataclass(frozen=True, eq=False)
class JointBackend(TorchBackend):
    """`Backend` of a transformer that attends to picture and text together, which is its `unet`. It has a
    third text encoder where the model has T5.
    """

    text_encoder_3: T5EncoderModel | None = None

    @tells_of_memory(ENCODING)
    def encode_pooled(
        self, ids: NDArray[np.int64], number: int = 0, skipped: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if number != NUMBER:
            return super().encode_pooled(ids, number, skipped)
        assert self.text_encoder_3 is not None  # a text is given to encoders that are there
        with torch.no_grad():
            network: Any = self.text_encoder_3
            embedded = network.shared(torch.tensor(ids, device=self.device))
            return network.encoder(inputs_embeds=embedded).last_hidden_state.float(), None

    @tells_of_memory(PREDICTING)
    def predict(
        self, x: torch.Tensor, t: float, context: torch.Tensor, extra: Extra = NOTHING
    ) -> torch.Tensor:
        _check_extra(extra)
        assert extra.pooled is not None  # of every text, see sfumato.engine.texts
        with torch.no_grad():
            if self.graphs:
                # A recorded graph writes to the same memory every time.
                torch.compiler.cudagraph_mark_step_begin()
            network: Any = self.unet
            output = network(
                hidden_states=x.to(self.dtype),
                encoder_hidden_states=context.to(self.dtype),
                pooled_projections=extra.pooled.to(self.dtype),
                timestep=torch.full((x.shape[0],), t, dtype=torch.float32, device=self.device),
                return_dict=False,
            )[0]
            return output.to(torch.float32, copy=self.graphs)

    def predict_reusing(
        self,
        x: torch.Tensor,
        t: float,
        context: torch.Tensor,
        features: torch.Tensor | None,
        extra: Extra = NOTHING,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        raise _refused("cache_interval")

    def control(self, files: ControlFiles) -> ControlNetwork:
        raise _refused("control")

    def t2i_adapter(self, files: ControlFiles) -> FeatureNetwork:
        raise _refused("control")

    def adapted(self, changes: Changes) -> "TorchBackend":
        raise _refused("lora")

    def loaded_again(self, files: ModelFiles, offload: str, storage: str) -> "JointBackend":
        return load_joint(files, super().loaded_again(files, offload, storage))

    def max_rows(self, height: int, width: int) -> int:
        network: Any = self.unet
        config = network.config
        tokens = height * width // config.patch_size**2 + TEXT_TOKENS
        channels = config.num_attention_heads * config.attention_head_dim
        row = tokens * channels * ACTIVATIONS_PER_CHANNEL * 4
        return int(min(MAX_ROWS, max(1, self.memory // 4 // row)))


def load_joint(files: ModelFiles, base: TorchBackend) -> JointBackend:
    """Return `base`, loaded from the same files, as the backend of a transformer: with T5, where the model
    has it, in the dtype and on the device of the rest. Raises ModelFileError.
    """
    third = files.text_encoder_3
    loaded = None if third is None else load_t5(third, base.device, base.dtype, base.keeping)
    fields: dict[str, Any] = {name: value for name, value in vars(base).items()}
    return JointBackend(**fields, text_encoder_3=loaded)


def load_t5(
    files: NetworkFiles, device: torch.device, dtype: torch.dtype, keeping: Keeping | None = None
) -> T5EncoderModel:
    """Return T5's encoder, kept as `keeping` says. In float16 what its feed-forward layers put out stays in
    float32, as it overflows.

    Raises ModelFileError for weights that do not fit.
    """
    network = load_network(_untied(files), _build_t5, device, dtype, keeping=keeping, group=TEXT)
    if dtype == torch.float16:
        for block in network.encoder.block:
            block.layer[-1].DenseReluDense.wo.float()
    return network


def _build_t5(config: Config) -> Any:
    network: Any = T5EncoderModel(T5Config(**config))
    network.encoder.embed_tokens = None  # the table under its second name
    return network


def _untied(files: NetworkFiles) -> NetworkFiles:
    """Return `files` with the table of words under one name: files have one of its names, or both."""
    stored = files.stored
    if stored is None:
        stored = {name: Stored(files.weights, name) for name in read_header(files.weights).tensors}
    if _TIED not in stored:
        return files
    once = {name: one for name, one in stored.items() if name != _TIED}
    return replace(files, stored={**once, _TABLE: stored.get(_TABLE, stored[_TIED])})


def _check_extra(extra: Extra) -> None:
    for field, given in (
        ("freeu", extra.freeu is not None),
        ("pag", extra.perturbed),
        ("control", bool(extra.down or extra.inside) or extra.mid is not None),
    ):
        if given:
            raise _refused(field)


def _refused(field: str) -> InputError:
    return InputError("is made for UNets, and this model is a transformer", field=field, hint="Leave it out.")

"""Networks of torch with adapters laid over their weights: a copy that shares every tensor that stays.

The network that is copied is never written to. So its weights are the same bits afterwards, however a
drawing ends, and two drawings at once may have different adapters.
"""

import copy
from typing import Any, TypeVar

import torch

from sfumato.models.adapters.changes import TOKENS, NetworkChanges
from sfumato.models.backends.torch_offload import KEPT_LAYERS, describe
from sfumato.models.names import current_name

NetworkT = TypeVar("NetworkT", bound=torch.nn.Module)

_OLD_END = 2  # transformers then takes the largest token for the end, as CLIP's is


def adapted_copy(network: NetworkT, changes: NetworkChanges) -> NetworkT:
    """Return `network` with `changes` laid over its weights, each computed in float32 and rounded to the
    weight's own dtype. Kernels that torch.compile made for the network are not used.

    Weights in eight bits are read from their file once more, changed, and packed: left whole, those that an
    adapter changes would take as much memory as the model without eight bits. Weights that are read for every
    use from a file are changed at every use.
    """
    shared: dict[int, Any] = {id(one): one for one in (*network.parameters(), *network.buffers())}
    shared |= {id(layer.kept): layer.kept for layer in network.modules() if isinstance(layer, KEPT_LAYERS)}
    result = copy.deepcopy(network, shared)
    for name, weight in network.named_parameters():
        key = current_name(name)
        if key not in changes:
            continue
        owner, _, leaf = name.rpartition(".")
        module: Any = result.get_submodule(owner)
        if leaf == "weight" and type(module) in KEPT_LAYERS:
            module.kept = module.kept.laid_over(changes, key)
        else:
            numbers = weight.detach().to("cpu", torch.float32).numpy()
            made = torch.from_numpy(changes.applied(key, numbers)).to(weight.device, weight.dtype)
            setattr(module, leaf, torch.nn.Parameter(made, requires_grad=False))
        if key == TOKENS and changes.words is not None:
            module.num_embeddings = len(weight) + len(changes.words)
            if weight.is_meta:
                describe(module, (module.num_embeddings, *weight.shape[1:]), weight.dtype)
            _mark_end(result, len(weight) - 1)
    return result


def bytes_of_its_own(copied: torch.nn.Module, network: torch.nn.Module) -> int:
    """Return the bytes of memory that `adapted_copy` takes beside the `network` that it was made of. Weights
    that are read and changed for every use take none.
    """
    shared = {id(one) for one in (*network.parameters(), *network.buffers())}
    size = 0
    for one in (*copied.parameters(), *copied.buffers()):
        size += 0 if id(one) in shared or one.is_meta else one.nbytes
    kept = {id(layer.kept) for layer in network.modules() if isinstance(layer, KEPT_LAYERS)}
    for layer in copied.modules():
        if isinstance(layer, KEPT_LAYERS) and id(layer.kept) not in kept:
            size += layer.kept.num_bytes
    return size


def _mark_end(encoder: Any, last: int) -> None:
    """Have the encoder find the end of a text by its token, `last`: new words are larger."""
    for module in encoder.modules():
        if vars(module).get("eos_token_id") == _OLD_END:
            module.eos_token_id = last

"""What steers a model, alone in one safetensors file: a ControlNet or a T2I-Adapter, told by its tensors.

Nothing is looked up by the name of the file. What looks alike and works otherwise is refused by name.
"""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from sfumato.errors import ModelFileError
from sfumato.models.original.controlnet import PREFIX, Unfit, controlnet_of
from sfumato.models.original.kinds import kind_of
from sfumato.models.original.parts import Part, Source
from sfumato.models.original.t2i_adapter import t2i_adapter_of
from sfumato.models.safetensors_header import Header, read_header

PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
UNION: Final = "a ControlNet Union, one network for several kinds of hints"
CHOOSE: Final = "Use a ControlNet for Stable Diffusion 1, 2 or XL, for one kind of hint, or a T2I-Adapter."
MAX_NOTES: Final = 64 * 1024
# Beside a whole checkpoint, as the first ControlNets were published: what is not the ControlNet's.
_BESIDE: Final = re.compile(
    r"^(model\.diffusion_model|first_stage_model|cond_stage_model|model_ema|conditioner)\.|"
    r"^(betas|logvar|(sqrt_|log_)?(one_minus_)?(recipm?1?_)?alphas_cumprod(_prev)?|posterior_\w+)$"
)
_POOLED: Final = re.compile(rb"^\s*global_average_pooling\s*:\s*[Tt]rue\s*$", re.MULTILINE)
_ADAPTER: Final = re.compile(r"^(adapter\.)?body\.\d+\.(in_conv|block1|resnets\.|body\.)")
_CONTROLNET: Final = re.compile(
    r"^(control_model\.)?(input_hint_block|zero_convs)\.|^controlnet_(cond_embedding|down_blocks|mid_block)"
)


def _some(pattern: str) -> Callable[[Collection[str]], bool]:
    found = re.compile(pattern)
    return lambda names: any(found.search(name) for name in names)


#: Relatives that this is not, and how their names tell them.
_RELATIVES: Final = (
    (UNION, CHOOSE, _some(r"^(control_model\.)?(task_embedding$|control_add_embedding\.)")),
    ("a Control-LoRA, which needs its model to become a ControlNet", CHOOSE, _some(r"^lora_controlnet$")),
    ("a ControlNet-LLLite", CHOOSE, _some(r"^lllite_")),
    ("a ControlNet-XS", CHOOSE, _some(r"^(ctrl_|control_to_base|base_to_control|.*\.(enc|dec)_zero_convs)")),
    (
        "what a ControlNet adds to one model, to be laid over another",
        "Use the whole ControlNet.",
        _some(r"^(control_model\.)?difference$"),
    ),
    (
        "a ControlNet for a diffusion transformer",
        "Stable Diffusion 1, 2 and XL are steered.",
        _some(r"^controlnet_blocks\.|^controlnet_x_embedder\.|^(control_model\.)?controlnet_blocks\."),
    ),
    ("a style adapter", CHOOSE, _some(r"^(style_embedding|transformer_layes\.\d)")),
)


def read_control(path: Path) -> Part:
    """Return the ControlNet or T2I-Adapter in the safetensors file `path`: its class name says which.

    Raises ModelFileError for anything else, saying what it is where that is known, and for tensors that are
    missing, unknown or of another shape.
    """
    if path.suffix.lower() in PICKLES:
        raise _refused(
            path,
            "is a pickle, which can run any program when opened",
            "Only safetensors is opened: get it as that, or, where you trust it, convert it with the program "
            "it came from.",
        )
    header = read_header(path, field="control")
    _refuse_relatives(header, path)
    mine = {key: tensor.shape for key, tensor in header.tensors.items() if key.startswith(PREFIX)}
    if mine:
        beside = [key for key in header.tensors if key not in mine and not _BESIDE.search(key)]
        if beside:
            raise _refused(path, f"has {len(beside)} unknown tensors beside the ControlNet, as {beside[0]}")
    prefix = PREFIX if mine else ""
    shapes = {key[len(prefix) :]: shape for key, shape in (mine or header.shapes).items()}
    source = Source(path, prefix, shapes, header)
    try:
        if any(_CONTROLNET.search(name) for name in shapes):
            part = controlnet_of(source)
            _refuse_pooling(path)
            return part
        if any(_ADAPTER.search(name) for name in shapes):
            return t2i_adapter_of(source)
    except Unfit as unfit:
        what = "ControlNet" if any(_CONTROLNET.search(name) for name in shapes) else "T2I-Adapter"
        raise _refused(path, f"is no {what} that is known: {unfit}") from None
    raise _neither(header, path)


def _refuse_relatives(header: Header, path: Path) -> None:
    for about, hint, tells in _RELATIVES:
        if tells(header.tensors):
            raise _refused(path, f"is {about}, which is not supported", hint)


def _refuse_pooling(path: Path) -> None:
    """Refuse a ControlNet whose settings, as other programs keep them beside it, ask for one number instead
    of each map: its weights do not show that.
    """
    for beside in (path.with_suffix(".yaml"), path.with_suffix(".yml")):
        try:
            with beside.open("rb") as file:
                text = file.read(MAX_NOTES)
        except OSError:
            continue
        if _POOLED.search(text):
            raise _refused(path, f"is pooled over the whole picture ({beside.name}), which is not supported")


def _neither(header: Header, path: Path) -> ModelFileError:
    kind = kind_of(header.tensors)
    if any(name.startswith("model.diffusion_model.") for name in header.tensors):
        return _refused(path, "is a model", "Give it with --model.")
    if kind is not None:
        return _refused(path, f"is {kind.about}, and no ControlNet", "Give one with --control-model.")
    first = ", ".join(sorted(header.tensors)[:3])
    what = f"is nothing that is known: it has {len(header.tensors)} tensors, the first {first}"
    return _refused(path, what)


def _refused(path: Path, what: str, hint: str = CHOOSE) -> ModelFileError:
    return ModelFileError(f"{path.name} {what}", field="control", value=str(path), hint=hint)

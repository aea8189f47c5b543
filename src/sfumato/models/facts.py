"""What a model file is, told from its header alone: kind, family, size, kinds of numbers. No weight is read,
and no name of a file is believed.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sfumato.errors import ModelFileError
from sfumato.models.card import read_card
from sfumato.models.esrgan import read_esrgan
from sfumato.models.families import BY_CONTEXT, Known, family_of, seen, structure_of_diffusers
from sfumato.models.joint_families import joint_family_of, joint_of_diffusers
from sfumato.models.joint_families import seen as seen_joint
from sfumato.models.network_files import read_json
from sfumato.models.notes import Notes, notes_of, with_card
from sfumato.models.original.kinds import kind_of
from sfumato.models.original.says import Says, said_beside, said_by
from sfumato.models.original.structure import Shape, structure_of
from sfumato.models.places import CONFIG, INDEX, PICKLES, WEIGHTS
from sfumato.models.safetensors_header import Header, read_header
from sfumato.samplers.flow import CLASSES as FLOWS

CHECKPOINT, FOLDER, UNKNOWN = "checkpoint", "diffusers folder", "unknown"
LORA, EMBEDDING, VAE, CONTROLNET, UPSCALER = "LoRA", "embedding", "VAE", "ControlNet", "upscaler"
ADAPTER: Final = "T2I-Adapter"
MAX_FILES: Final = 200  # of one folder
SCHEDULER: Final = "scheduler/scheduler_config.json"

_UNET: Final = "model.diffusion_model."
_TEXTS: Final = ("cond_stage_model.", "conditioner.embedders.")
_FIRST_VAE: Final = "first_stage_model."
#: Our words for what `kind_of` says.
_SHORT: Final[Mapping[str, str]] = {
    "a LoRA or one of its relatives": LORA,
    "an embedding (textual inversion)": EMBEDDING,
    "an IP-Adapter": "IP-Adapter",
    "a ControlNet": CONTROLNET,
    "a T2I-Adapter": ADAPTER,
    "a motion module (AnimateDiff)": "motion module",
    "a UNet in diffusers' layout alone": "UNet",
    "an autoencoder (VAE) alone": VAE,
    "a UNet alone, without text encoder and autoencoder": "UNet",
    "a tiny autoencoder (TAESD)": "tiny VAE",
    "a text encoder alone": "text encoder",
    "an upscaler": UPSCALER,
    "a diffusion transformer": "diffusion transformer",
    "a hypernetwork": "hypernetwork",
}
_CLASSES: Final[Mapping[str, str]] = {
    "ControlNetModel": CONTROLNET,
    "AutoencoderKL": VAE,
    "AutoencoderTiny": "tiny VAE",
    "UNet2DConditionModel": "UNet",
    "T2IAdapter": ADAPTER,
}


@dataclass(frozen=True)
class Facts:
    """What a model at `path` is. `kind` is in words; `family` the name of a family or None, with its `title`,
    or with what was `seen` instead. `because` names what says what it predicts. `numbers` counts the numbers
    of each kind, `layout` names whose layout it is.
    """

    path: Path
    kind: str
    num_bytes: int
    tensors: int
    parameters: int
    numbers: Mapping[str, int]
    family: str | None = None
    title: str | None = None
    seen: str | None = None
    prediction: str | None = None
    zero_snr: bool = False
    because: tuple[str, ...] = ()
    layout: str = "original"
    notes: Notes = field(default_factory=Notes)
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


def read_facts(path: Path) -> Facts:
    """Return what the file or diffusers folder `path` is. Raises ModelFileError for a pickle, a damaged file
    and a folder that is no model.
    """
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() in PICKLES:
        raise ModelFileError(
            f"{path.name} is a pickle, which can run any program when opened",
            field="model",
            value=str(path),
            hint="It is not even looked at: get or convert this model as safetensors.",
        )
    header = read_header(path)
    kind, known, about, layout = _told(header, path)
    says = said_by(header, path)
    if kind == CHECKPOINT:
        says = said_beside(says, path)
    return Facts(
        path,
        kind,
        header.num_bytes,
        *_counted([header]),
        *known,
        seen=about,
        prediction=says.prediction,
        zero_snr=says.zero_snr,
        because=says.because,
        layout=layout,
        notes=notes_of(header.metadata),
        metadata=header.metadata,
    )


_INPUTS: Final = ("lora_down.weight", "lora_A.weight", ".down.weight", "hada_w1_b")  # as wide as the text
_Family = tuple[str | None, str | None]
_STRANGE: Final[_Family] = (None, None)


def _told(header: Header, path: Path) -> tuple[str, _Family, str | None, str]:
    """Return kind, family, what was seen beside that, and layout."""
    shapes = header.shapes
    if any(name.startswith(_UNET) for name in shapes):
        texts = any(name.startswith(_TEXTS) for name in shapes)
        unet = {name[len(_UNET) :]: shape for name, shape in shapes.items() if name.startswith(_UNET)}
        other = kind_of(shapes) if "input_blocks.0.0.weight" not in unet else None
        if other is not None:
            return _SHORT.get(other.about, other.about), _STRANGE, None, "original"
        family, about = _original(unet, said_by(header, path), path)
        return (CHECKPOINT if texts else "UNet"), family, about, "original"
    kind = kind_of(shapes)
    name = UNKNOWN if kind is None else _SHORT.get(kind.about, kind.about)
    layout = "diffusers" if any(_is_diffusers(one) for one in shapes) else "original"
    if kind is None:
        name = EMBEDDING if _is_embedding(shapes) else UNKNOWN
    if name == "UNet":
        return name, *_unet(shapes, said_by(header, path), path), layout
    if name == LORA:
        return LORA, _named(_of_lora(header)), None, "peft" if _is_peft(shapes) else "kohya"
    if name in (EMBEDDING, CONTROLNET, ADAPTER, "text encoder"):
        return name, _named(_by_width(name, shapes)), None, layout
    if name == UPSCALER:
        return name, _STRANGE, _of_upscaler(path), layout
    if name == VAE:
        return name, _STRANGE, _of_vae(shapes), layout
    first = None if name != UNKNOWN else "the first tensors are " + ", ".join(sorted(shapes)[:3])
    return name, _STRANGE, first, layout


def _unet(shapes: Mapping[str, Shape], says: Says, path: Path) -> tuple[_Family, str | None]:
    if "input_blocks.0.0.weight" in shapes:
        return _original(shapes, says, path)
    joint = joint_of_diffusers(shapes)
    if joint is not None:
        family = joint_family_of(joint)
        return (_STRANGE, seen_joint(joint)) if family is None else ((family.name, family.title), None)
    unet = structure_of_diffusers(shapes)
    if unet is None:
        return _STRANGE, "a UNet that is not known"
    known = family_of(unet, says.prediction)
    return _shown(known), (seen(unet) if known is None else None)


def _original(shapes: Mapping[str, Shape], says: Says, path: Path) -> tuple[_Family, str | None]:
    try:
        unet = structure_of(shapes, path)
    except ModelFileError as error:
        return _STRANGE, error.message
    known = family_of(unet, says.prediction)
    return _shown(known), (seen(unet) if known is None else None)


def _shown(known: Known | None) -> _Family:
    return _STRANGE if known is None else (known.name, known.title)


def _named(family: str | None) -> _Family:
    return family, None


def _of_lora(header: Header) -> str | None:
    """Return the family that an adapter was made for: by the width of the text that its layers attend to, or
    by what its notes say.
    """
    for name, tensor in header.tensors.items():
        attends = "attn2_to_k." in name or "attn2.to_k." in name
        width = tensor.shape[1] if len(tensor.shape) > 1 else 0
        if attends and name.endswith(_INPUTS) and width in BY_CONTEXT:
            return BY_CONTEXT[width]
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in header.tensors):
        return "sdxl"
    said = header.metadata.get("ss_base_model_version", "") + header.metadata.get(
        "modelspec.architecture", ""
    )
    marks = {"xl": "sdxl", "sd_v1": "sd1", "-v1": "sd1", "sd_v2": "sd2", "-v2": "sd2"}
    return next((family for mark, family in marks.items() if mark in said), None)


def _by_width(kind: str, shapes: Mapping[str, Shape]) -> str | None:
    """Return the family by the numbers per token that a ControlNet attends to, or that a text has, or by how
    an adapter folds its picture.
    """
    if kind == CONTROLNET:
        widths = [shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")]
        return BY_CONTEXT.get(widths[0]) if widths else None
    if kind == ADAPTER:  # of the others, nothing shows whether they are for Stable Diffusion 1 or 2
        entered = next((one for name, one in shapes.items() if name.endswith("conv_in.weight")), ())
        return "sdxl" if len(entered) == 4 and entered[1] in (256, 768) else None
    if kind == EMBEDDING and {"clip_l", "clip_g"} <= shapes.keys():
        return "sdxl"
    if kind == EMBEDDING:
        width = (0, *next(iter(shapes.values())))[-1]
        return {768: "sd1", 1024: "sd2", 1280: "sdxl"}.get(width)
    return None


def _of_upscaler(path: Path) -> str | None:
    try:
        shape = read_esrgan(path).shape
    except ModelFileError:
        return "of a kind that is not drawn with"
    return f"{shape.factor} times as large, {shape.width} channels in {shape.blocks} blocks"


def _of_vae(shapes: Mapping[str, Shape]) -> str | None:
    narrow = next((one for name, one in shapes.items() if name.endswith("decoder.conv_in.weight")), ())
    return f"latents of {narrow[1]} channels" if len(narrow) == 4 else None


def _is_embedding(shapes: Mapping[str, Shape]) -> bool:
    """Tell diffusers' embeddings: one tensor, called by the word, as wide as a text."""
    return len(shapes) == 1 and all(one and one[-1] in (768, 1024, 1280) for one in shapes.values())


def _is_diffusers(name: str) -> bool:
    return "down_blocks." in name or "up_blocks." in name


def _is_peft(shapes: Mapping[str, Shape]) -> bool:
    return any(".lora_A." in name for name in shapes)


def _counted(headers: list[Header]) -> tuple[int, int, dict[str, int]]:
    """Return the number of tensors and of their numbers, and the numbers of each kind."""
    numbers: Counter[str] = Counter()
    for header in headers:
        for tensor in header.tensors.values():
            numbers[tensor.dtype] += tensor.num_elements
    return sum(len(header.tensors) for header in headers), sum(numbers.values()), dict(numbers.most_common())


def _folder(path: Path) -> Facts:
    whole = (path / INDEX).is_file()
    if not whole and not (path / CONFIG).is_file():
        raise ModelFileError(
            f"{path.name} is a folder without {INDEX}",
            field="model",
            value=str(path),
            hint="Give a diffusers folder, or a .safetensors file.",
        )
    if not whole:
        name = _CLASSES.get(str(read_json(path, CONFIG).get("_class_name")), UNKNOWN)
        return _summed(path, name, path, Says())
    says = _scheduled(path)
    network = "transformer" if (path / "transformer").is_dir() else "unet"
    return _summed(path, FOLDER, path / network, says)


def _summed(path: Path, kind: str, network: Path, says: Says) -> Facts:
    """Return the facts of a folder, whose family the safetensors files directly in `network` show."""
    files = sorted(one for one in path.rglob("*") if one.is_file())
    weights = _weights(files)[:MAX_FILES]
    headers = {one: read_header(one) for one in weights}
    shapes: dict[str, Shape] = {}
    for one, header in headers.items():
        shapes |= header.shapes if one.parent == network else {}
    family, about = _STRANGE, None
    if kind in (FOLDER, "UNet"):
        family, about = _unet(shapes, says, network)
    elif kind in (CONTROLNET, ADAPTER):
        family = _named(_by_width(kind, shapes))
    own = next((header for one, header in headers.items() if one.parent == network), None)
    metadata = {} if own is None else own.metadata
    return Facts(
        path,
        kind,
        sum(one.stat().st_size for one in files),
        *_counted(list(headers.values())),
        *family,
        seen=about,
        prediction=says.prediction,
        zero_snr=says.zero_snr,
        because=says.because,
        layout="diffusers",
        notes=with_card(notes_of(metadata), read_card(path)),
        metadata=metadata,
    )


def _weights(files: list[Path]) -> list[Path]:
    """Return the files that are loaded: of several variants of one network the plain one."""
    weights = [one for one in files if one.suffix == WEIGHTS]
    plain = {one.parent for one in weights if one.name.count(".") == 1}
    return [one for one in weights if one.name.count(".") == 1 or one.parent not in plain]


def _scheduled(path: Path) -> Says:
    try:
        config = read_json(path, SCHEDULER)
    except ModelFileError:
        return Says()
    said = config.get("prediction_type", "flow" if config.get("_class_name") in FLOWS else "epsilon")
    zero = config.get("rescale_betas_zero_snr") is True
    return Says(said if isinstance(said, str) else None, zero, because=(SCHEDULER,))

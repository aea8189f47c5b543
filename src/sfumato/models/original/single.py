"""A whole model in one safetensors file of the original layout: found, and described from its header alone.

Every tensor is accounted for: it belongs to a network, it is known to be left over from training, or the file
is refused. Nothing is looked up by the name of the file, and nothing over a network.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError
from sfumato.models.original.families import (
    LOW_RES,
    MAX_NOISE_LEVEL,
    SD2_V,
    UPSCALER,
    XL,
    Family,
    Stranger,
    family_of,
    scheduler_of,
    tokenizers_of,
)
from sfumato.models.original.kinds import kind_of
from sfumato.models.original.names import inverse, rename, unet_modules
from sfumato.models.original.parts import Config, Part, Source, num_bytes, refused
from sfumato.models.original.says import Says, said_by, said_over
from sfumato.models.original.sidecar import Sidecar, read_sidecar
from sfumato.models.original.structure import UNetStructure, structure_of
from sfumato.models.original.text import TextStructure, clip_text, open_clip_text
from sfumato.models.original.vae import FIRST, VaeStructure, vae_of, vae_stored
from sfumato.models.safetensors_header import Header, read_header
from sfumato.models.stored import Stored

PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
UNET: Final = "model.diffusion_model."
VAE: Final = "first_stage_model."
#: Where text encoders lie, and whether open_clip made them: first that of Stable Diffusion 1 and 2, then the
#: two of XL; its refiner has one.
FIRST_TEXTS: Final = (("cond_stage_model.transformer.", False), ("cond_stage_model.model.", True))
LARGE_TEXTS: Final = (
    ("conditioner.embedders.0.transformer.", False),
    ("conditioner.embedders.0.model.", True),
    ("conditioner.embedders.1.model.", True),
)
CLIP, PROJECTING = "CLIPTextModel", "CLIPTextModelWithProjection"
LATENTS, COLOURS = 4, 3
#: In published folders of Stable Diffusion 2, whose weights do not say it.
UNSAID_PROJECTION: Final = 512

# What training leaves behind: averages, optimisers, tables that follow from the schedule, losses of the
# autoencoder, the picture side of CLIP, counters and marks.
_LEFT_OVER: Final = re.compile(
    r"""^(?:
    (?:model_ema|optimizer\w*|optimizer_states|lr_schedulers|callbacks|loops|loss|embedding_manager)\..*
    | (?:low_scale_model|denoiser|first_stage_model\.loss|first_stage_model\.model_ema)\..*
    | (?:sqrt_|log_)?(?:one_minus_)?(?:recipm?1?_)?alphas_cumprod(?:_prev)? | betas
    | posterior_\w+ | lvlb_weights | logvar | scale_factor | global_step | epoch | iteration
    | v_pred | ztsnr | edm_mean | edm_std | edm_vpred\.sigma_(?:max|min)
    | .*\.(?:position_ids|attn_mask|logit_scale)
    | (?:cond_stage_model|conditioner\.embedders\.0)\.transformer\.
      (?:vision_model\..*|visual_projection\..*|text_projection\..*)
    | (?:cond_stage_model|conditioner\.embedders\.\d)\.model\.(?:visual\..*|text_projection(?:\.weight)?)
    | cond_stage_model\.model\.transformer\.resblocks\.23\..*
    )$""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class SingleFile:
    """A whole model in the file `path`: its parts and all that a folder says beside them.

    `vae` is None where the file has none, and another must be given. `tokenizers` are the
    configurations of one for each of `texts`; their vocabulary is CLIP's.
    """

    path: Path
    family: Family
    says: Says
    unet: Part
    vae: Part | None
    texts: tuple[Part, ...]
    scheduler: Config
    tokenizers: tuple[Config, ...]
    low_res: Config | None
    max_noise_level: int | None
    index: Config
    sidecar: Sidecar


def read_single(path: Path) -> SingleFile:
    """Return the model in the safetensors file `path`. Raises ModelFileError for anything else, saying what
    it is where that is known, and what was seen.
    """
    _refuse_pickles(path)
    return single_of(read_header(path), path, read_sidecar(path))


def single_of(header: Header, path: Path, sidecar: Sidecar) -> SingleFile:
    """Return the model in a file with this `header`, which need not be written yet. Raises as `read_single`
    does.
    """
    parts = _by_prefix(header, path)
    if UNET not in parts or not _texts_of(parts):
        raise _no_model(header, path, parts)
    unet_source = parts[UNET]
    unet = structure_of(unet_source.shapes, path)
    names = rename(unet_source.shapes, inverse(unet_modules(unet)))
    unet_stored = {name: unet_source.stored(key) for key, name in names.items()}
    texts = [_read_text(source, packed, unet) for source, packed in _texts_of(parts)]
    says = said_over(said_by(header, path), sidecar, path)
    try:
        family = family_of(unet, tuple(structure for structure, _ in texts), says)
    except Stranger as stranger:
        raise refused(path, str(stranger)) from None
    if says.edm is not None and family is not XL:
        raise refused(path, f"it was trained in another way (EDM), and is {family.name}")
    vae = _vae_part(parts[VAE], family, says, sidecar) if VAE in parts else None
    used = [unet_stored, *(stored for _, stored in texts)] + ([] if vae is None else [vae.stored])
    _check_all_known(header, path, used)
    made = _unet_config(unet, family, says), unet_stored
    return _assembled(path, header, family, says, sidecar, made, vae, texts)


def read_vae(path: Path) -> Part | None:
    """Return the autoencoder in the safetensors file `path`, alone or in a model, with the configuration that
    its weights decide; None for a file that has none in the original layout. Raises ModelFileError.
    """
    _refuse_pickles(path)
    header = read_header(path)
    prefix = next((one for one in (VAE, "") if f"{one}{FIRST}" in header.tensors), None)
    if prefix is None or f"{prefix}encoder.down.0.block.0.conv1.weight" not in header.tensors:
        return None
    source = _source(header, path, prefix)
    structure = vae_of(source)
    stored = vae_stored(source, structure)
    unknown = [key for key in source.shapes if key not in {one.key[len(prefix) :] for one in stored.values()}]
    unknown = [key for key in unknown if not _LEFT_OVER.match(key) and not _LEFT_OVER.match(VAE + key)]
    if unknown and prefix == "":
        raise refused(path, f"it has {len(unknown)} tensors beside the autoencoder's, the first {unknown[0]}")
    return Part("vae", "AutoencoderKL", structure.config(), stored, num_bytes(header, stored))


def _assembled(
    path: Path,
    header: Header,
    family: Family,
    says: Says,
    sidecar: Sidecar,
    unet: tuple[dict[str, Any], dict[str, Stored]],
    vae: Part | None,
    texts: list[tuple[TextStructure, dict[str, Stored]]],
) -> SingleFile:
    def part(name: str, kind: str, config: dict[str, Any], stored: dict[str, Stored]) -> Part:
        return Part(name, kind, sidecar.over(name, config), stored, num_bytes(header, stored))

    named = ("text_encoder", "text_encoder_2")[: len(texts)]
    encoders = tuple(
        part(name, _class_of(structure), _text_config(structure), stored)
        for name, (structure, stored) in zip(named, texts, strict=True)
    )
    upscales = family is UPSCALER
    index: dict[str, Any] = {"_class_name": family.pipeline, **(family.index or {})}
    scheduler = sidecar.over("scheduler", scheduler_of(family, says))
    index["scheduler"] = ["diffusers", scheduler["_class_name"]]
    index |= {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    for at, one in enumerate(encoders):
        index[one.name] = ["transformers", one.class_name]
        index[("tokenizer", "tokenizer_2")[at]] = ["transformers", "CLIPTokenizer"]
    if upscales:
        index |= {"low_res_scheduler": ["diffusers", LOW_RES["_class_name"]]}
        index["max_noise_level"] = MAX_NOISE_LEVEL
    return SingleFile(
        path=path,
        family=family,
        says=says,
        unet=part("unet", "UNet2DConditionModel", *unet),
        vae=vae,
        texts=encoders,
        scheduler=scheduler,
        tokenizers=tokenizers_of(tuple(structure for structure, _ in texts)),
        low_res=LOW_RES if upscales else None,
        max_noise_level=MAX_NOISE_LEVEL if upscales else None,
        index=index,
        sidecar=sidecar,
    )


def _class_of(structure: TextStructure) -> str:
    return CLIP if structure.projected is None else PROJECTING


def _text_config(structure: TextStructure) -> dict[str, Any]:
    unsaid = UNSAID_PROJECTION if structure.packed else None
    return structure.config(_class_of(structure), unsaid)


def _unet_config(unet: UNetStructure, family: Family, says: Says) -> dict[str, Any]:
    """Return the configuration of the UNet: what weights decide, and what all published ones share."""
    shared = {
        "act_fn": "silu",
        "center_input_sample": False,
        "downsample_padding": 1,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-05,
        "norm_num_groups": 32,
        "sample_size": _side(family, says),
    }
    if family is SD2_V:  # 2.1 overflows float16 without it, and does no harm to 2.0, which looks the same
        shared["upcast_attention"] = True
    return {**shared, **unet.config()}


def _side(family: Family, says: Says) -> int:
    """Return the side of the latents: of Stable Diffusion 2 there are two, and files may say which."""
    second = family.architecture.startswith("stable-diffusion-v2-") and family is not UPSCALER
    return says.side // 8 if second and says.side is not None else family.size


def _vae_part(source: Source, family: Family, says: Says, sidecar: Sidecar) -> Part:
    structure = vae_of(source)
    config = sidecar.over("vae", _vae_config(structure.config(), family, says))
    stored = vae_stored(source, structure)
    return Part("vae", "AutoencoderKL", config, stored, num_bytes(source.header, stored))


def missing_vae(single: SingleFile) -> dict[str, Any]:
    """Return the configuration of the autoencoder that a model without one needs: its family's."""
    widths = (128, 256, 512) if single.family is UPSCALER else (128, 256, 512, 512)
    return vae_config(single, VaeStructure(widths, layers=2, latents=LATENTS, colours=COLOURS).config())


def vae_config(single: SingleFile, decided: Config) -> dict[str, Any]:
    """Return the configuration of an autoencoder of which weights decide `decided`, in the model `single`."""
    return single.sidecar.over("vae", _vae_config(decided, single.family, single.says))


def _vae_config(decided: Config, family: Family, says: Says) -> dict[str, Any]:
    levels = len(decided["block_out_channels"])
    config = {**decided, "scaling_factor": family.scaling}
    config["sample_size"] = 256 if family is UPSCALER else _side(family, says) * 2 ** (levels - 1)
    config |= {} if says.edm is None else says.edm.latents
    return {**config, "force_upcast": True} if family.large else config


def _read_text(source: Source, packed: bool, unet: UNetStructure) -> tuple[TextStructure, dict[str, Stored]]:
    if packed:
        return open_clip_text(source, projecting=unet.pooled is not None)
    return clip_text(source)


def _by_prefix(header: Header, path: Path) -> dict[str, Source]:
    """Return the tensors of each part that is there, by its prefix."""
    prefixes = (UNET, VAE, *(prefix for prefix, _ in (*FIRST_TEXTS, *LARGE_TEXTS)))
    found = {prefix: _source(header, path, prefix) for prefix in prefixes}
    return {prefix: source for prefix, source in found.items() if source.shapes}


def _source(header: Header, path: Path, prefix: str) -> Source:
    shapes = {
        key[len(prefix) :]: tensor.shape for key, tensor in header.tensors.items() if key.startswith(prefix)
    }
    return Source(path, prefix, shapes, header)


def _texts_of(parts: Mapping[str, Source]) -> list[tuple[Source, bool]]:
    large = [(parts[prefix], packed) for prefix, packed in LARGE_TEXTS if prefix in parts]
    return large or [(parts[prefix], packed) for prefix, packed in FIRST_TEXTS if prefix in parts]


def _check_all_known(header: Header, path: Path, used: Iterable[Mapping[str, Stored]]) -> None:
    known = {one.key for stored in used for one in stored.values()}
    unknown = [key for key in header.tensors if key not in known and not _LEFT_OVER.match(key)]
    if unknown:
        seen = f"beside {len(known)} that are known, the first {min(unknown)}"
        raise refused(path, f"it has {len(unknown)} tensors of no known network, {seen}")


def _refuse_pickles(path: Path) -> None:
    if path.suffix.lower() in PICKLES:
        raise ModelFileError(
            f"{path.name} is a pickle, which can run any program when opened",
            field="model",
            value=str(path),
            hint="Only safetensors is opened: get the model as that, or, where you trust it, convert it with "
            "the program it came from.",
        )


def _no_model(header: Header, path: Path, parts: Mapping[str, Source]) -> ModelFileError:
    """Return the error for a file that lacks a UNet or a text encoder."""
    if f"{UNET}input_blocks.0.0.weight" in header.tensors:
        shown = "a UNet and an autoencoder" if VAE in parts else "a UNet"
        return refused(path, f"it has {shown}, and no text encoder", "Give the whole model.")
    kind = kind_of(header.tensors)
    if kind is not None:
        return ModelFileError(f"this is {kind.about}", field="model", value=str(path), hint=kind.hint)
    first = ", ".join(sorted(header.tensors)[:3])
    return refused(path, f"it has {len(header.tensors)} tensors, the first {first}")

"""Whether a ControlNet or a T2I-Adapter can steer a model, told from configurations alone."""

from typing import Any, Final

from sfumato.errors import RecipeError
from sfumato.models.controlnets import DEFAULTS, ControlFiles
from sfumato.models.files import ModelFiles
from sfumato.models.joint_files import is_transformer
from sfumato.models.network_files import Config
from sfumato.models.original.t2i_adapter import LARGE, LIGHT

# What must be as in the UNet when both are told sizes and a pooled text.
_ADDED: Final = ("addition_time_embed_dim", "projection_class_embeddings_input_dim")
_MIDDLE: Final = "UNetMidBlock2DCrossAttn"

Feature = tuple[int, int]  # channels, and how many times smaller than the picture


def check_fit(control: ControlFiles, model: ModelFiles, name: str) -> None:
    """Raise RecipeError when what the recipe calls `name` cannot steer `model`."""
    fault = misfit(control, model)
    if fault is not None:
        raise RecipeError(
            f"this {control.kind} does not fit the model: {fault}",
            field="control",
            value=name,
            hint="Use one that was trained for this model, or for one of its family.",
        )


def misfit(control: ControlFiles, model: ModelFiles) -> str | None:
    """Return why a ControlNet or a T2I-Adapter cannot steer a model, as one clause; None when it can.

    A UNet for inpainting takes more channels than a ControlNet, which sees the latents alone.
    """
    if is_transformer(model.unet):
        return "it steers UNets, and the model is a transformer (Stable Diffusion 3)"
    if control.kind == "T2I-Adapter":
        return _misfit_of_adapter(control.network.config, model)
    ours, unet, vae = {**DEFAULTS, **control.network.config}, model.unet.config, model.vae.config
    theirs = _whole(unet)
    if ours["in_channels"] != vae.get("latent_channels", 4):
        return f"it takes latents of {ours['in_channels']} channels, not {vae.get('latent_channels', 4)}"
    widths, wanted = list(ours["block_out_channels"]), list(theirs["block_out_channels"])
    if widths != wanted:
        return f"its levels have {_listed(widths)} channels, not {_listed(wanted)}"
    layers, needed = (_per_level(one["layers_per_block"], len(wanted)) for one in (ours, theirs))
    if layers != needed:
        return f"its levels have {_listed(layers)} layers, not {_listed(needed)}"
    blind = control.network.derived and "cross_attention_dim" not in control.network.config
    if not blind and ours["cross_attention_dim"] != theirs["cross_attention_dim"]:
        texts = f"{ours['cross_attention_dim']} numbers, not {theirs['cross_attention_dim']}"
        return f"it attends to texts of {texts}"
    if ours["addition_embed_type"] != theirs["addition_embed_type"]:
        kinds = [one["addition_embed_type"] or "nothing" for one in (ours, theirs)]
        return f"it is told {kinds[0]} beside the text, not {kinds[1]}"
    for key in _ADDED if ours["addition_embed_type"] is not None else ():
        if ours[key] != theirs[key]:
            return f"its {key} is {ours[key]}, not {theirs[key]}"
    halved = len(ours["conditioning_embedding_out_channels"]) - 1
    levels = len(vae.get("block_out_channels", ())) - 1
    if halved != levels:
        return f"it makes hints {2**halved} times smaller, and the autoencoder pictures {2**levels} times"
    return None


def _misfit_of_adapter(config: Config, model: ModelFiles) -> str | None:
    """Return why the features of an adapter have no place in a model; None when all have one."""
    features, places, more = _features(config), _places(model), _in_middle(model)
    if len(features) > len(places):
        places += more
    if len(features) != len(places):
        counts = f"{len(features)} features, and the model takes {len(places)}"
        return f"it makes {counts}"
    widths, wanted = ([one[0] for one in some] for some in (features, places))
    if widths != wanted:
        return f"its features have {_listed(widths)} channels, not {_listed(wanted)}"
    smaller, needed = ([one[1] for one in some] for some in (features, places))
    if smaller != needed:
        return f"its features are {_listed(smaller)} times smaller than the picture, not {_listed(needed)}"
    return None


def _features(config: Config) -> list[Feature]:
    """Return the features that a T2IAdapter of diffusers makes, in their order."""
    widths, first = list(config["channels"]), config["downscale_factor"]
    if config["adapter_type"] == LARGE:
        return [(width, first * (1 if at < 2 else 2)) for at, width in enumerate(widths)]
    widths += widths[-1:] if config["adapter_type"] == LIGHT else []
    return [(width, first * 2**at) for at, width in enumerate(widths)]


def _places(model: ModelFiles) -> list[Feature]:
    """Return where diffusers' UNet adds features on its way down: in a block that attends, before it makes
    the latents smaller; after one that does not.
    """
    unet = _whole(model.unet.config)
    widths, kinds = list(unet["block_out_channels"]), list(unet["down_block_types"])
    factor = _factor(model)
    places: list[Feature] = []
    for at, (width, kind) in enumerate(zip(widths, kinds, strict=True)):
        attends, last = "CrossAttn" in kind, at == len(widths) - 1
        places.append((width, factor * 2 ** (at if attends or last else at + 1)))
    return places


def _in_middle(model: ModelFiles) -> list[Feature]:
    """Return the place in the middle of a UNet that has one."""
    if model.unet.config.get("mid_block_type", _MIDDLE) is None:
        return []
    widths = list(_whole(model.unet.config)["block_out_channels"])
    return [(widths[-1], _factor(model) * 2 ** (len(widths) - 1))]


def _factor(model: ModelFiles) -> int:
    return 2 ** (len(model.vae.config.get("block_out_channels", ())) - 1)


def _whole(unet: Config) -> dict[str, Any]:
    return {**DEFAULTS, **{key: unet[key] for key in DEFAULTS if key in unet}}


def _per_level(value: Any, levels: int) -> list[Any]:
    return [value] * levels if isinstance(value, int) else list(value)


def _listed(values: list[Any]) -> str:
    return ", ".join(map(str, values))

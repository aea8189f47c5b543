"""How a model draws when nothing is asked for, and whether its networks belong together: told from its files
alone, before anything of it is loaded.
"""

import math
from dataclasses import replace
from typing import Any, get_args

from sfumato.errors import ModelFileError
from sfumato.models.files import ModelFiles
from sfumato.models.instructed import instructed
from sfumato.models.joint_files import check_joint, is_transformer, largest_side, setting
from sfumato.models.latents import LATENT_CHANNELS, check_scaling
from sfumato.models.levels import fault_of_levels
from sfumato.models.liked import liked_by
from sfumato.models.low_res import low_res_noise, upscales
from sfumato.models.network_files import NetworkFiles, damaged
from sfumato.models.told import told
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.of_model import OWN_VAE
from sfumato.recipe.parts import MixMode
from sfumato.recipe.values import MAX_CACHE_INTERVAL, MAX_GUIDANCE, MAX_SIZE, MAX_STEPS
from sfumato.samplers.schedule import SPACINGS, Schedule
from sfumato.samplers.solvers import SOLVERS

MAX_SIDE = 4096
ATTENDING_MIDDLE = "UNetMidBlock2DCrossAttn"  # diffusers' default
MAX_UPSCALED = 1024  # a UNet that works at half the scale of others needs four times the memory
MAX_DOWNSAMPLING = 256  # eight times what Stable Diffusion has; more is a damaged list of channels
ENTROPIC_SIGMAS = "entropic_sigmas"  # in sfumato.json: what the spacing "entropic" takes


def downsampling(files: ModelFiles) -> int:
    """Return how many pixels one latent spans per side: each level of the autoencoder but one halves."""
    widths = files.vae.config.get("block_out_channels")
    usable = isinstance(widths, list) and all(isinstance(width, int) and width >= 1 for width in widths)
    factor = 2 ** (len(widths) - 1) if usable and widths else 0
    if not 1 <= factor <= MAX_DOWNSAMPLING:
        raise damaged(files.vae.described, "holds no usable block_out_channels")
    return factor


def latent_channels(files: ModelFiles) -> int:
    """Return how many channels latents have. Raises ModelFileError."""
    return _number(files.vae, "latent_channels", LATENT_CHANNELS)


def inpaints(files: ModelFiles) -> bool:
    """Tell whether the UNet takes a mask and the latents of a picture beside x, as inpainting UNets do."""
    latents = latent_channels(files)
    return _number(files.unet, "in_channels") == 2 * latents + 1


def read_defaults(files: ModelFiles, *, name: str, digest: str) -> ModelDefaults:
    """Return how this model draws when nothing is asked for: `sfumato.json`, else what suits Stable
    Diffusion.

    Raises ModelFileError for a value of the wrong kind or out of range, a name that is not known, and
    networks that do not fit together.
    """
    _check(files)
    trained = len(schedule_of(files).alphas_cumprod)
    factor = downsampling(files)
    native = _native_size(files, factor)
    low_res = low_res_noise(files)
    liked = liked_by(files)
    joint = is_transformer(files.unet)
    caching = 1 if joint else MAX_CACHE_INTERVAL
    # What zero terminal SNR needs; those that have some signal left are used without.
    zero_snr = files.scheduler.get("rescale_betas_zero_snr") is True
    rescaled = zero_snr and files.scheduler.get("prediction_type") == "v_prediction" and low_res is None
    largest = MAX_SIDE if low_res is None else MAX_UPSCALED
    patch = setting(files.unet, "patch_size") if joint else 1
    if joint:
        largest = min(largest, largest_side(files.unet) * factor)
    defaults = ModelDefaults(
        name=name,
        digest=digest,
        width=_default(files, "width", native, 1, MAX_SIZE),
        height=_default(files, "height", native, 1, MAX_SIZE),
        multiple=_default(files, "multiple", factor * patch, 1, MAX_SIZE),
        min_size=_default(files, "min_size", min(native, 8 * factor), 1, MAX_SIZE),
        max_size=_default(files, "max_size", max(native, largest), 1, MAX_SIZE),
        steps=_default(files, "steps", min(liked.steps, trained), 1, min(MAX_STEPS, trained)),
        sampler=_default(files, "sampler", liked.sampler),
        spacing=_default(files, "spacing", liked.spacing),
        guidance=_default(files, "guidance", liked.guidance, 0, MAX_GUIDANCE),
        guidance_rescale=_default(files, "guidance_rescale", 0.7 if rescaled else 0.0, 0, 1),
        samplers=tuple(SOLVERS),
        spacings=tuple(name for name, row in SPACINGS.items() if joint or not row.flow),
        max_steps=min(MAX_STEPS, trained),
        fast_cache_interval=_default(
            files, "fast_cache_interval", 1 if joint else ModelDefaults.fast_cache_interval, 1, caching
        ),
        fast_guidance_start=_default(files, "fast_guidance_start", ModelDefaults.fast_guidance_start, 0, 1),
        fast_guidance_stop=_default(files, "fast_guidance_stop", ModelDefaults.fast_guidance_stop, 0, 1),
        mix_mode=_default(files, "mix_mode", ModelDefaults.mix_mode),
        upscales=0 if low_res is None else factor,
        max_noise_level=0 if low_res is None else low_res.max_level,
        text_layers=_text_layers(files),
        joint=joint,
        middle_attends=files.unet.config.get("mid_block_type", ATTENDING_MIDDLE) == ATTENDING_MIDDLE,
        told=told(files),
        vae=OWN_VAE if _may_lie_beside(files) else None,
        instructed=instructed(files),
    )
    for field, value, names in (
        ("sampler", defaults.sampler, defaults.samplers),
        ("spacing", defaults.spacing, defaults.spacings),
        ("mix_mode", defaults.mix_mode, get_args(MixMode)),
    ):
        if value not in names:
            raise damaged(files.settings_file, f"names an unknown {field}, {value!r}")
    if SPACINGS[defaults.spacing].measured and files.defaults.get(ENTROPIC_SIGMAS) is None:
        what = f"names the spacing {defaults.spacing!r} and holds no {ENTROPIC_SIGMAS}"
        raise damaged(files.settings_file, what)
    start, stop = defaults.fast_guidance_start, defaults.fast_guidance_stop
    if start > stop:
        what = f"holds a fast_guidance_start, {start}, after its fast_guidance_stop, {stop}"
        raise damaged(files.settings_file, what)
    _check_sizes(files, defaults, factor)
    return defaults


def _check(files: ModelFiles) -> None:
    """Refuse networks that would fail only while drawing, or draw noise."""
    if is_transformer(files.unet):
        texts = files.text_encoder, files.text_encoder_2, files.text_encoder_3
        check_joint(files.unet, files.vae, texts, files.folder)
    else:
        _check_unet(files)
    check_scaling(files.vae, latent_channels(files))


def _check_unet(files: ModelFiles) -> None:
    unet = files.unet
    fault = fault_of_levels(unet.config)
    if fault is not None:
        raise damaged(unet.described, fault)
    channels = latent_channels(files)
    own = inpaints(files) or upscales(files) or instructed(files)
    fits = _number(unet, "in_channels") == channels or own
    if not fits or _number(unet, "out_channels", channels) != channels:
        raise damaged(unet.described, "disagrees with vae/config.json on channels")
    for key in ("class_embed_type", "num_class_embeds"):
        if unet.config.get(key) is not None and not (key == "num_class_embeds" and upscales(files)):
            raise damaged(unet.described, f"asks for more than a text ({key})")
    # diffusers' and transformers' defaults stand in for what a configuration leaves out.
    projected = unet.config.get("encoder_hid_dim")
    attended = unet.config.get("cross_attention_dim", 1280) if projected is None else projected
    encoders = [one for one in (files.text_encoder, files.text_encoder_2) if one is not None]
    widths = [one.config.get("hidden_size", 512) for one in encoders]
    width = sum(widths) if all(isinstance(one, int) for one in widths) else None
    for dimension in attended if isinstance(attended, list) else [attended]:
        if width is not None and width != dimension:
            names = " and ".join(f"{one.name}/config.json" for one in encoders)
            what = f"disagrees with {names}: it attends to {dimension} numbers, not {width}"
            raise damaged(unet.described, what)
    if files.text_encoder_2 is not None and not told(files).sizes:
        raise damaged(unet.described, "takes no pooled text, and there are two text encoders")


def _check_sizes(files: ModelFiles, defaults: ModelDefaults, factor: int) -> None:
    path = files.settings_file
    if defaults.multiple % factor:
        raise damaged(
            path, f"holds a multiple, {defaults.multiple}, that is none of the autoencoder's {factor}"
        )
    smallest, largest = defaults.min_size, defaults.max_size
    for field, side in (("width", defaults.width), ("height", defaults.height)):
        if not smallest <= side <= largest:
            raise damaged(path, f"holds a {field}, {side}, outside its sizes, {smallest} to {largest}")
    if largest // defaults.multiple * defaults.multiple < smallest:
        raise damaged(path, f"holds no multiple of {defaults.multiple} in its sizes, {smallest} to {largest}")


def schedule_of(files: ModelFiles) -> Schedule:
    """Return the noise schedule of a checked model. Raises ModelFileError for one that cannot be used."""
    try:
        schedule = Schedule.from_diffusers_config(files.scheduler)
    except ModelFileError as error:
        path = files.scheduler_file
        raise damaged(path, f"cannot be used ({error})") from error
    knots = files.defaults.get(ENTROPIC_SIGMAS)
    if knots is None:
        return schedule
    try:
        if not isinstance(knots, list):
            raise ValueError("they are no list")
        return replace(schedule, entropic=tuple(knots))
    except (TypeError, ValueError) as error:
        what = f"holds {ENTROPIC_SIGMAS} that cannot be used ({error})"
        raise damaged(files.settings_file, what) from error


def _may_lie_beside(files: ModelFiles) -> bool:
    """Tell whether the model brings an autoencoder in whose place one could be that lies beside the model."""
    return files.single is not None and files.own_vae is None and not files.vae.is_absent


def _native_size(files: ModelFiles, factor: int) -> int:
    size = files.unet.config.get("sample_size")
    if isinstance(size, int) and not isinstance(size, bool) and 1 <= size * factor <= MAX_SIZE:
        return size * factor
    return 64 * factor


def _default(files: ModelFiles, key: str, fallback: Any, low: float = 0, high: float = math.inf) -> Any:
    """Return `sfumato.json`'s value of `key`, which must be of the kind of `fallback` and, when a number, in
    [low, high]; or the fallback itself."""
    if key not in files.defaults:
        return fallback
    value = files.defaults[key]
    path = files.settings_file
    kind = (int, float) if isinstance(fallback, float) else type(fallback)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise damaged(path, f"holds the wrong kind of value for {key} ({value!r})")
    if isinstance(value, int | float) and not low <= value <= high:
        raise damaged(path, f"must hold {key} between {low} and {high} ({value!r})")
    return float(value) if isinstance(fallback, float) else value


def _number(network: NetworkFiles, key: str, fallback: int | None = None) -> int:
    value = network.config.get(key, fallback)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise damaged(network.described, f"holds no usable {key} ({value!r})")
    return value


def _text_layers(files: ModelFiles) -> int:
    """Return how many layers the smaller text encoder has."""
    encoders = [one for one in (files.text_encoder, files.text_encoder_2) if one is not None]
    return min(_number(one, "num_hidden_layers", 12) for one in encoders)

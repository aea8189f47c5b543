"""From a model's name to a `ModelBundle`: find the folder, check it, load it."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from sfumato.errors import MissingExtraError, ModelFileError
from sfumato.models.ahead import Ahead, load_compiled, with_previews
from sfumato.models.backends.base import Backend
from sfumato.models.backends.selection import INSTALL_TORCH, choose
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import ModelFiles, locate, no_vae
from sfumato.models.folders import find_folder, is_known, known_folders
from sfumato.models.instructed import instructed, shown
from sfumato.models.joint_files import check_joint, is_transformer, largest_side, setting
from sfumato.models.latents import check_scaling
from sfumato.models.levels import fault_of_levels
from sfumato.models.liked import liked_by
from sfumato.models.low_res import low_res_noise, upscales
from sfumato.models.memory import system_memory
from sfumato.models.network_files import NetworkFiles, damaged
from sfumato.models.places import vae_beside
from sfumato.models.text import TextTokenizer
from sfumato.models.text_pair import TextPair
from sfumato.models.tiling import latents_within
from sfumato.models.told import told
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.parts import MixMode
from sfumato.recipe.values import MAX_CACHE_INTERVAL, MAX_GUIDANCE, MAX_SIZE, MAX_STEPS
from sfumato.samplers.schedule import SPACINGS, Schedule
from sfumato.samplers.solvers import SOLVERS
from sfumato.settings import Settings

MAX_SIDE = 4096
LARGE = 200_000_000  # bytes of a model of which it is asked whether it fits into memory
REMEMBERED = 100_000_000  # bytes of a file that takes longer to read than what was remembered of it
ATTENDING_MIDDLE = "UNetMidBlock2DCrossAttn"  # diffusers' default
MAX_UPSCALED = 1024  # a UNet that works at half the scale of others needs four times the memory
MAX_DOWNSAMPLING = 256  # eight times what Stable Diffusion has; more is a damaged list of channels
LATENT_CHANNELS = 4  # diffusers' default
ENTROPIC_SIGMAS = "entropic_sigmas"  # in sfumato.json: what the spacing "entropic" takes


@dataclass(frozen=True, eq=False)
class FoundModel:
    """A model whose files were found and checked, in `seconds`; its networks are not loaded. `notes` are
    sentences for people.
    """

    files: ModelFiles
    tokenizer: TextTokenizer
    defaults: ModelDefaults
    seconds: float
    pair: TextPair | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedModel:
    """A model that can be named: what `sfumato models` shows. `problem` says why it cannot be loaded."""

    name: str
    folder: Path
    width: int | None
    height: int | None
    num_bytes: int
    problem: str | None


def load_bundle(name_or_path: str, settings: Settings) -> ModelBundle:
    """Load the model called `name_or_path`: "bundled", a folder in `settings.model_dirs`, or a path.

    Raises RecipeError for a name that is not known, ModelFileError for a folder that is missing, damaged or
    holds a pickle, InputError for a device this machine lacks and for a backend or precision that cannot draw
    it, MissingExtraError without torch where it is needed.
    """
    return load(find_model(name_or_path, settings), settings)


def find_model(name_or_path: str, settings: Settings, *, paths: bool = True) -> FoundModel:
    """Find a model and check its files, without loading it: quick, and enough to resolve a recipe.

    `paths` False takes names only: what a picture's metadata says must not open folders of its choice.
    Raises RecipeError and ModelFileError as `load_bundle` does.
    """
    started = time.perf_counter()
    folder = find_folder(name_or_path, settings, paths=paths)
    files = locate(folder, whole=False)  # a recipe may give what a file lacks
    files, notes = with_previews(files, settings)
    # A path is nobody else's business, and pictures carry the name.
    resolved = folder.resolve()
    own = resolved.stem if files.single is not None else resolved.name
    name = name_or_path if is_known(name_or_path, settings) else own
    defaults = read_defaults(files, name=name, digest=digest_of(files, settings))
    tokenizer = TextTokenizer.load(files)
    pair = TextPair.load(files, tokenizer) if defaults.told.sizes or defaults.joint else None
    tokenizer = tokenizer if pair is None else pair.tokenizers[0]
    return FoundModel(files, tokenizer, defaults, time.perf_counter() - started, pair, notes)


def digest_of(files: ModelFiles, settings: Settings) -> str:
    """Return the digest of a model; of large files it is remembered in the data folder, see `models.digests`:
    reading 7 GB at every start would take longer than drawing.
    """
    paths = {path for one in files.networks for path in one.paths}
    large = sorted(path for path in paths if path.stat().st_size >= REMEMBERED)
    if not large:
        return files.digest()
    from sfumato.models.digests import digests_of  # the bundled model draws without

    return files.digest({path: digests_of(path, settings).whole for path in large})


def load(
    found: FoundModel,
    settings: Settings,
    ahead: Ahead | None = None,
    size: tuple[int, int] | None = None,
) -> ModelBundle:
    """Load the networks of a model that was found, in the backend that `choose` takes; `ahead` may have begun
    with it. Where a large model, drawing pictures of `size` (width, height; None: its own), does not fit into
    memory as it is asked for, less of it is kept there: see `sfumato.models.fitting`. Raises as `load_bundle`
    does.
    """
    started = time.perf_counter()
    if found.files.vae.is_absent:
        raise no_vae(found.files.folder)
    choice = choose(found.files, settings)
    fits: tuple[str, ...] = ()
    fewest: int | None = None
    if sum(one.num_bytes for one in found.files.networks) >= LARGE:
        from sfumato.models.fitting import fitted

        native = (found.defaults.width, found.defaults.height)
        fit = fitted(found.files, settings, choice.backend, *(native if size is None else size))
        settings, fewest, fits = fit.settings, fit.max_latents, fit.notes
        choice = choose(found.files, settings) if fits else choice
    # Imported here: torch takes seconds to import, and front ends show help and list models without it.
    if choice.backend == "openvino":
        imported = time.perf_counter()
        if ahead is not None and (ahead.files, ahead.settings) == (found.files, settings):
            backend: Backend = ahead.backend
        else:
            backend = load_compiled(found.files, settings)
        memory = system_memory()
    else:
        try:
            from sfumato.models.backends.torch import load_torch
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"{error.name} is not installed", hint=INSTALL_TORCH) from error
        imported = time.perf_counter()
        backend = load_torch(
            found.files,
            settings.device,
            settings.dtype,
            settings.torch_compile,
            settings.offload,
            settings.storage,
        )
        if found.defaults.joint:
            from sfumato.models.backends.torch_joint import load_joint

            backend = load_joint(found.files, backend)
        memory = backend.memory
    loaded = time.perf_counter()
    seconds = {"import": imported - started, "load": loaded - imported + found.seconds}
    notes = backend.notes if choice.warning is None else (choice.warning, *backend.notes)
    notes = (*found.notes, *fits, *notes)
    most = memory // 2 if settings.max_memory is None else settings.max_memory
    latents = latents_within(most, found.files.vae.config)
    latents = latents if fewest is None else min(latents, fewest)
    return make_bundle(found, backend, seconds, notes, latents)


def make_bundle(
    found: FoundModel,
    backend: Backend,
    seconds: Mapping[str, float],
    notes: tuple[str, ...] = (),
    max_latents: int | None = None,
) -> ModelBundle:
    """Return the bundle of a found model whose networks run in `backend`, of whatever kind."""
    return ModelBundle(
        name=found.defaults.name,
        folder=found.files.folder,
        digest=found.defaults.digest,
        schedule=schedule_of(found.files),
        latent_channels=_number(found.files.vae, "latent_channels", LATENT_CHANNELS),
        downsample=downsampling(found.files),
        backend=backend,
        tokenizer=found.tokenizer,
        defaults=found.defaults,
        seconds=seconds,
        notes=notes,
        max_latents=max_latents,
        inpaints=inpaints(found.files),
        low_res=low_res_noise(found.files),
        pair=found.pair,
        shown=shown(found.files),
    )


def list_models(settings: Settings) -> tuple[ListedModel, ...]:
    """Return every model that has a name, the bundled one first; nothing is loaded."""
    return tuple(_listed(name, folder) for name, folder in known_folders(settings).items())


def downsampling(files: ModelFiles) -> int:
    """Return how many pixels one latent spans per side: each level of the autoencoder but one halves."""
    widths = files.vae.config.get("block_out_channels")
    usable = isinstance(widths, list) and all(isinstance(width, int) and width >= 1 for width in widths)
    factor = 2 ** (len(widths) - 1) if usable and widths else 0
    if not 1 <= factor <= MAX_DOWNSAMPLING:
        raise damaged(_config(files.vae), "holds no usable block_out_channels")
    return factor


def inpaints(files: ModelFiles) -> bool:
    """Tell whether the UNet takes a mask and the latents of a picture beside x, as inpainting UNets do."""
    latents = _number(files.vae, "latent_channels", LATENT_CHANNELS)
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


def _listed(name: str, folder: Path) -> ListedModel:
    parts = [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]
    num_bytes = sum(path.stat().st_size for path in parts)
    try:
        files = locate(folder, whole=False)
        if files.vae.is_absent and vae_beside(folder) is None:
            raise no_vae(folder)
        defaults = read_defaults(files, name=name, digest="")
    except ModelFileError as error:
        return ListedModel(name, folder, None, None, num_bytes, str(error))
    return ListedModel(name, folder, defaults.width, defaults.height, num_bytes, None)


def _check(files: ModelFiles) -> None:
    """Refuse networks that would fail only while drawing, or draw noise."""
    if is_transformer(files.unet):
        texts = files.text_encoder, files.text_encoder_2, files.text_encoder_3
        check_joint(files.unet, files.vae, texts, files.folder)
    else:
        _check_unet(files)
    check_scaling(files.vae, _number(files.vae, "latent_channels", LATENT_CHANNELS))


def _check_unet(files: ModelFiles) -> None:
    unet, vae = files.unet, files.vae
    fault = fault_of_levels(unet.config)
    if fault is not None:
        raise damaged(_config(unet), fault)
    channels = _number(vae, "latent_channels", LATENT_CHANNELS)
    own = inpaints(files) or upscales(files) or instructed(files)
    fits = _number(unet, "in_channels") == channels or own
    if not fits or _number(unet, "out_channels", channels) != channels:
        raise damaged(_config(unet), "disagrees with vae/config.json on channels")
    for key in ("class_embed_type", "num_class_embeds"):
        if unet.config.get(key) is not None and not (key == "num_class_embeds" and upscales(files)):
            raise damaged(_config(unet), f"asks for more than a text ({key})")
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
            raise damaged(_config(unet), what)
    if files.text_encoder_2 is not None and not told(files).sizes:
        raise damaged(_config(unet), "takes no pooled text, and there are two text encoders")


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
        raise damaged(_config(network), f"holds no usable {key} ({value!r})")
    return value


def _text_layers(files: ModelFiles) -> int:
    """Return how many layers the smaller text encoder has."""
    encoders = [one for one in (files.text_encoder, files.text_encoder_2) if one is not None]
    return min(_number(one, "num_hidden_layers", 12) for one in encoders)


def _config(network: NetworkFiles) -> Path:
    return network.described

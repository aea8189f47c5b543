"""From a model's name to a `ModelBundle`: find the folder, check it, load it."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfumato.errors import MissingExtraError, ModelFileError, RecipeError, closest
from sfumato.models.backends.base import Backend
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import ModelFiles, damaged, locate
from sfumato.models.text import TextTokenizer
from sfumato.recipe.resolve import ModelDefaults
from sfumato.samplers.schedule import SPACINGS, Schedule
from sfumato.samplers.solvers import SOLVERS
from sfumato.settings import Settings

BUNDLED = "bundled"
MAX_SIDE = 4096


@dataclass(frozen=True, eq=False)
class FoundModel:
    """A model whose files were found and checked, in `seconds`; its networks are not loaded."""

    files: ModelFiles
    tokenizer: TextTokenizer
    defaults: ModelDefaults
    seconds: float


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
    holds a pickle, InputError for a device this machine lacks, MissingExtraError without torch.
    """
    return load(find_model(name_or_path, settings), settings)


def find_model(name_or_path: str, settings: Settings) -> FoundModel:
    """Find a model and check its files, without loading it: quick, and enough to resolve a recipe.

    Raises RecipeError and ModelFileError as `load_bundle` does.
    """
    started = time.perf_counter()
    folder = _find_folder(name_or_path, settings)
    files = locate(folder)
    # A path is nobody else's business, and pictures carry the name.
    name = name_or_path if name_or_path in _known_folders(settings) else folder.resolve().name
    defaults = read_defaults(files, name=name, digest=files.digest())
    return FoundModel(files, TextTokenizer.load(files), defaults, time.perf_counter() - started)


def load(found: FoundModel, settings: Settings) -> ModelBundle:
    """Load the networks of a model that was found. Raises as `load_bundle` does."""
    started = time.perf_counter()
    # Imported here: torch takes seconds to import, and front ends show help and list models without it.
    try:
        from sfumato.models.backends.torch import load_torch
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"drawing with this model needs {error.name}", hint='Run: pip install "sfumato[torch]"'
        ) from error
    imported = time.perf_counter()
    backend: Backend = load_torch(found.files, settings.device, settings.dtype)
    loaded = time.perf_counter()
    seconds = {"import": imported - started, "load": loaded - imported + found.seconds}
    return make_bundle(found, backend, seconds)


def make_bundle(found: FoundModel, backend: Backend, seconds: Mapping[str, float]) -> ModelBundle:
    """Return the bundle of a found model whose networks run in `backend`, of whatever kind."""
    return ModelBundle(
        name=found.defaults.name,
        folder=found.files.folder,
        digest=found.defaults.digest,
        schedule=Schedule.from_diffusers_config(found.files.scheduler),
        latent_channels=_number(found.files.unet.config, "in_channels", "unet/config.json"),
        downsample=downsampling(found.files),
        backend=backend,
        tokenizer=found.tokenizer,
        defaults=found.defaults,
        seconds=seconds,
    )


def list_models(settings: Settings) -> tuple[ListedModel, ...]:
    """Return every model that has a name, the bundled one first; nothing is loaded."""
    return tuple(_listed(name, folder) for name, folder in _known_folders(settings).items())


def downsampling(files: ModelFiles) -> int:
    """Return how many pixels one latent spans per side: each level of the autoencoder but one halves."""
    return 2 ** (len(_sequence(files.vae.config, "block_out_channels", "vae/config.json")) - 1)


def read_defaults(files: ModelFiles, *, name: str, digest: str) -> ModelDefaults:
    """Return how this model draws when nothing is asked for: `sfumato.json`, else what suits Stable
    Diffusion.

    Raises ModelFileError for a value of the wrong kind or a name that is not known.
    """
    _check(files)
    given = files.defaults
    factor = downsampling(files)
    native = _native_size(files) * factor
    v_prediction = files.scheduler.get("prediction_type") == "v_prediction"
    defaults = ModelDefaults(
        name=name,
        digest=digest,
        width=_default(given, "width", native),
        height=_default(given, "height", native),
        multiple=_default(given, "multiple", factor),
        min_size=_default(given, "min_size", min(native, 8 * factor)),
        max_size=_default(given, "max_size", MAX_SIDE),
        steps=_default(given, "steps", 20),
        sampler=_default(given, "sampler", "dpmpp_2m"),
        spacing=_default(given, "spacing", "trailing"),
        guidance=_default(given, "guidance", 7.0),
        guidance_rescale=_default(given, "guidance_rescale", 0.7 if v_prediction else 0.0),
        samplers=tuple(SOLVERS),
        spacings=tuple(SPACINGS),
    )
    for field, value, names in (
        ("sampler", defaults.sampler, defaults.samplers),
        ("spacing", defaults.spacing, defaults.spacings),
    ):
        if value not in names:
            raise damaged(files.folder / "sfumato.json", f"names an unknown {field}, {value!r}")
    return defaults


def _find_folder(name_or_path: str, settings: Settings) -> Path:
    known = _known_folders(settings)
    if name_or_path in known:
        return known[name_or_path]
    try:
        path = Path(name_or_path).expanduser()
        if path.is_dir():
            return path
    except (OSError, ValueError, RuntimeError):  # a name no file system takes
        pass
    near = closest(name_or_path, known)
    guess = f'Did you mean "{near}"?' if near is not None else f"Known: {', '.join(known)}; or give a folder."
    raise RecipeError("unknown model", field="model", value=name_or_path, hint=guess)


def _known_folders(settings: Settings) -> dict[str, Path]:
    known = {BUNDLED: Path(__file__).parent / "bundled" / "model"}
    for parent in (*settings.model_dirs, settings.data_dir / "models"):
        if parent.is_dir():
            for index in sorted(parent.glob("*/model_index.json")):
                known.setdefault(index.parent.name, index.parent)
    return known


def _listed(name: str, folder: Path) -> ListedModel:
    num_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    try:
        defaults = read_defaults(locate(folder), name=name, digest="")
    except ModelFileError as error:
        return ListedModel(name, folder, None, None, num_bytes, str(error))
    return ListedModel(name, folder, defaults.width, defaults.height, num_bytes, None)


def _check(files: ModelFiles) -> None:
    channels = _number(files.unet.config, "in_channels", "unet/config.json")
    if channels != _number(files.vae.config, "latent_channels", "vae/config.json"):
        raise damaged(files.folder / "unet" / "config.json", "disagrees with vae/config.json on channels")
    Schedule.from_diffusers_config(files.scheduler)


def _native_size(files: ModelFiles) -> int:
    size = files.unet.config.get("sample_size")
    return size if isinstance(size, int) and size > 0 else 64


def _default(given: Mapping[str, Any], key: str, fallback: Any) -> Any:
    """Return `given[key]`, which must be of the kind of `fallback`, or the fallback itself."""
    value = given.get(key, fallback)
    kind = (int, float) if isinstance(fallback, float) else type(fallback)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ModelFileError("sfumato.json holds the wrong kind of value", field=key, value=value)
    if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
        raise ModelFileError("sfumato.json holds a number that makes no sense", field=key, value=value)
    return float(value) if isinstance(fallback, float) else value


def _number(config: Mapping[str, Any], key: str, where: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelFileError(f"{where} holds no usable number", field=key, value=value)
    return value


def _sequence(config: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = config.get(key)
    if not isinstance(value, list) or not value:
        raise ModelFileError(f"{where} holds no usable list", field=key, value=value)
    return value

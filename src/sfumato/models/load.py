"""From a model's name to a `ModelBundle`: find the folder, check it, load it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sfumato.errors import MissingExtraError, ModelFileError
from sfumato.models.ahead import Ahead, load_compiled, with_previews
from sfumato.models.backends.base import Backend
from sfumato.models.backends.selection import INSTALL_TORCH, choose
from sfumato.models.bundle import ModelBundle
from sfumato.models.defaults import downsampling, inpaints, latent_channels, read_defaults, schedule_of
from sfumato.models.files import ModelFiles, locate, no_vae
from sfumato.models.folders import find_folder, is_known, known_folders
from sfumato.models.instructed import shown
from sfumato.models.low_res import low_res_noise
from sfumato.models.memory import system_memory
from sfumato.models.places import vae_beside
from sfumato.models.text import TextTokenizer
from sfumato.models.text_pair import TextPair
from sfumato.models.tiling import latents_within
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.settings import Settings

LARGE = 200_000_000  # bytes of a model of which it is asked whether it fits into memory
REMEMBERED = 100_000_000  # bytes of a file that takes longer to read than what was remembered of it


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
    refiner: FoundModel | None = None,
) -> ModelBundle:
    """Load the networks of a model that was found, in the backend that `choose` takes; `ahead` may have begun
    with it. Where a large model, drawing pictures of `size` (width, height; None: its own), does not fit into
    memory as it is asked for, less of it is kept there: see `sfumato.models.fitting`. There must be room for
    a `refiner` as well, which is loaded next. Raises as `load_bundle` does.
    """
    started = time.perf_counter()
    if found.files.vae.is_absent:
        raise no_vae(found.files.folder)
    choice = choose(found.files, settings)
    fits: tuple[str, ...] = ()
    fewest: int | None = None
    second = None if refiner is None else refiner.files
    if is_large(found.files) or (second is not None and is_large(second)):
        from sfumato.models.fitting import fitted

        native = (found.defaults.width, found.defaults.height)
        fit = fitted(found.files, settings, choice.backend, *(native if size is None else size), second)
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
    bundle = make_bundle(found, backend, seconds, notes, latents)
    return replace(bundle, settings=settings) if fits else bundle


def is_large(files: ModelFiles) -> bool:
    """Tell whether it is asked of a model whether it fits into memory."""
    return sum(one.num_bytes for one in files.networks) >= LARGE


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
        latent_channels=latent_channels(found.files),
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

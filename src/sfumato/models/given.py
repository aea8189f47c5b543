"""What a recipe puts in the place of something of its model's own: an autoencoder (VAE), found by its name or
path, and what a person says of the model's training.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError, RecipeError, closest
from sfumato.models.autoencoders import find_vae
from sfumato.models.defaults import ENTROPIC_SIGMAS, read_defaults
from sfumato.models.digests import digests_of
from sfumato.models.files import ModelFiles, no_vae
from sfumato.models.load import FoundModel
from sfumato.models.network_files import NetworkFiles
from sfumato.models.places import (
    CONFIG,
    LEAVES,
    VAE_BESIDE,
    WEIGHTS,
    Found,
    find_all,
    leads_inside,
    vae_beside,
)
from sfumato.models.vae_fit import FITTING, unfit_vae
from sfumato.recipe.image import Recipe
from sfumato.recipe.of_model import ResolvedVae, SchedulePart, VaePart, is_own
from sfumato.settings import Settings

_DIFFUSERS: Final[Mapping[str, str]] = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}
#: Schedules of which nobody can say that they predict something else.
_OTHERS: Final = ("EDM", "FlowMatch")
#: What weights do not decide; where the file of an autoencoder is silent, it is as the model has it.
_UNDECIDED: Final = (
    "scaling_factor",
    "shift_factor",
    "latents_mean",
    "latents_std",
    "force_upcast",
    "sample_size",
)


@dataclass(frozen=True, eq=False)
class GivenVae:
    """An autoencoder that was found: `name` without folders, its files, and the sha256 (hex) of all that
    decides what it does.
    """

    name: str
    network: NetworkFiles
    digest: str


def with_given(
    recipe: Recipe, found: FoundModel, settings: Settings, *, paths: bool = True, beside: bool = True
) -> FoundModel:
    """Return `found` with the autoencoder and the schedule that `recipe` asks for in the place of its own.

    A model in one file whose recipe names no autoencoder gets the one that lies `beside` it and is called
    NAME.vae.safetensors, and a note says so. `paths` False takes names only, and follows no symbolic link out
    of the folders of models. Raises RecipeError for one that
    is not there or does not fit, ModelFileError for a file that cannot be used, and for a model without any.
    """
    files, notes = found.files, list(found.notes)
    given = None
    if recipe.vae is not None and not is_own(recipe.vae):
        given = find_given(recipe.vae, settings, paths=paths)
    elif recipe.vae is None and beside and files.single is not None:
        path = vae_beside(files.folder)
        # People link files of their libraries as they like; for a visitor, a link out of them opens nothing.
        if path is not None and not paths and not leads_inside(path, settings):
            notes.append(f"Drawn without {path.name} beside the model: it {LEAVES}.")
        elif path is not None:
            given = open_vae(path, settings)
            notes.append(f"Drawn with the autoencoder {path.name} beside the model; --vae own takes its own.")
    if given is not None:
        files, more = _with_vae(files, given)
        notes += more
    if recipe.schedule is not None:
        files = with_schedule(files, recipe.schedule)
    if files.vae.is_absent:
        raise no_vae(files.folder)
    if given is None and recipe.schedule is None:
        return found if len(notes) == len(found.notes) else replace(found, notes=tuple(notes))
    defaults = read_defaults(files, name=found.defaults.name, digest=found.defaults.digest)
    vae = defaults.vae if given is None else ResolvedVae(name=given.name, digest=given.digest)
    defaults = replace(defaults, vae=vae, schedule=recipe.schedule)
    return replace(found, files=files, defaults=defaults, notes=tuple(notes))


def find_given(part: VaePart, settings: Settings, *, paths: bool = True) -> GivenVae:
    """Find the autoencoder that a recipe names: in the places of autoencoders, loose in a folder of models,
    or, with `paths`, at a path; with a digest, the one that has it. Raises as `with_given` does.
    """
    name = unicodedata.normalize("NFC", part.name)
    known = known_vaes(settings)
    found: GivenVae | None = None
    if (one := known.get(name) or known.get(name.removesuffix(WEIGHTS))) is not None:
        found = open_vae(_usable(one), settings, one.name.rpartition("/")[2])
    elif paths and (path := _given_path(part.name)) is not None:
        found = open_vae(path, settings)
    if found is not None and (part.digest is None or found.digest.startswith(part.digest)):
        return found
    for path in _own_places(known) if part.digest is not None else ():
        other = open_vae(path, settings)
        if other.digest.startswith(part.digest or ""):
            return replace(other, name=part.name)
    raise _unknown(part, known, there=found is not None, paths=paths)


def known_vaes(settings: Settings) -> dict[str, Found]:
    """Return what may be asked for as an autoencoder, by name: first what lies in places of autoencoders or
    is called so, then what lies loose among models. The first of one name counts.
    """
    there = list(find_all(settings, "vae", "checkpoint"))
    own = [one for one in there if one.kind == "vae" or one.name.endswith(VAE_BESIDE)]
    loose = [one for one in there if one.kind is None and one not in own]
    known: dict[str, Found] = {}
    for one in (*own, *loose):
        for name in (one.name, one.full_name):
            known.setdefault(name, one)
    return known


def open_vae(path: Path, settings: Settings, name: str | None = None) -> GivenVae:
    """Return the autoencoder at `path`, a file or a folder. Raises ModelFileError."""
    try:
        network = find_vae(path)
    except ModelFileError as error:
        raise ModelFileError(error.message, field="vae", value=str(path), hint=error.hint) from error
    own = path.name if path.is_dir() else path.stem
    return GivenVae(own if name is None else name, network, _digest(path, network, settings))


def with_schedule(files: ModelFiles, part: SchedulePart) -> ModelFiles:
    """Return `files` with a schedule as a person says it was trained on. Raises RecipeError for a model whose
    schedule is of another kind.
    """
    config = dict(files.scheduler)
    if str(config.get("_class_name", "")).startswith(_OTHERS):
        raise RecipeError(
            f"the noise levels of {files.folder.name} are those of {config['_class_name']}",
            field="prediction" if part.prediction is not None else "zero-snr",
            value=part.prediction,
            hint="Leave it out.",
        )
    if part.prediction is not None:
        config["prediction_type"] = _DIFFUSERS[part.prediction]
    defaults = files.defaults
    if part.zero_snr is not None and part.zero_snr is not bool(config.get("rescale_betas_zero_snr")):
        config["rescale_betas_zero_snr"] = part.zero_snr
        # What was measured on other noise levels.
        measured = (ENTROPIC_SIGMAS, "spacing") if ENTROPIC_SIGMAS in defaults else ()
        defaults = {key: value for key, value in defaults.items() if key not in measured}
    if part.zero_snr:
        config["timestep_spacing"] = "trailing"
    return replace(files, scheduler=config, defaults=defaults)


def _with_vae(files: ModelFiles, given: GivenVae) -> tuple[ModelFiles, list[str]]:
    own, network = files.vae, given.network
    fault = unfit_vae(own.config, network.config)
    if fault is not None:
        raise RecipeError(fault, field="vae", value=given.name, hint=f"{FITTING}, or leave it out.")
    kept = {key: own.config[key] for key in _UNDECIDED if key in own.config}
    said = {key: value for key, value in network.config.items() if value is not None}
    # Numbers for each channel go with their factor, and are the model's.
    said = (
        {key: value for key, value in said.items() if key not in kept} if _by_channel(own, network) else said
    )
    config: dict[str, Any] = {**network.config, **kept, **said}
    notes: list[str] = []
    mine, other = own.config.get("scaling_factor"), config.get("scaling_factor")
    if mine is not None and mine != other:
        notes.append(
            f"The autoencoder {given.name} scales latents by {other:g}, and the model's by {mine:g}: it may "
            "be one for another family of models."
        )
    vae = replace(network, name="vae", config=config)
    return replace(files, vae=vae, own_vae=own, vae_digest=given.digest), notes


def _by_channel(own: NetworkFiles, other: NetworkFiles) -> bool:
    return own.config.get("latents_mean") is not None and other.config.get("latents_mean") is None


def _digest(path: Path, network: NetworkFiles, settings: Settings) -> str:
    """Return the sha256 of the file; of a folder, that of the names and contents of what is read there."""
    if path.is_file():
        return digests_of(path, settings).whole
    parts = sorted({*network.paths, network.described})
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{part.name} {digests_of(part, settings).whole}\n".encode())
    return whole.hexdigest()


def _own_places(known: Mapping[str, Found]) -> Iterator[Path]:
    """Yield what is an autoencoder by where it lies, each once; loose files are found by name alone."""
    for path in dict.fromkeys(one.path for one in known.values() if one.kind is not None):
        try:
            find_vae(path)
        except ModelFileError:  # tiny ones lie there as well
            continue
        yield path


def _usable(found: Found) -> Path:
    if found.problem is not None:
        raise ModelFileError(
            f"{found.path.name} {found.problem}",
            field="vae",
            value=found.name,
            hint="Only safetensors files are loaded.",
        )
    return found.path


def _given_path(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return path if (path / CONFIG).is_file() or (path / "model_index.json").is_file() else None
        # Any file here might bear the name of one that is not installed: it needs its suffix.
        return path if path.suffix and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a name no file system takes
        return None


def _unknown(part: VaePart, known: Mapping[str, Found], *, there: bool, paths: bool) -> RecipeError:
    if part.digest is not None:
        what = "has other contents here" if there else "is not here"
        hint = f"Put the file with the hash {part.digest[:10]} into a folder vae beside the models; or say "
        return RecipeError(
            f"the autoencoder that is asked for {what}",
            field="vae",
            value=part.name,
            hint=f"{hint}--vae own for the model's.",
        )
    near = closest(part.name, known)
    names = ", ".join([name for name, one in known.items() if one.kind is not None][:20]) or "none"
    other = f"; or give a file ({WEIGHTS}) or a folder" if paths else ""
    guess = f'Did you mean "{near}"?' if near is not None else f"Known: {names}{other}."
    return RecipeError("unknown autoencoder", field="vae", value=part.name, hint=guess)

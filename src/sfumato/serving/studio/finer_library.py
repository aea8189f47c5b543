"""What the finer points can name: refiners and autoencoders of the library, and which of those that a recipe
asks for are here.
"""

from pathlib import Path
from typing import Final, TypeAlias

from sfumato.errors import SfumatoError
from sfumato.models.facts import VAE
from sfumato.models.folders import is_known
from sfumato.models.given import GivenVae, find_given, known_vaes
from sfumato.models.library import list_library
from sfumato.models.load import find_model, list_models
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.of_model import OWN, VaePart, is_own
from sfumato.recipe.parts import Part
from sfumato.recipe.refining import RefinePart
from sfumato.serving.studio.finer_forms import Finer
from sfumato.settings import Settings

#: What of a recipe is not here: a field of it or a kind of part, and its name; "" where it has none.
Lost: TypeAlias = tuple[str, str]
#: Parts that belong to the weights of a recipe's model, or to its kind of network.
_OF_MODEL: Final = ("vae", "schedule", "refine", "micro")


def refiners_of(settings: Settings) -> list[str]:
    """Return the names of the models that can be drawn with: any of them may refine one of its kind."""
    return [one.name for one in list_models(settings) if one.problem is None]


def vaes_of(settings: Settings) -> list[str]:
    """Return the names of the autoencoders of the library, as recipes name them."""
    known = known_vaes(settings)
    found = (one.name for one in list_library(settings) if one.kind == VAE and one.facts is not None)
    return [name for name in dict.fromkeys(found) if name in known]


def present(finer: Finer, settings: Settings) -> Finer:
    """Return the form without names that nothing here has."""
    refiner = finer.refiner if finer.refiner and finer.refiner in refiners_of(settings) else ""
    vae = finer.vae if finer.vae == OWN or (finer.vae and finer.vae in vaes_of(settings)) else ""
    start = finer.refine_from if refiner or not finer.refiner else None
    return Finer(**{**vars(finer), "refiner": refiner, "refine_from": start, "vae": vae})


def here(recipe: Recipe, settings: Settings) -> tuple[Recipe, tuple[Lost, ...]]:
    """Return what of a recipe, of a picture that came from anywhere, can be drawn here, with things named as
    they are called here; and what is not here, with what belongs to a model that is not.
    """
    lost: list[Lost] = []
    parts: tuple[Part, ...] = recipe.parts
    if not is_known(recipe.model, settings):
        lost += [("model", recipe.model), *((part.kind, "") for part in parts if part.kind in _OF_MODEL)]
        parts = tuple(part for part in parts if part.kind not in _OF_MODEL)
        if recipe.extras is not None and recipe.extras.clip_skip is not None:
            lost.append(("clip_skip", ""))
            extras = recipe.extras.model_copy(update={"clip_skip": None})
            others = (extras if part.kind == "extras" else part for part in parts)
            parts = tuple(part for part in others if part != ExtrasPart())
        if recipe.image_guidance is not None:
            lost.append(("image_guidance", ""))
        recipe = recipe.model_copy(update={"image_guidance": None})
    kept: list[Part] = []
    for part in parts:
        kind, named = part.kind, ""
        if isinstance(part, VaePart) and not is_own(part):
            part, named = _vae(part, settings), part.name
        elif isinstance(part, RefinePart) and not _is_here(part, settings):
            part, named = None, part.model
        if part is not None:
            kept.append(part)
        else:
            lost.append((kind, named))
    return recipe.model_copy(update={"parts": tuple(kept)}), tuple(lost)


def _vae(part: VaePart, settings: Settings) -> VaePart | None:
    """Return the part with the name that this autoencoder has here, None where it is not here."""
    try:
        given = find_given(part, settings, paths=False)
    except SfumatoError:
        return None
    known, names = known_vaes(settings), vaes_of(settings)
    name = next((one for one in names if _is_at(given, known[one].path)), None)
    return None if name is None else part.model_copy(update={"name": name})


def _is_at(given: GivenVae, path: Path) -> bool:
    return any(path == one or path in one.parents for one in given.network.paths)


def _is_here(part: RefinePart, settings: Settings) -> bool:
    """Tell whether the refiner that is asked for is here, with the weights that are asked for."""
    if not is_known(part.model, settings):
        return False
    if part.digest is None:
        return True
    try:
        return find_model(part.model, settings, paths=False).defaults.digest.startswith(part.digest)
    except SfumatoError:
        return False

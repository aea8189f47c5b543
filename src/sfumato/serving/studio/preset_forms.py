"""Presets of the tab Create: those that come along, and forms that people keep, as text and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from sfumato.errors import NotFoundError, RecipeError
from sfumato.serving.presets import Presets
from sfumato.serving.studio.forms import STYLES, Create
from sfumato.serving.studio.words import Words

OWN: Final = "own/"
OURS: Final = "ours/"
#: What those that come along set; what else they say nothing of is left to the model.
BUILT_IN: Final[Mapping[str, Mapping[str, Any]]] = {
    "sketch": {"steps": 8},
    "fine": {"steps": 40},
    "nine": {"steps": 12, "count": 9},
    "pixels": {"style": "pixel art", "size": None},
    "plain": {"style": next(iter(STYLES)), "size": None, "negative": "", "seed": None, "loras": ""},
}
_KEPT: Final = ("prompt", "negative", "model", "size", "seed", "style", "loras")  # of the form, by those
_FORMS: Final = TypeAdapter(Create)


def choices_of(presets: Presets, owner: str, words: Words) -> list[tuple[str, str]]:
    """Return what `owner` can choose from, as shown and as it is called here: their own first."""
    own = [(words("preset_own", name), OWN + name) for name in presets.names(owner)]
    ours = [(words(f"preset_{name}"), OURS + name) for name in BUILT_IN]
    return [(words("preset_none"), ""), *own, *ours]


def own_name(chosen: str) -> str | None:
    """Return the name of a preset of one's own, None for another or none."""
    return chosen.removeprefix(OWN) if chosen.startswith(OWN) else None


def text_of(form: Create) -> str:
    """Return a form as it is kept."""
    # Half a character, as broken programs paste them, is none: no file takes it.
    return json.dumps(asdict(form), ensure_ascii=False).encode("utf-8", "replace").decode()


def form_from(text: str) -> Create:
    """Return the form that was kept. Raises RecipeError for what another version wrote."""
    try:
        return _FORMS.validate_json(text)
    except ValidationError as error:
        hint = "Delete it, and keep the form once more."
        raise RecipeError("cannot be read any more", field="preset", hint=hint) from error


def applied(chosen: str, form: Create, presets: Presets, owner: str) -> Create:
    """Return the form that stands on the page after the preset `chosen`, where `form` stood before. One that
    was kept without a prompt leaves the one that is there. Raises NotFoundError and RecipeError.
    """
    own = own_name(chosen)
    if own is not None:
        kept = form_from(presets.get(own, owner))
        return kept if kept.prompt else replace(kept, prompt=form.prompt)
    fields = BUILT_IN.get(chosen.removeprefix(OURS))
    if fields is None:
        raise NotFoundError("there is no such preset", field="preset", value=chosen)
    stays = {name: vars(form)[name] for name in _KEPT}
    return Create(**{**stays, **fields})

"""Sfumato: draw, edit and train with Stable Diffusion models.

The names below are loaded on first use, so that `import sfumato` costs milliseconds and imports no
array library::

    import os

    import sfumato

    settings = sfumato.Settings.from_environment(os.environ)
    recipe = sfumato.Recipe(parts=(sfumato.TextPart(prompt="a frog on a beach"),), seed=7)
    for event in sfumato.run(recipe, settings):
        if isinstance(event, sfumato.Picture):
            event.pixels  # uint8 (H,W,3)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sfumato.errors import SfumatoError
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.engine.events import Done, Picture, Started, StepDone, SteppedDown
    from sfumato.engine.run import run
    from sfumato.models.cache import ModelCache
    from sfumato.recipe.image import Recipe, Resolved
    from sfumato.recipe.parts import (
        Control,
        ControlPart,
        ExtendPart,
        ImagePart,
        MaskPart,
        MixPart,
        MixPrompt,
        Region,
        RegionsPart,
        TextPart,
        VariationPart,
    )
    from sfumato.studio import Door

    studio: Door  # a module that may be called

__version__ = "0.1.0"

__all__ = [
    "Control",
    "ControlPart",
    "Done",
    "ExtendPart",
    "ImagePart",
    "MaskPart",
    "MixPart",
    "MixPrompt",
    "ModelCache",
    "Picture",
    "Recipe",
    "Region",
    "RegionsPart",
    "Resolved",
    "Settings",
    "SfumatoError",
    "Started",
    "StepDone",
    "SteppedDown",
    "TextPart",
    "VariationPart",
    "__version__",
    "run",
]

_PARTS = (
    "Control",
    "ControlPart",
    "ExtendPart",
    "ImagePart",
    "MaskPart",
    "MixPart",
    "MixPrompt",
    "Region",
    "RegionsPart",
    "TextPart",
    "VariationPart",
)
_HOMES = {
    **dict.fromkeys(("Recipe", "Resolved"), "sfumato.recipe.image"),
    **dict.fromkeys(_PARTS, "sfumato.recipe.parts"),
    **dict.fromkeys(("Started", "StepDone", "SteppedDown", "Picture", "Done"), "sfumato.engine.events"),
    "ModelCache": "sfumato.models.cache",
    "run": "sfumato.engine.run",
}


def __getattr__(name: str) -> object:
    if name == "studio":  # a module, which is imported when it is asked for
        return import_module("sfumato.studio")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    value = globals()[name] = import_module(home).__dict__[name]
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))

"""From the tab Edit to a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import recipe_from_mapping

Task = Literal["change", "repaint", "extend", "follow", "place", "mix"]
TASKS: Final[tuple[Task, ...]] = ("change", "repaint", "extend", "follow", "place", "mix")
NEEDS_IMAGE: Final = frozenset({"change", "repaint", "extend", "follow"})
MOST_REGIONS: Final = 4


@dataclass(frozen=True)
class Place:
    """A rectangle with a prompt of its own; sides in 0 to 1, shares of the picture's."""

    prompt: str
    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> str:
        """The rectangle as recipes write it, in shares of the sides."""
        return f"{self.left:g},{self.top:g},{self.width:g},{self.height:g}"


@dataclass(frozen=True)
class Edit:
    """The form of the tab Edit. `image` and `mask` are sources as recipes name them; pixels are the image's.
    None stands for what the model likes.
    """

    task: Task
    prompt: str = ""
    negative: str = ""
    model: str = "bundled"
    image: str | None = None
    mask: str | None = None
    strength: float | None = None
    feather: int = 0
    only_masked: bool = False
    keep_colour: bool = False
    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    control: str = "edges"
    annotator: str | None = None
    weight: float = 1.0
    places: tuple[Place, ...] = ()
    other: str = ""
    share: float = 0.5
    count: int = 1
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None


def recipe_of_edit(form: Edit) -> Recipe:
    """Return the recipe that the form asks for. Raises RecipeError naming what is missing."""
    if form.task in NEEDS_IMAGE and form.image is None:
        raise RecipeError("is missing", field="picture", hint="Put one on the canvas first.")
    text = {"kind": "text", "prompt": form.prompt.strip(), "negative": form.negative.strip()}
    makers: Mapping[Task, Any] = {
        "change": _changed,
        "repaint": _repainted,
        "extend": _extended,
        "follow": _followed,
        "place": _placed,
        "mix": _mixed,
    }
    fields: dict[str, Any] = {
        "model": form.model,
        "count": form.count,
        "seed": form.seed,
        "steps": form.steps,
        "guidance": form.guidance,
        "parts": [text, *makers[form.task](form)],
    }
    return recipe_from_mapping({name: value for name, value in fields.items() if value is not None})


def _changed(form: Edit) -> list[dict[str, Any]]:
    return [_image(form)]


def _repainted(form: Edit) -> list[dict[str, Any]]:
    if form.mask is None:
        raise RecipeError("is empty", field="mask", hint="Paint over what is to be drawn anew.")
    extent = "masked" if form.only_masked else "whole"
    mask = {"kind": "mask", "source": form.mask, "feather": form.feather, "extent": extent}
    return [_image(form), mask]


def _extended(form: Edit) -> list[dict[str, Any]]:
    sides = {side: vars(form)[side] for side in ("left", "right", "top", "bottom")}
    if not any(sides.values()):
        raise RecipeError("adds nothing", field="sides", hint="Give at least one side some pixels.")
    return [{"kind": "image", "source": form.image}, {"kind": "extend", **sides}]


def _followed(form: Edit) -> list[dict[str, Any]]:
    control: dict[str, Any] = {"model": form.control, "source": form.image, "weight": form.weight}
    if form.annotator:
        control["annotator"] = form.annotator
    return [{"kind": "control", "controls": [control]}]


def _placed(form: Edit) -> list[dict[str, Any]]:
    if not form.places:
        raise RecipeError("are missing", field="places", hint="Say what is to be where, at least once.")
    regions = [{"prompt": one.prompt.strip(), "area": one.area} for one in form.places]
    return [{"kind": "regions", "regions": regions}]


def _mixed(form: Edit) -> list[dict[str, Any]]:
    if not form.other.strip():
        raise RecipeError("is missing", field="other prompt", hint="Say what is to be mixed in.")
    return [
        {
            "kind": "mix",
            "prompts": [{"prompt": form.other.strip(), "ratio": form.share}],
            "ratio": 1 - form.share,
        }
    ]


def _image(form: Edit) -> dict[str, Any]:
    image: dict[str, Any] = {"kind": "image", "source": form.image, "keep_colour": form.keep_colour}
    if form.strength is not None:
        image["strength"] = form.strength
    return image

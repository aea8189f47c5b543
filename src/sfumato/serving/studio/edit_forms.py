"""From the tab Edit to a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import recipe_from_mapping
from sfumato.serving.studio.finer_forms import PLAIN, Finer, with_finer

Task = Literal["change", "repaint", "extend", "follow", "place", "mix"]
TASKS: Final[tuple[Task, ...]] = ("change", "repaint", "extend", "follow", "place", "mix")
NEEDS_IMAGE: Final = frozenset({"change", "repaint", "extend", "follow"})
NEEDS_PROMPT: Final = frozenset({"change", "repaint", "extend", "follow", "mix"})
SIZED: Final = frozenset({"follow", "place", "mix"})  # others have the image's size or proportions
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
    None stands for what the model likes. With `begin` places lie on the image, and the drawing begins with
    it; `size` is that of pictures that do not. The first prompt of a mix has what `share` and `third_share`
    leave.
    """

    task: Task
    prompt: str = ""
    negative: str = ""
    model: str = "bundled"
    size: tuple[int, int] | None = None
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
    begin: bool = False
    other: str = ""
    share: float = 0.5
    third: str = ""
    third_share: float = 0.25
    mix_mode: str | None = None
    count: int = 1
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    guidance_start: float | None = None
    guidance_stop: float | None = None
    sampler: str | None = None
    spacing: str | None = None
    finer: Finer = PLAIN

    @property
    def begins(self) -> bool:
        """Whether the drawing needs the image."""
        return self.task in NEEDS_IMAGE or (self.task == "place" and self.begin)


def recipe_of_edit(form: Edit) -> Recipe:
    """Return the recipe that the form asks for. Raises RecipeError naming what is missing."""
    if form.begins and form.image is None:
        raise RecipeError("is missing", field="picture", hint="Put one on the canvas first.")
    text: dict[str, Any] = {
        "kind": "text",
        "prompt": form.prompt.strip(),
        "negative": form.negative.strip(),
        "guidance_start": form.guidance_start,
        "guidance_stop": form.guidance_stop,
    }
    makers: Mapping[Task, Any] = {
        "change": _changed,
        "repaint": _repainted,
        "extend": _extended,
        "follow": _followed,
        "place": _placed,
        "mix": _mixed,
    }
    size = form.size if form.task in SIZED and not (form.task == "place" and form.begin) else None
    fields: dict[str, Any] = {
        "model": form.model,
        "width": None if size is None else size[0],
        "height": None if size is None else size[1],
        "count": form.count,
        "seed": form.seed,
        "steps": form.steps,
        "guidance": form.guidance,
        "sampler": form.sampler,
        "spacing": form.spacing,
        "parts": [text, *makers[form.task](form)],
    }
    return recipe_from_mapping(with_finer(fields, form.finer))


def empty_mask() -> RecipeError:
    """Return what is said when nothing is painted over."""
    return RecipeError("is empty", field="mask", hint="Paint over what is to be drawn anew.")


def _changed(form: Edit) -> list[dict[str, Any]]:
    return [_image(form)]


def _repainted(form: Edit) -> list[dict[str, Any]]:
    if form.mask is None:
        raise empty_mask()
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
    for number, one in enumerate(form.places, start=1):
        if not one.prompt.strip():
            hint = "Say what is to be there, or remove the box."
            raise RecipeError("has no words", field=f"box {number}", hint=hint)
    regions = [{"prompt": one.prompt.strip(), "area": one.area} for one in form.places]
    return [*([_image(form)] if form.begin else []), {"kind": "regions", "regions": regions}]


def _mixed(form: Edit) -> list[dict[str, Any]]:
    others = [(form.other.strip(), form.share), (form.third.strip(), form.third_share)]
    prompts = [{"prompt": prompt, "ratio": share} for prompt, share in others if prompt]
    if not prompts:
        raise RecipeError("is missing", field="other prompt", hint="Say what is to be mixed in.")
    rest = 1 - sum(share for prompt, share in others if prompt)
    if rest <= 0:
        hint = "Give the others less than 1 together."
        raise RecipeError("nothing is left for the first prompt", field="share", value=1 - rest, hint=hint)
    mode = {} if form.mix_mode is None else {"mode": form.mix_mode}
    return [{"kind": "mix", "prompts": prompts, "ratio": rest, **mode}]


def _image(form: Edit) -> dict[str, Any]:
    image: dict[str, Any] = {"kind": "image", "source": form.image, "keep_colour": form.keep_colour}
    if form.strength is not None:
        image["strength"] = form.strength
    return image

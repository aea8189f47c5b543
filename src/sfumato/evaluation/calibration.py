"""Draw pictures to measure the ranges that the precision int8-full needs, and store them.

Steps of real pictures are seen, with and without their text: a UNet's numbers differ from step to step, and
noise has other ranges than a picture that is half drawn.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sfumato.engine.events import StepDone
from sfumato.engine.run import draw
from sfumato.evaluation.parity import Observed
from sfumato.models.backends.openvino.calibration import load_observed
from sfumato.models.backends.openvino.networks import is_small
from sfumato.models.backends.openvino.ranges import write_ranges
from sfumato.models.load import FoundModel, make_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve

#: What is drawn, in turn: words that go round in rings of unequal length meet in ever new ways.
SUBJECTS: Final = (
    *("a dog", "a green apple", "two penguins", "a castle", "a fish", "an old man", "three red balloons"),
    *("a rabbit next to a lamp", "a dragon", "a city street", "a white cup", "a yellow bird above a house"),
    *("a sunflower", "a boat", "a black cat left of a blue car", "an astronaut"),
)
PLACES: Final = (
    *("", " on grass", " on a purple background", " in the desert at sunset", " in the rain"),
    *(" in the snow", " at night", " on a black background", " on a beach", " in a forest in fog"),
    " in space",
)
STYLES: Final = (
    "",
    "photo of ",
    "",
    "watercolour of ",
    "pencil sketch of ",
    "pixel art of ",
    "oil painting of ",
)
FIRST_SEED: Final = 1001


@dataclass(frozen=True)
class Effort:
    """How many pictures are drawn, and in at most how many steps each."""

    pictures: int
    steps: int


SMALL: Final = Effort(24, 20)
#: A large model takes seconds a step.
LARGE: Final = Effort(4, 8)


def prompt(index: int) -> str:
    """Return what picture number `index` shows."""
    style, subject, place = (ring[index % len(ring)] for ring in (STYLES, SUBJECTS, PLACES))
    return f"{style}{subject}{place}"


def effort_for(found: FoundModel) -> Effort:
    """Return the effort that a model of its size is worth."""
    return SMALL if is_small(found.files.unet) else LARGE


def calibrate(found: FoundModel, path: Path, effort: Effort) -> Generator[Observed, None, None]:
    """Draw pictures of the usual size with the networks of `found`, yield after every step, and in the end
    write the ranges in its UNet to `path`.

    Raises NumericalError for numbers that are not finite, ModelFileError for weights that do not fit,
    OutputError when the file cannot be written.
    """
    backend = load_observed(found.files)
    bundle = make_bundle(found, backend, {})
    steps = min(effort.steps, found.defaults.steps)
    for index in range(effort.pictures):
        text = TextPart(prompt=prompt(index))
        recipe = Recipe(parts=(text,), seed=FIRST_SEED + index, steps=steps)
        with closing(draw(resolve(recipe, found.defaults), bundle)) as events:
            for event in events:
                if isinstance(event, StepDone):
                    yield Observed(index * steps + event.finished_steps, effort.pictures * steps)
                    if event.finished_steps == event.total_steps:
                        break  # nobody looks at the picture
    write_ranges(path, backend.seen.ranges, found.defaults.digest)

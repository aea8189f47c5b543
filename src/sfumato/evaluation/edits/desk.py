"""Where edits are made and looked at: the loaded model, the judge, and what draws scenes."""

import hashlib
import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sfumato.engine.controls import digests_of
from sfumato.engine.denoiser import Attending
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.engine.steering import NO_CONTROLS, Controls
from sfumato.imaging.inputs import InputPicture, Inputs
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import ModelFiles
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import Part
from sfumato.recipe.resolve import resolve
from sfumato.recipe.sources import SourceFacts, stored_source
from sfumato.recipe.values import MAX_SEED
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, render
from sfumato.settings import Settings

if TYPE_CHECKING:  # the judge is a network: importing it imports torch
    from sfumato.models.judge import Judge

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """What the judge sees in a picture: the two likeliest objects, the likeliest first, time and style."""

    objects: tuple[str, str]
    time: str
    style: str


@dataclass(frozen=True, eq=False)
class Given:
    """A picture as recipes take one: under its digest, without a file."""

    source: str
    picture: InputPicture


@dataclass(frozen=True, eq=False)
class Desk:
    """`base` says how everything is drawn (model, steps, sampler, guidance), `seed` decides scenes and noise;
    `judge` is None when no task asks it.
    """

    base: Recipe
    seed: int
    settings: Settings
    files: ModelFiles
    bundle: ModelBundle
    font: Path
    judge: "Judge | None"

    @property
    def side(self) -> int:
        """Pixels of a side of what is rendered: the model's own size."""
        return min(self.bundle.defaults.width, self.bundle.defaults.height)

    def rng(self, task: str, number: int) -> Generator:
        """Return the random numbers of case `number` of a task: the same however many cases there are."""
        return np.random.default_rng([self.seed, zlib.crc32(task.encode()), number])

    def seed_of(self, number: int) -> int:
        """Return the seed of the noise of case `number`."""
        return (self.seed + number) % (MAX_SEED + 1)

    def rendered(self, scene: Scene, rng: Generator) -> Pixels:
        """Return `scene (side,side,3)` as the world draws it."""
        return np.array(render(scene, rng, self.font, self.side))

    def recipe(self, parts: Sequence[Part], seed: int, **changes: Any) -> Recipe:
        """Return the recipe that draws `parts` as `base` says, with `changes`."""
        return Recipe.model_validate({**self.base.model_dump(), "seed": seed, **changes, "parts": parts})

    def draw(
        self,
        *parts: Part,
        seed: int,
        given: Sequence[Given] = (),
        controls: Controls = NO_CONTROLS,
        **changes: Any,
    ) -> Pixels:
        """Draw one picture `(H,W,3)` of `parts`, which name the pictures `given` by their sources."""
        resolved = self.resolve(self.recipe(parts, seed, **changes), given, controls)
        return self.drawn(resolved, given, controls)

    def resolve(
        self, recipe: Recipe, given: Sequence[Given] = (), controls: Controls = NO_CONTROLS
    ) -> Resolved:
        """Fill in what the model decides."""
        facts = {one.source: one.picture.facts for one in given}
        return resolve(
            recipe,
            self.bundle.defaults,
            settings=self.settings,
            sources=facts,
            controls=digests_of(controls),
        )

    def drawn(
        self,
        resolved: Resolved,
        given: Sequence[Given] = (),
        controls: Controls = NO_CONTROLS,
        attending: Attending | None = None,
    ) -> Pixels:
        """Draw a resolved recipe's one picture."""
        by_digest = {one.picture.facts.sha256: one.picture for one in given}
        inputs = Inputs(by_digest, {one.source: one.picture.facts for one in given})
        with closing(
            draw(resolved, self.bundle, inputs=inputs, controls=controls, attending=attending)
        ) as events:
            return next(event.pixels for event in events if isinstance(event, Picture))

    def look(self, pixels: Pixels) -> Seen:
        """Return what the judge sees."""
        assert self.judge is not None  # it is loaded when a task is judged
        verdict = self.judge(pixels[None])
        first, second = (int(index) for index in np.argsort(-verdict.objects[0], kind="stable")[:2])
        return Seen(
            (words.OBJECT_NAMES[first], words.OBJECT_NAMES[second]),
            tuple(words.TIMES)[int(verdict.time[0].argmax())],
            words.STYLE_NAMES[int(verdict.style[0].argmax())],
        )


def given(pixels: Pixels, name: str) -> Given:
    """Return `pixels (H,W,3)` uint8 as an input called `name`."""
    height, width = pixels.shape[:2]
    header = f"{height}x{width} ".encode()
    facts = SourceFacts(
        sha256=hashlib.sha256(header + np.ascontiguousarray(pixels).tobytes()).hexdigest(),
        name=name,
        width=width,
        height=height,
        has_alpha=False,
    )
    return Given(stored_source(facts.sha256, name), InputPicture(facts, pixels, None, Path(name)))

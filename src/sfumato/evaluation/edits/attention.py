"""Attention maps: does the word of an object act where the object is?

Single objects on plain colours, with the torch backend in float32. The object is what differs from the
background, the median colour of the picture's border, by more than 40 of 255 levels in any channel.
"""

from collections.abc import Generator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.attention import attention_recorder
from sfumato.evaluation.edits.desk import Desk
from sfumato.evaluation.edits.task import Case, Row, Shown, Task
from sfumato.imaging.heat import overlay
from sfumato.models.backends.selection import choose
from sfumato.models.load import load_bundle
from sfumato.recipe.parts import TextPart
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, caption, held_out
from sfumato.settings import Settings

BACKGROUNDS: Final = ("white", "blue", "yellow")
DIFFERS: Final = 40  # levels of 255
ENOUGH: Final = 2.0

Pixels = NDArray[np.uint8]
Bits = NDArray[np.bool_]
Heat = NDArray[np.float32]

OBJECT: Final = "object"
DENSE: Final = "object, dense enough"
ON: Final = "on"
COLOUR: Final = "colour"
BACKGROUND: Final = "background"


def cases(desk: Desk, scenes: int) -> Generator[Case]:
    """Draw `scenes` single objects, all others before one comes again, and map their words."""
    settings = torch_settings(desk)
    desk = replace(desk, settings=settings, bundle=load_bundle(desk.base.model, settings))
    order = desk.rng(TASK.name, 0).permutation(len(words.OBJECT_NAMES))
    for number in range(scenes):
        name = words.OBJECT_NAMES[int(order[number % len(order)])]
        scene = scene_of(name, number)
        prompt = caption(scene)
        recipe = desk.recipe((TextPart(prompt=prompt),), desk.seed_of(number))
        resolved = desk.resolve(recipe)
        recorder = attention_recorder(resolved, desk.bundle)
        pixels = desk.drawn(resolved, attending=recorder)
        maps = {one.word: one.heat for one in recorder.word_maps(0)}
        mask = object_mask(pixels)
        heat = maps[head(name)]
        found = values(maps, mask, name, scene.background)
        white = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * np.uint8(255)
        shown = Shown("picture", pixels), Shown("object", white), Shown(head(name), overlay(pixels, heat))
        yield Case(prompt, found, shown)


def torch_settings(desk: Desk) -> Settings:
    """Return the settings in which maps are measured."""
    return replace(desk.settings, backend="torch", dtype="float32")


def check(desk: Desk) -> None:
    """Raise MissingExtraError without torch, and InputError where it cannot draw the model."""
    choose(desk.files, torch_settings(desk))


def scene_of(name: str, number: int) -> Scene:
    """Return the object on one of the plain colours that training showed it on."""
    places = [BACKGROUNDS[(number + turn) % len(BACKGROUNDS)] for turn in range(len(BACKGROUNDS))]
    return next(scene for place in places if not held_out(scene := Scene((name,), place)))


def head(name: str) -> str:
    """Return the word that an object's name is about: "palm tree" is a tree, "cup of coffee" a cup."""
    return name.partition(" of ")[0].split()[-1]


def values(maps: dict[str, Heat], mask: Bits, name: str, background: str) -> dict[str, float]:
    """Return for the words of a prompt how many times the attention that the object's area would have by
    chance lies inside it.
    """
    found = {OBJECT: density(maps[head(name)], mask)}
    for value, word in ((ON, "on"), (COLOUR, background), (BACKGROUND, "background")):
        found[value] = density(maps[word], mask)
    return {**found, DENSE: float(found[OBJECT] >= ENOUGH)}


def object_mask(picture: Pixels) -> Bits:
    """Return where `picture (H,W,3)` shows its object."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(np.float64)
    return np.asarray((np.abs(picture - np.median(border, axis=0)) > DIFFERS).any(axis=-1))


def density(heat: Heat, mask: Bits) -> float:
    """Return the share of the map's mass inside the mask over the mask's share of the area, both at the map's
    resolution; 0 for an empty mask.
    """
    grey = Image.fromarray(mask.astype(np.float32))
    small = np.asarray(grey.resize((heat.shape[1], heat.shape[0]), Image.Resampling.BOX), np.float64)
    area = float(small.mean())
    return float((heat * small).sum() / heat.sum()) / area if area > 0 else 0.0


TASK: Final = Task(
    name="attention",
    about="attention inside the object, by chance 1; single objects on plain colours, torch in float32",
    scenes=50,
    rows=(
        Row("the object's word", OBJECT, "times"),
        Row(f"the object's word has {ENOUGH:g} or more", DENSE),
        Row('"on"', ON, "times"),
        Row("the colour", COLOUR, "times"),
        Row('"background"', BACKGROUND, "times"),
    ),
    cases=cases,
    check=check,
    judged=False,
)

"""Captioned scenes: what the bundled model learns from, is judged on, and what it never gets to see.

A `Scene` says what is in a picture; `caption` says it in words, `render` draws it. Scene number `i` of a
stream is a pure function of `(seed, i)`, so data order can be resumed exactly and shared between processes.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image

from sfumato.scenes import drawing
from sfumato.scenes import vocabulary as words


@dataclass(frozen=True)
class Scene:
    """What one picture shows. `objects` holds one or two names; `count` repeats a single one (1 to 3).

    `background` is a place or a plain colour, `time` one of day, sunset, night (of places that have one).
    `size` is small, normal or big. `said` is False when the caption leaves the (white) background out. With
    the relation `vocabulary.MIXED` two objects are one thing, of which the first has the `share` in 0..1.
    """

    objects: tuple[str, ...]
    background: str = "white"
    time: str = "day"
    style: str = "plain"
    relation: str | None = None
    count: int = 1
    size: str = "normal"
    said: bool = True
    share: float = 0.5


@dataclass(frozen=True)
class SceneMix:
    """How often each kind of scene is drawn: probabilities in 0..1. The rest are single objects by day."""

    pairs: float = 0.25
    counts: float = 0.06
    sizes: float = 0.12
    plain_background: float = 0.4
    unsaid_background: float = 0.15
    other_time: float = 0.3
    styled: float = 0.35
    mixes: float = 0.0


def _one_in(parts: tuple[str, ...], modulus: int) -> bool:
    return zlib.crc32("|".join(parts).encode()) % modulus == 0


def held_out(scene: Scene) -> bool:
    """True for the combinations kept out of training (about one in ten): an object with a place or colour, an
    object with a style, and an unordered pair of objects. White without a style is never held out."""
    if len(scene.objects) == 2 and _one_in(("pair", *sorted(scene.objects)), 10):
        return True
    for name in scene.objects:
        if scene.background != "white" and _one_in(("background", name, scene.background), 10):
            return True
        if scene.style != "plain" and _one_in(("style", name, scene.style), 10):
            return True
    return False


def sample(rng: Generator, mix: SceneMix) -> Scene:
    """A random scene of the training world (never a held-out one)."""
    while True:
        scene = _sample_any(rng, mix)
        if not held_out(scene):
            return scene


def one_of(options: Sequence[str], rng: Generator) -> str:
    """Return one of `options`, all equally likely.

    The same draw as `rng.choice(options)`, which may lose a Ctrl-C that falls inside it.
    """
    return options[int(rng.integers(len(options)))]


def _sample_any(rng: Generator, mix: SceneMix) -> Scene:
    first = one_of(words.OBJECT_NAMES, rng)
    said = rng.random() >= mix.unsaid_background
    if not said:
        background = "white"
    elif rng.random() < mix.plain_background:
        background = one_of(tuple(words.COLOURS), rng)
    else:
        background = one_of(tuple(words.PLACES), rng)
    time = "day"
    if background in words.TIMED_PLACES and rng.random() < mix.other_time:
        time = one_of(("sunset", "night"), rng)
    style = "plain"
    if rng.random() < mix.styled:
        style = one_of(words.STYLE_NAMES[1:], rng)
    scene = Scene((first,), background, time, style, said=said)
    kind = rng.random()
    if kind < mix.pairs:
        relation = one_of(tuple(words.RELATIONS), rng)
        names = words.MOUNTS if relation == "riding" else words.OBJECT_NAMES
        second = one_of(names, rng)
        return replace(scene, objects=(first, second), relation=relation) if second != first else scene
    if kind < mix.pairs + mix.counts:
        return replace(scene, count=int(rng.integers(2, 4)))
    if kind < mix.pairs + mix.counts + mix.sizes:
        return replace(scene, size=one_of(("small", "big"), rng))
    if kind < mix.pairs + mix.counts + mix.sizes + mix.mixes:
        second = one_of(words.OBJECT_NAMES, rng)
        share = 0.5 if rng.random() < 0.5 else float(rng.uniform(0.25, 0.75))
        mixed = replace(scene, objects=(first, second), relation=words.MIXED, share=share)
        return mixed if second != first else scene
    return scene


# --- words ------------------------------------------------------------------------------------------------


def _pick(options: tuple[str, ...], rng: Generator | None) -> str:
    return options[0] if rng is None else one_of(options, rng)


def _named(name: str, rng: Generator | None) -> str:
    synonyms = next(thing.synonyms for thing in words.OBJECTS if thing.name == name)
    return _pick((name, name, *synonyms), rng)


def caption(scene: Scene, rng: Generator | None = None) -> str:
    """The scene in words: one of several phrasings, or without `rng` the plainest one."""
    first = _named(scene.objects[0], rng)
    if scene.count > 1:
        text = f"{words.COUNT_WORDS[scene.count]} {words.plural(first)}"
    elif scene.size != "normal":
        size = _pick(words.SIZE_WORDS[scene.size], rng)
        text = f"a {size} {first}"
    else:
        text = words.with_article(first)
    if scene.relation is not None:
        phrases = words.MIXED_WORDS if scene.relation == words.MIXED else words.RELATIONS[scene.relation]
        relation = _pick(phrases, rng)
        text = f"{text} {relation} {words.with_article(_named(scene.objects[1], rng))}"
    if scene.said:
        if scene.background in words.PLACES:
            place = _pick(words.PLACES[scene.background], rng)
        else:
            colour = scene.background
            article = "an" if colour == "orange" else "a"
            place = _pick((f"on {article} {colour} background", f"with {article} {colour} background"), rng)
        time = _pick(words.TIMES[scene.time], rng)
        text = f"{text} {place} {time}".rstrip()
    return _pick(words.STYLES[scene.style], rng).format(text)


# --- pixels -----------------------------------------------------------------------------------------------


def _placements(scene: Scene, rng: Generator) -> list[tuple[str, float, float, float]]:
    """`(name, centre x, bottom y, longer side)` of each object, in 128ths of the picture, back to front."""
    jitter = rng.uniform(-4, 4, 4)
    grow = rng.uniform(0.92, 1.08)
    floor = {"sea": 96.0, "space": 102.0}.get(scene.background, 110.0)
    if scene.background in words.COLOURS:
        floor = 104.0
    floor += jitter[1]
    first = scene.objects[0]
    if scene.relation in (None, words.MIXED):
        if scene.count == 1:
            side = 78 * words.SIZES[scene.size] * grow
            # A small thing stands in the middle of its ground, not on the frame.
            return [(first, 64 + 2 * jitter[0], floor - (4 if scene.size == "small" else 0), side)]
        side = (56, 41)[scene.count - 2] * grow
        step = 128 / scene.count
        return [
            (first, step * (k + 0.5) + jitter[k], floor - 8 + jitter[k] / 2, side) for k in range(scene.count)
        ]
    second = scene.objects[1]
    if scene.relation in ("next to", "left of"):
        left, right = 34 + jitter[0], 94 + jitter[2]
        if scene.relation == "next to" and rng.random() < 0.5:
            left, right = right, left
        return [(second, right, floor - 6, 56 * grow), (first, left, floor - 6, 56 * grow)]
    x = 64 + jitter[0]
    if scene.relation == "above":
        return [
            (second, x, 118 + jitter[1] / 2, 54 * grow),
            (first, x + jitter[2], 58 + jitter[1] / 2, 52 * grow),
        ]
    return [(second, x, floor + 6, 72 * grow), (first, x + jitter[2], -1.0, 52 * grow)]


def render(scene: Scene, rng: Generator, font: Path, size: int = 128) -> Image.Image:
    """The scene as an RGB picture of `size` x `size` pixels; `rng` chooses what the words leave open."""
    picture = drawing.background(scene.background, scene.time, size, rng)
    unit = size / 128
    top_of_last = 0.0
    for name, x, bottom, side in _placements(scene, rng):
        if scene.relation == words.MIXED:
            thing = drawing.hybrid(scene.objects[0], scene.objects[1], font, side * unit, scene.share, rng)
        else:
            thing = drawing.sized_glyph(name, font, side * unit)
        stamp = drawing.lit(thing, scene.time, amount=0.5)
        if bottom < 0:  # stands or rides on what was drawn before it
            overlap = 0.34 if scene.relation == "riding" else 0.2
            bottom = (top_of_last + overlap * stamp.height) / unit
        top = max(1, round(bottom * unit - stamp.height))
        left = min(max(1, round(x * unit - stamp.width / 2)), size - 1 - stamp.width)
        picture.paste(stamp, (left, top), stamp)
        top_of_last = top
    return drawing.in_style(picture, scene.style, rng)


def stream_rng(seed: int, index: int) -> Generator:
    """The random numbers of example `index` of stream `seed`: independent of every other example."""
    return np.random.default_rng([seed, index])


def example(
    seed: int, index: int, mix: SceneMix, font: Path, size: int = 128
) -> tuple[Image.Image, str, Scene]:
    """Example `index` of a stream: its picture, its caption and what it shows."""
    rng = stream_rng(seed, index)
    scene = sample(rng, mix)
    text = caption(scene, rng)
    return render(scene, rng, font, size), text, scene

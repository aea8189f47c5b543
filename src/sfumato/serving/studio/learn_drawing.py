"""What the queue does for the tab Learn when its turn comes: it draws, and keeps what every step was like."""

import math
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.attention import WordMap, attention_recorder
from sfumato.engine.compass import Bearing, Compass
from sfumato.engine.events import Done, Event, Events, Picture, Started, StepDone
from sfumato.engine.gathering import NAMES_ONLY, Gathered, gather
from sfumato.engine.morph import draw_frames
from sfumato.engine.preview import to_uint8
from sfumato.engine.run import draw
from sfumato.engine.seeing import Look, Pixels, Watched, Watcher, unit_variance, watched
from sfumato.engine.trace import Gauge, TraceRow, measure
from sfumato.engine.trace_folder import TraceFolder
from sfumato.models.bundle import ModelBundle
from sfumato.models.cache import ModelCache
from sfumato.models.load import find_model
from sfumato.models.text import encode, tokenise
from sfumato.models.words import END_OF_WORD
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.prompt import compile_prompt
from sfumato.settings import EIGHT_BITS, Settings

Bytes = NDArray[np.uint8]
SPREAD: Final = 3.0  # standard deviations of the latent that its colours reach to
_LOW, _MIDDLE, _HIGH = ((20, 80, 160), (245, 243, 238), (200, 90, 10))  # told apart by most eyes


@dataclass(frozen=True)
class Token:
    """A piece of the prompt as the text encoder is given it: what it is written as, its number in the
    vocabulary, its weight, and the Euclidean norm of the vector it becomes.
    """

    text: str
    number: int
    weight: float
    norm: float


@dataclass(frozen=True)
class Spoken:
    """A prompt on its way to the network: its `tokens`, start and end among them, in how many `chunks`, how
    many places of `padding` follow, and the `width` of the vector that each place becomes.
    """

    tokens: tuple[Token, ...]
    chunks: int
    padding: int
    width: int


@dataclass(frozen=True, eq=False)
class Frame:
    """One step: what goes in, `noisy (H,W,3)`, and its `channels` as colours; what is predicted from it,
    `clean (H,W,3)`; the numbers of the latent after it; and where guidance led, if it did.
    """

    noisy: Bytes
    channels: Bytes
    clean: Bytes
    row: TraceRow
    bearing: Bearing | None


@dataclass(frozen=True, eq=False)
class Drawn:
    """A finished picture `pixels (H,W,3)`, and all there is to see of it: `words` are its heat maps, where
    they were asked for.
    """

    resolved: Resolved
    backend: str
    pixels: Bytes
    frames: tuple[Frame, ...] = ()
    spoken: Spoken | None = None
    words: tuple[WordMap, ...] = ()


@dataclass(eq=False)
class Seer:
    """A watcher that keeps the steps of one picture in memory."""

    bundle: ModelBundle
    compass: Compass
    frames: list[Frame] = field(default_factory=list[Frame])
    _noisy: Bytes | None = None
    _channels: Bytes | None = None

    def start(self, started: Started) -> None:
        self.frames.clear()

    def look(self, look: Look) -> None:
        step = look.step
        if look.before is not None:
            before = self.bundle.backend.to_numpy(step.before)
            self._noisy = _bytes(look.before[0])
            self._channels = channels_of(unit_variance(before, step.sigma)[0])
        assert self._noisy is not None  # the first look shows it
        assert self._channels is not None
        (row,) = measure(look)
        bearing = self.compass.at(step.index)
        self.frames.append(Frame(self._noisy, self._channels, _bytes(look.clean[0]), row, bearing))
        self._noisy = _bytes(look.noisy[0])
        self._channels = channels_of(unit_variance(look.x, step.sigma_next)[0])

    def picture(self, picture: Picture) -> None:
        """What is kept of it is the lesson's business."""

    def again(self, indices: tuple[int, ...]) -> None:
        self.frames.clear()

    def finish(self) -> tuple[Path, ...]:
        return ()

    def close(self) -> None:
        """Nothing lies on disk."""


@dataclass(eq=False)
class Lesson:
    """Draws `recipes`, each of one picture, one after the other; `draw` is what a queue takes.

    What was drawn is in `drawn` when the job is done. With `trace`, the steps of the picture are written into
    that folder, as `sfumato generate --trace` does; with `attending`, each drawing is watched for where its
    words act, which the torch backend alone can tell. Pictures are handed on, to be kept in the gallery, when
    `keeps`.
    """

    settings: Settings
    models: ModelCache
    recipes: tuple[Recipe, ...]
    trace: Path | None = None
    attending: bool = False
    keeps: bool = False
    drawn: list[Drawn] = field(default_factory=list[Drawn])

    def draw(self, recipe: Recipe, preview_every: int) -> Events:
        settings = self.settings
        if self.attending:
            dtype = "auto" if settings.dtype in EIGHT_BITS else settings.dtype  # which torch has not
            settings = replace(settings, backend="torch", dtype=dtype)
        # All is checked before anything is drawn.
        prepared: list[tuple[Gathered, Resolved]] = []
        for one in self.recipes:
            found = find_model(one.model, settings, paths=False)
            gathered = gather(one, found, settings, trust=NAMES_ONLY)
            prepared.append((gathered, gathered.resolved(one, settings)))
        total = sum(resolved.steps - resolved.first_step for _, resolved in prepared)
        finished, seconds, warnings = 0, 0.0, ()
        for gathered, resolved in prepared:
            for event in self._one(gathered, resolved, settings, preview_every):
                match event:
                    case Started():
                        if finished == 0:
                            yield replace(event, total_steps=total)
                    case StepDone():
                        done = finished + event.finished_steps
                        yield replace(event, finished_steps=done, total_steps=total)
                    case Picture():
                        if self.keeps:
                            yield event
                    case Done():
                        seconds += event.seconds["total"]
                        warnings = (*warnings, *event.warnings)
                    case _:
                        yield event
            finished += resolved.steps - resolved.first_step
        yield Done({"total": seconds}, warnings)

    def _one(
        self, gathered: Gathered, resolved: Resolved, settings: Settings, preview_every: int
    ) -> Generator[Event, None, None]:
        with ExitStack() as stack:
            bundle = stack.enter_context(gathered.leased(resolved, settings, self.models))
            recorder = attention_recorder(resolved, bundle) if self.attending else None
            gauge, compass = Gauge(), Compass(resolved.guidance)
            seer = Seer(bundle, compass)
            watchers: list[Watcher] = [seer]
            if self.trace is not None:
                watchers.append(TraceFolder(self.trace, gauge))
            events = draw(
                resolved,
                bundle,
                inputs=gathered.inputs,
                controls=gathered.controls,
                preview_every=preview_every,
                looking=(gauge, compass),
                attending=recorder,
            )
            backend = ""
            for event in stack.enter_context(closing(watched(events, bundle, watchers))):
                if isinstance(event, Watched):
                    continue
                if isinstance(event, Started):
                    backend = event.backend
                if isinstance(event, Picture):
                    drawn = Drawn(
                        event.resolved,
                        backend,
                        event.pixels,
                        tuple(seer.frames),
                        spoken_of(bundle, event.resolved),
                        () if recorder is None else recorder.word_maps(event.index),
                    )
                    self.drawn.append(drawn)
                yield event


@dataclass(eq=False)
class Mixing:
    """Draws `recipes` that differ in the shares of a mix alone, all in one batch; see `Lesson`."""

    settings: Settings
    models: ModelCache
    recipes: tuple[Recipe, ...]
    drawn: list[Drawn] = field(default_factory=list[Drawn])

    def draw(self, recipe: Recipe, preview_every: int) -> Events:
        settings, backend = self.settings, ""
        first = self.recipes[0]
        found = find_model(first.model, settings, paths=False)
        gathered = gather(first, found, settings, trust=NAMES_ONLY, frames=self.recipes[1:])
        frames = [gathered.resolved(one, settings) for one in self.recipes]
        with (
            gathered.leased(frames[0], settings, self.models) as bundle,
            closing(draw_frames(frames, bundle)) as events,
        ):
            for event in events:
                if isinstance(event, Started):
                    backend = event.backend
                if isinstance(event, Picture):
                    self.drawn.append(Drawn(event.resolved, backend, event.pixels))
                else:
                    yield event


def spoken_of(bundle: ModelBundle, resolved: Resolved) -> Spoken:
    """Return how the prompt of `resolved` is told to the network: as its first step hears it."""
    text = "" if resolved.text is None else resolved.text.prompt
    ((_, prompt), *_) = compile_prompt(text, resolved.steps).variants[0]
    tokenizer = bundle.tokenizer
    tokens = tokenise(tokenizer, prompt)
    context = bundle.backend.to_numpy(encode(bundle.backend, tokens))[0]
    norms = np.sqrt((context.astype(np.float64) ** 2).sum(axis=1)).reshape(tokens.ids.shape)
    pieces: list[Token] = []
    padding = 0
    for ids, weights, sizes in zip(tokens.ids.tolist(), tokens.weights.tolist(), norms.tolist(), strict=True):
        end = 1 + ids[1:].index(tokenizer.end)
        padding += len(ids) - end - 1
        for number, weight, size in list(zip(ids, weights, sizes, strict=True))[: end + 1]:
            written = tokenizer.bpe.id_to_token(number) or "?"
            pieces.append(Token(_legible(written), number, weight, size))
    return Spoken(tuple(pieces), len(tokens.ids), padding, context.shape[1])


def channels_of(latent: NDArray[np.float32]) -> Bytes:
    """Return the channels of `latent (C,h,w)`, of variance about one, row by row in about a square as
    colours: blue below zero, white at it, orange above.
    """
    count, height, width = latent.shape
    columns = count if count < 4 else math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, 3), 128, np.uint8)
    level = np.clip(np.nan_to_num(latent.astype(np.float64)) / SPREAD, -1, 1)
    stops = ((-1.0, 0.0, 1.0), tuple(zip(_LOW, _MIDDLE, _HIGH, strict=True)))
    colours = np.stack([np.interp(level, stops[0], channel) for channel in stops[1]], axis=-1)
    for number in range(count):
        top, left = (number // columns) * (height + 1), (number % columns) * (width + 1)
        sheet[top : top + height, left : left + width] = colours[number].round()
    return sheet


def _legible(written: str) -> str:
    whole = written.removesuffix(END_OF_WORD)
    return {"<|startoftext|>": "start", "<|endoftext|>": "end"}.get(written, whole)


def _bytes(pixels: Pixels) -> Bytes:
    return to_uint8(np.nan_to_num(pixels))


def frames_at(places: int, frames: Sequence[Frame]) -> list[int]:
    """Return, for each of `places` marks of a slider, the frame that is as far on its way."""
    if places < 2 or len(frames) < 2:
        return [len(frames) - 1] * places
    return [round(place * (len(frames) - 1) / (places - 1)) for place in range(places)]

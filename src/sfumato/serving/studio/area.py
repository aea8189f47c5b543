"""Where a tab shows what it draws: how far it is, the pictures, and what can be done with each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import gradio as gr

from sfumato.errors import SfumatoError
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.jobs import Job
from sfumato.serving.studio import actions, line
from sfumato.serving.studio.actions import recipe_of_picture
from sfumato.serving.studio.binding import QUIET
from sfumato.serving.studio.forms import enlarged, varied
from sfumato.serving.studio.line import Line
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.sizes import larger_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

LITTLE: float = 0.15  # of another noise, for variations: details change
MUCH: float = 0.45  # and the composition too
LARGER: float = 2.0
MOST_SHOWN: int = 48  # pictures of one series; all are in the gallery
MOST_CALLED: int = 80  # characters of a prompt under a picture


@dataclass(frozen=True, eq=False, kw_only=True)
class Area(Line):
    """The parts that show a tab's drawings: the line that tells how they go, and the pictures of the newest
    series.

    `pictures` holds the numbers in the gallery of those that are shown, `picked` the one that was clicked and
    is shown large, 0 for none, `chosen` the one that is meant: the one that was clicked, or the newest.
    `about` says what there is to say of that one.
    """

    results: gr.Gallery
    pictures: gr.State
    picked: gr.State
    chosen: gr.State
    buttons: Mapping[str, gr.Button | gr.DownloadButton]
    about: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What a drawing changes."""
        first, *others = super().outputs
        return [first, self.results, *others, self.pictures]

    def _seeing(self, owner: str) -> Callable[[Sequence[Job]], tuple[dict[Any, Any], str]]:
        """Return what tells of the pictures of a series. A film is none, and leaves those that are shown."""
        tiles: dict[int, tuple[str, str]] = {}
        numbers: tuple[int, ...] | None = None
        trouble = ""

        def see(jobs: Sequence[Job]) -> tuple[dict[Any, Any], str]:
            nonlocal numbers, trouble
            news: dict[Any, Any] = {}
            if numbers != newest_first(jobs) and not all(one.other for one in jobs):
                numbers = newest_first(jobs)
                trouble = self._handed(numbers, owner, tiles)
                shown = tuple(one for one in numbers if one in tiles)
                news[self.results] = [tiles[one] for one in shown]
                if shown:  # until then the buttons are about what was shown before
                    news[self.pictures] = shown
            return news, trouble

        return see

    def _handed(self, numbers: Sequence[int], owner: str, tiles: dict[int, tuple[str, str]]) -> str:
        """Put into `tiles` what is new of the pictures `numbers` and still there; return what went wrong."""
        try:
            # Copies that were shown long ago go, and this may take long.
            new = [one for one in numbers if one not in tiles or not Path(tiles[one][0]).is_file()]
            for kept in self.desk.gallery.get_all(new, owner):
                tiles[kept.id] = (str(self.desk.hand_over(kept)), called(kept))
        except SfumatoError as error:  # the disk is full
            return problem_of(error)
        return ""


def build(desk: Desk, words: Words, name: str) -> Area:
    """Make an area, in the place that is open; `name` tells it from those of other tabs."""
    with gr.Column(elem_classes="sf-slot"):
        parts = line.parts_of(desk, words, name)
        results = gr.Gallery(
            label=words("results"),
            format="png",
            columns=2,
            object_fit="contain",
            height="auto",
            buttons=["download", "fullscreen"],
            interactive=False,
            elem_id=f"sf-{name}-results",
            elem_classes="sf-results",
        )
    pictures, picked, chosen = (gr.State(one) for one in ((), 0, 0))
    buttons, about = actions.build(words, name)
    area = Area(
        **parts,
        results=results,
        pictures=pictures,
        picked=picked,
        chosen=chosen,
        buttons=buttons,
        about=about,
    )
    actions.connect(area, buttons, about, chosen)
    _connect(area)
    return area


def _connect(area: Area) -> None:
    def pick(event: gr.SelectData, numbers: tuple[int, ...], request: gr.Request) -> tuple[int, int]:
        number = _clicked(area, event, numbers, visitor_of(request))
        return number, number

    def settle(numbers: tuple[int, ...], picked: int) -> dict[Any, Any]:
        if picked in numbers:  # newer ones came before it, and it stays the one that is shown large
            return {area.chosen: picked, area.results: gr.Gallery(selected_index=numbers.index(picked))}
        return {area.chosen: numbers[0] if numbers else 0, area.picked: 0}

    # Through Gradio's queue: without it, nobody is told that a state changed (Gradio 6.31).
    # Of two quick clicks the second counts: Gradio would drop it while the first is answered.
    picks = [area.picked, area.chosen]
    area.results.select(pick, area.pictures, picks, trigger_mode="multiple", **QUIET)
    area.results.preview_close(lambda: 0, None, area.picked, **QUIET)
    of_pictures = [area.pictures, area.picked], [area.chosen, area.picked, area.results]
    area.pictures.change(settle, *of_pictures, trigger_mode="always_last", **QUIET)
    again(area, area.buttons["vary_subtle"], lambda recipe: varied(recipe, LITTLE), area.chosen)
    again(area, area.buttons["vary_strong"], lambda recipe: varied(recipe, MUCH), area.chosen)
    again(area, area.buttons["upscale"], larger, area.chosen)


def again(
    area: Area,
    button: gr.Button | gr.DownloadButton,
    change: Callable[..., Recipe],
    chosen: gr.State,
    *more: Any,
) -> None:
    """Have a button ask for what `change` makes of the recipe of the picture `chosen`, and of the values of
    `more`.
    """

    def wanted(owner: str, number: int, *values: Any) -> Recipe:
        return change(recipe_of_picture(area.desk, area.words, number, owner), *values)

    area.asks([button.click], wanted, [chosen, *more])


def larger(recipe: Recipe) -> Recipe:
    """Return a recipe that draws a picture again, larger. Raises RecipeError where that is too large."""
    return enlarged(recipe, LARGER)


def larger_label(desk: Desk, words: Words, number: int, owner: str) -> str:
    """Return what the button that draws a picture of `owner` larger is called: with the size."""
    label = words("upscale")
    try:
        run = desk.gallery.resolved(desk.gallery.get(number, owner))
        width, height = larger_of(run, LARGER, find_model(run.model, desk.settings, paths=False).defaults)
    except SfumatoError:  # none is chosen, or it, or its model, is gone; or it is as large as can be
        return label
    return f"{label}: {width} x {height}"


def _clicked(area: Area, event: gr.SelectData, numbers: Sequence[int], owner: str) -> int:
    """Return the number of the picture that was clicked, 0 for none. It is told by its name: another may have
    come before it since.
    """
    match event.value:
        case {"image": {"path": str(path)}}:
            for kept in area.desk.gallery.get_all(numbers, owner):
                if kept.path.name == PurePath(path).name:
                    return kept.id
        case _:
            pass
    return numbers[event.index] if event.index < len(numbers) else 0


def newest_first(jobs: Sequence[Job]) -> tuple[int, ...]:
    """Return the numbers of the pictures of a series that are shown: those of the newest job first."""
    return tuple(number for one in reversed(jobs) for number in one.pictures)[:MOST_SHOWN]


def called(kept: Kept) -> str:
    """Return what is written under a picture, and read to those who do not see it."""
    return f"{kept.prompt[:MOST_CALLED]} · {kept.seed}" if kept.prompt else f"{kept.seed}"

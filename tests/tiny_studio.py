"""A desk that draws with the tiny model, and the page's handlers as they are called."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import Request

from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.desk import ALONE, Desk, open_desk
from sfumato.serving.gallery import Kept
from sfumato.serving.jobs import Job
from tiny_models import tiny_folder, tiny_settings


@contextmanager
def open_tiny_desk(home: Path) -> Generator[Desk]:
    """Open a desk that knows the tiny model as "tiny", beside the bundled one, with its data in `home`."""
    with open_desk(replace(tiny_settings(tiny_folder().parent), data_dir=home)) as desk:
        yield desk


def frog(**fields: Any) -> Recipe:
    """Return a recipe that the tiny model draws at once."""
    text = TextPart(prompt=fields.pop("prompt", "a frog"))
    return Recipe(parts=(text,), **{"model": "tiny", "seed": 7, "steps": 2, **fields})


def drawn(desk: Desk, recipe: Recipe | None = None, owner: str = ALONE) -> Kept:
    """Have a picture drawn, and return it."""
    job = followed(desk, desk.queue.submit(frog() if recipe is None else recipe, owner))
    assert job.state == "done", job.problem
    return desk.gallery.get(job.pictures[0], owner)


def followed(desk: Desk, job: Job) -> Job:
    """Wait until a job is finished, and return how."""
    (*_, last) = desk.queue.follow(job.id, job.owner)
    return last


def asked_by(visitor: str = ALONE) -> gr.Request:
    """Return a request as the guard hands it on."""
    return gr.Request(Request({"type": "http", "headers": [], "state": {"visitor": visitor}}))


def sent(value: Any) -> Any:
    """Return what handlers are given after a part of the page became `value`."""
    if isinstance(value, dict) and "__type__" in value:
        return value["value"]
    return value.value if isinstance(value, gr.Radio) else value


def handler(page: gr.Blocks, part: Any, event: str = "click", changes: Any = None) -> Callable[..., Any]:
    """Return what the page calls when `event` happens to `part`; of several, what `changes` another part."""
    bound = [one for one in page.fns.values() if (part._id, event) in one.targets]
    (found,) = [one.fn for one in bound if changes is None or changes in one.outputs]
    assert found is not None
    return found

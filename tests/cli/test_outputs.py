from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato.cli.outputs import plan_outputs
from sfumato.engine.events import Picture
from sfumato.errors import OutputError
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

PIXELS = np.zeros((8, 8, 3), np.uint8)


def resolved(prompt: str | None = "a frog", **fields: Any) -> Resolved:
    parts = () if prompt is None else (TextPart(prompt=prompt),)
    return resolve(Recipe(parts=parts, seed=7, **fields), tiny_bundle().defaults)


def test_without_an_output_pictures_get_new_names_here(here: Path) -> None:
    (here / "a-frog-7.jpg").touch()
    assert plan_outputs(resolved(count=2), None, ".jpg").paths == (
        Path("a-frog-7-2.jpg"),
        Path("a-frog-8.jpg"),
    )


def test_a_name_taken_meanwhile_is_not_overwritten(here: Path) -> None:
    outputs = plan_outputs(resolved(), here)
    (here / "a-frog-7.png").write_text("mine")
    saved = outputs.save(Picture(0, resolved(), PIXELS), "torch cpu float32")
    assert saved == here / "a-frog-7-2.png"
    assert (here / "a-frog-7.png").read_text() == "mine"
    metadata = read_metadata(saved)
    assert from_json(metadata.resolved_json, Resolved) == resolved()
    assert metadata.parameters.startswith("a frog\n")
    assert metadata.software.startswith("Sfumato ")
    assert metadata.digital_source_type == "trainedAlgorithmicMedia"


def test_a_file_that_was_named_is_replaced(here: Path) -> None:
    (here / "a.webp").write_text("old")
    outputs = plan_outputs(resolved(), here / "a.webp")
    assert outputs.save(Picture(0, resolved(), PIXELS), "torch cpu float32") == here / "a.webp"
    assert read_metadata(here / "a.webp").resolved_json


@pytest.mark.parametrize(
    ("output", "count", "line"),
    [
        ("a.png", 2, "output: must be a folder for 2 pictures (got 'a.png')"),
        ("new", 2, "output: the folder does not exist (got 'new'). Create it first: mkdir -p new"),
        ("new", 1, "output: neither a folder nor a picture file (got 'new')"),
        ("new/a.png", 1, "output: the folder does not exist (got 'new/a.png')"),
        ("a.gif", 1, "output: unknown picture format (got '.gif')"),
        ("x" * 300 + ".png", 1, "output: cannot be used: File name too long"),
    ],
)
def test_bad_outputs_are_refused_before_anything_is_drawn(
    output: str, count: int, line: str, here: Path
) -> None:
    with pytest.raises(OutputError) as caught:
        plan_outputs(resolved(count=count), Path(output))
    assert str(caught.value).startswith(line)
    assert list(here.iterdir()) == []


def test_previews_lie_beside_the_pictures_and_replace_nothing(here: Path) -> None:
    outputs = plan_outputs(resolved(count=2), here)
    assert [path.name for path in outputs.previews()] == ["a-frog-7.preview.png", "a-frog-8.preview.png"]
    (here / "a-frog-8.preview.png").touch()
    with pytest.raises(OutputError, match="preview: a file is where the preview would go"):
        outputs.previews()

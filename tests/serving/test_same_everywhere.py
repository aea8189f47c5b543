"""The same settings by the page, the command line and Python: one digest, and the same pixels."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import sfumato
from page_client import Visitor, saved
from served_studio import bundled_settings, served_studio
from sfumato.imaging.io import encode_picture
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.codec import digest, from_json
from sfumato.recipe.extras import Apg, ExtrasPart
from sfumato.recipe.image import Resolved
from sfumato.recipe.of_model import SchedulePart
from sfumato.recipe.parts import ImagePart, TextPart, VariationPart
from sfumato.recipe.refining import RefinePart

NAME = "picture.png"  # what the page calls what is on its canvas


@dataclass(frozen=True)
class Same:
    """The same picture thrice: the fields of a form and the button that draws, arguments, and a recipe."""

    fields: Mapping[str, Any]
    arguments: tuple[str, ...]
    recipe: sfumato.Recipe
    button: str = "sf-generate"
    image: bool = field(default=False)


WINDOW = Same(
    {
        "prompt": "a red fox in the snow",
        "negative": "a tree",
        "seed": "11",
        "steps": "6",
        "guidance": "4.5",
        "guidance_start": 0.1,
        "guidance_stop": 0.8,
        "sampler": "euler",
        "spacing": "karras",
        "size": "Wide 160 x 104",
    },
    (
        *("a red fox in the snow", "--negative", "a tree", "--seed", "11", "--steps", "6"),
        *("--guidance", "4.5", "--guidance-start", "0.1", "--guidance-stop", "0.8"),
        *("--sampler", "euler", "--spacing", "karras", "--size", "160x104"),
    ),
    sfumato.Recipe(
        seed=11,
        steps=6,
        guidance=4.5,
        sampler="euler",
        spacing="karras",
        width=160,
        height=104,
        parts=(
            TextPart(
                prompt="a red fox in the snow", negative="a tree", guidance_start=0.1, guidance_stop=0.8
            ),
        ),
    ),
)
STYLE = Same(
    {"prompt": "a lighthouse", "style": "watercolour", "seed": "3", "steps": "5"},
    ("watercolour of a lighthouse", "--seed", "3", "--steps", "5"),
    sfumato.Recipe(seed=3, steps=5, parts=(TextPart(prompt="watercolour of a lighthouse"),)),
)
FINER = Same(
    {
        "prompt": "a frog",
        "seed": "9",
        "steps": "5",
        "finer_rescale": "0.4",
        "finer_apg": "0, 0.05, -0.25",
        "finer_refiner": "bundled",
        "finer_refine_from": "0.5",
        "finer_cache_interval": "2",
        "finer_variation": "0.2",
        "finer_variation_seed": "4",
        "finer_zero_snr": "no",
    },
    (
        *("a frog", "--seed", "9", "--steps", "5", "--guidance-rescale", "0.4", "--apg", "0,0.05,-0.25"),
        *("--refiner", "bundled", "--refine-from", "0.5", "--cache-interval", "2"),
        *("--variation", "0.2", "--variation-seed", "4", "--no-zero-snr"),
    ),
    sfumato.Recipe(
        seed=9,
        steps=5,
        cache_interval=2,
        parts=(
            TextPart(prompt="a frog", guidance_rescale=0.4),
            ExtrasPart(apg=Apg(eta=0.0, norm=0.05, momentum=-0.25)),
            RefinePart(model="bundled", start=0.5),
            VariationPart(strength=0.2, seed=4),
            SchedulePart(zero_snr=False),
        ),
    ),
)
EDIT = Same(
    {
        **{"task": "change", "prompt": "a lighthouse at night", "strength": 0.6, "seed": "5"},
        **{"steps": "8", "sampler": "ddim", "guidance_stop": 0.9, "finer_eta": "0.5", "finer_tiling": "x"},
    },
    (
        *("a lighthouse at night", "--strength", "0.6", "--seed", "5", "--image", NAME, "--steps", "8"),
        *("--sampler", "ddim", "--guidance-stop", "0.9", "--eta", "0.5", "--tiling", "x"),
    ),
    sfumato.Recipe(
        seed=5,
        steps=8,
        sampler="ddim",
        eta=0.5,
        parts=(
            TextPart(prompt="a lighthouse at night", guidance_stop=0.9),
            ImagePart(source=NAME, strength=0.6),
            ExtrasPart(tiling="x"),
        ),
    ),
    button="sf-edit-draw",
    image=True,
)


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    home = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(home / "shown"))
        with served_studio(bundled_settings(home)) as served, Visitor(served.url) as visitor:
            yield visitor.open()


def painted() -> NDArray[np.uint8]:
    """Return a picture of 128 x 128 with a slope and an edge."""
    slope = np.linspace(0, 255, 128, dtype=np.uint8)
    pixels = np.stack([np.tile(slope, (128, 1)), np.tile(slope[:, None], (1, 128)), np.full((128, 128), 90)])
    pixels = np.ascontiguousarray(np.moveaxis(pixels, 0, -1).astype(np.uint8))
    pixels[40:80, 30:90] = (200, 40, 40)
    return pixels


@pytest.mark.parametrize("same", [WINDOW, STYLE, FINER, EDIT], ids=["window", "style", "finer", "edit"])
def test_page_command_line_and_python_agree(
    same: Same, visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fields = dict(same.fields)
    if same.image:
        # What the page keeps of it are the same bytes: they were written in the same way.
        Path(NAME).write_bytes(encode_picture(painted(), ".png"))
        uploaded = visitor.upload(NAME, Path(NAME).read_bytes())
        fields["canvas"] = {"background": uploaded, "layers": [], "composite": None}
    shown = visitor.draw(same.button, **fields)
    assert shown.done, shown
    page = saved(visitor, shown, tmp_path / "page.png")

    line = tmp_path / "line.png"
    environment = {**os.environ, "SFUMATO_HOME": str(tmp_path / "home"), "SFUMATO_DEVICE": "cpu"}
    command = [sys.executable, "-m", "sfumato", "generate", *same.arguments, "--output", str(line)]
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=120)

    events = [*sfumato.run(same.recipe, bundled_settings(tmp_path / "python"))]
    (drawn,) = [one for one in events if isinstance(one, sfumato.Picture)]

    resolved = [from_json(read_metadata(one).resolved_json, Resolved) for one in (page, line)]
    assert {digest(one) for one in resolved} == {digest(drawn.resolved)}
    for one in (page, line):
        with Image.open(one) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), drawn.pixels), one.name

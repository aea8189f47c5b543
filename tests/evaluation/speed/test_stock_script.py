"""The diffusers script draws what Sfumato draws; in this process, which has torch already."""

import ast
import json
import runpy
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.evaluation.speed import stock_script
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle, tiny_folder


def test_it_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(stock_script.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    assert modules == {"json", "sys", "typing", "torch", "diffusers"}


def test_its_picture_is_sfumato_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {
        "folder": str(tiny_folder()),
        "prompt": "a frog",
        "steps": 4,
        "guidance": 3.0,
        "guidance_rescale": 0.0,
        "width": 64,
        "height": 64,
        "seed": 7,
        "output": str(tmp_path / "frog.png"),
    }
    monkeypatch.setattr(sys, "argv", ["stock_script.py", json.dumps(asked)])
    runpy.run_path(stock_script.__file__, run_name="__main__")
    recipe = Recipe(parts=(TextPart(prompt="a frog"),), seed=7, steps=4, guidance=3.0, sampler="ddim")
    bundle = tiny_bundle()
    with closing(draw(resolve(recipe, bundle.defaults), bundle)) as events:
        (drawn,) = [event.pixels for event in events if isinstance(event, Picture)]
    with Image.open(tmp_path / "frog.png") as stock:
        assert np.abs(np.asarray(stock).astype(int) - drawn).max() <= 2

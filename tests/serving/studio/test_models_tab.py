"""The tab Models: what there is, and what files say of themselves, which nobody checked."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sfumato.serving.desk import Desk
from sfumato.serving.studio import models_tab
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_adapters import kohya_lora, write_adapter
from tiny_studio import open_tiny_desk

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


def row_of(desk: Desk, name: str) -> dict[str, str]:
    row = next(one for one in models_tab.rows_of(desk) if one[0] == name)
    return dict(zip(models_tab.COLUMNS, row, strict=True))


def lora(desk: Desk, **metadata: str) -> None:
    folder = desk.settings.data_dir / "models" / "loras"
    write_adapter(folder / "ink.safetensors", kohya_lora(seed=1), metadata=metadata)


def test_everything_there_is_has_a_row(desk: Desk) -> None:
    assert row_of(desk, "bundled")["kind"] == "diffusers folder"
    lora(desk, **{"modelspec.license": "CC0", "ss_tag_frequency": '{"a": {"ink style": 12}}'})
    row = row_of(desk, "ink")
    assert (row["kind"], row["licence"], row["trigger_words"]) == ("LoRA", "CC0", "ink style")


def test_a_file_that_cannot_be_used_says_why(desk: Desk) -> None:
    folder = desk.settings.data_dir / "models"
    folder.mkdir(exist_ok=True)
    (folder / "torn.safetensors").write_bytes(b"\xff" * 64)
    assert "torn.safetensors" in row_of(desk, "torn")["family"]
    assert 'role="alert"' in models_tab.details_of(desk, "torn")
    shutil.rmtree(folder)
    assert models_tab.rows_of(desk)[0][0] == "bundled"
    assert 'role="alert"' in models_tab.details_of(desk, "torn")


def test_nothing_a_file_says_can_act(desk: Desk) -> None:
    lora(desk, **{"modelspec.title": NASTY, "modelspec.author": "x" * 10_000, "modelspec.license": NASTY})
    details = models_tab.details_of(desk, "ink")
    assert "<img" not in details
    assert "&lt;img" in details
    assert len(details) < 3000
    assert models_tab.details_of(desk, NASTY).count("<img") == 0


def test_a_row_that_is_chosen_is_told_of(desk: Desk) -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        parts: dict[str, Any] = models_tab.build(desk, words_of(Look()), Look())
    find, inputs, _ = parts["find"]
    assert inputs is None
    assert find() == models_tab.rows_of(desk)
    (choose,) = [one.fn for one in page.fns.values() if one.targets == [(parts["table"]._id, "select")]]
    assert choose is not None
    event = gr.SelectData(None, {"index": [0, 0], "value": "bundled", "row_value": ["bundled", "folder"]})
    details, name = choose(event)
    assert name == "bundled"
    assert "<h3>bundled</h3>" in details

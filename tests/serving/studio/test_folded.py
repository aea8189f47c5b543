"""What is in use on a fold that is shut; in a browser: tests/serving/browser/test_kept_page.py."""

from pathlib import Path

import gradio as gr
import pytest

from sfumato.serving.studio.build import build, style
from sfumato.serving.studio.folded import STYLE, inside, told
from sfumato.serving.studio.look import Look, built_in
from sfumato.serving.studio.words import words_of
from tiny_studio import open_tiny_desk


def test_it_knows_what_lies_in_a_fold_however_deep() -> None:
    with gr.Blocks(analytics_enabled=False):
        before = gr.Textbox()
        with gr.Accordion() as outer:
            near = gr.Textbox()
            with gr.Accordion() as inner, gr.Row():
                deep = gr.Slider()
    assert inside(outer, [before, near, deep]) == [near, deep]
    assert inside(inner, [before, near, deep]) == [deep]


def test_labels_stay_text_in_the_page() -> None:
    script = told({"create": {"create.1": "</script><b>"}}, words_of(Look(language="de")))
    assert "<" not in script.replace("=>", "")
    assert '" \\u00b7 benutzt: {0}"' in script


@pytest.mark.parametrize("tab", ["create", "edit", "grid"])
def test_every_fold_of_settings_says_it(tab: str, tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        page = build(desk, built_in("paper"))
    there = {one.elem_id for one in page.blocks.values() if isinstance(one, gr.Accordion)}
    assert f"sf-{tab}-advanced" in there
    assert f"#sf-{tab}-advanced > .label-wrap:not(.open)" in STYLE
    assert f"var(--sf-{tab}-in-use, '')" in style()
    scripts = "".join(str(one.js) for one in page.fns.values())
    labels = scripts[scripts.index("Object.entries(") :].split("}})")[0]
    assert f'"{tab}": {{' in labels
    assert '": "Steps"' in labels
    assert '"Keep this form as a preset called"' not in labels  # no setting of a drawing

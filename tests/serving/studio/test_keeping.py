"""What is kept when the page is loaded again; that it comes back is tested in browser/test_live_page.py and
browser/test_kept_page.py."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from sfumato.serving.studio.keeping import BUTTON, held, keep, typed


def page_of(*names: str, late: Sequence[str] = ()) -> tuple[gr.Blocks, dict[str, Any]]:
    """Return a page with tabs of these names, in this order, and its fields."""
    with gr.Blocks(analytics_enabled=False) as page:
        fields: dict[str, Any] = {}
        with gr.Tabs() as tabset:
            for name in names:
                before = len(page.blocks)
                with gr.Tab(name):
                    gr.Textbox()
                    gr.HTML()
                    gr.Slider(0, 1)
                fields |= typed(page, name, before)
        labels = {name: name.title() for name in names}
        keep(page, fields, [*late], labels, tabset, "Start afresh", "() => {}")
    return page, fields


def test_fields_have_the_same_names_in_every_order_of_tabs() -> None:
    fields = page_of("create", "edit")[1]
    assert [*fields] == ["create.0.Textbox", "create.1.Slider", "edit.0.Textbox", "edit.1.Slider"]
    assert set(page_of("edit", "create")[1]) == set(fields)


def test_it_is_done_by_the_browser_alone() -> None:
    page, fields = page_of("create")
    config: Any = page.get_config_file()
    forgot, reloads, kept, looked, taken, begun = config["dependencies"]
    ids = [one._id for one in fields.values()]
    hidden = [one for one in config["components"] if one["props"].get("visible") == "hidden"]
    assert hidden[0]["props"]["elem_id"] == BUTTON
    for button, pressed in zip(hidden, (reloads, kept, taken), strict=True):
        assert pressed["targets"] == [(button["id"], "click")]
        assert f'"{button["props"]["elem_id"]}"' in looked["js"]
        assert "create.0.Textbox" in pressed["js"]
    assert looked["outputs"] == []
    assert reloads["inputs"] == kept["inputs"] == ids
    assert taken["outputs"][:-1] == ids
    for one in (forgot, reloads, kept, looked, taken, begun):
        assert not one["backend_fn"]
    assert "reload" in reloads["js"]
    assert "reload" not in kept["js"]


def test_words_of_a_look_cannot_end_the_script() -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        with gr.Tabs() as tabset:
            pass
        keep(page, {}, [], {"create": "</script>"}, tabset, "Start afresh", "() => {}")
    config: Any = page.get_config_file()
    assert all("</script>" not in one["js"] for one in config["dependencies"])


def test_what_is_late_is_held_and_not_set() -> None:
    config: Any = page_of("create", late=["create.0.Textbox"])[0].get_config_file()
    taken = config["dependencies"][4]["js"]
    assert 'late = ["create.0.Textbox"]' in taken
    script = held("create", ["size", "</script>"])
    assert '"create."' in script
    assert '"size"' in script
    assert "</script>" not in script


def test_choices_that_come_later_are_left_out() -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        name, late = gr.Textbox(), gr.Dropdown()
    assert [*typed(page, "create", 0).values()] == [name, late]
    assert [*typed(page, "create", 0, [late]).values()] == [name]

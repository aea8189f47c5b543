"""How handlers are bound, as Gradio understands it."""

from inspect import signature
from typing import Any

import gradio as gr
import pytest

from sfumato.errors import NotFoundError
from sfumato.serving.studio.binding import CLICK, QUIET, kindly


@pytest.mark.parametrize("how", [QUIET, CLICK])
def test_nothing_that_is_bound_is_offered_to_programs_or_shows_gradios_progress(how: dict[str, Any]) -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        text = gr.Textbox()
        text.submit(str.upper, text, text, **how)
    (bound,) = page.fns.values()
    assert bound.api_visibility == "private"
    assert bound.show_progress == "hidden"
    assert page.get_api_info()["named_endpoints"] == {}


def test_what_draws_waits_for_nothing_but_the_queue_of_ours() -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        text = gr.Textbox()
        text.submit(str.upper, text, text, **QUIET)
        text.change(str.upper, text, text, **CLICK)
    many, one = page.fns.values()
    assert many.concurrency_limit is None
    assert one.concurrency_limit == "default"


def test_what_goes_wrong_is_said_in_a_line() -> None:
    @kindly
    def handle(request: gr.Request, number: int) -> int:
        if number < 0:
            raise NotFoundError("it is gone", field="picture", value=number)
        return number

    assert handle(gr.Request(), 2) == 2
    assert [*signature(handle).parameters] == ["request", "number"]
    with pytest.raises(gr.Error, match="it is gone"):
        handle(gr.Request(), -1)

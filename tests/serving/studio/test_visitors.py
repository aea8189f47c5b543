import gradio as gr
from fastapi import Request

from sfumato.serving.desk import ALONE
from sfumato.serving.studio.visitors import visitor_of
from tiny_studio import asked_by


def test_the_guard_says_who_asks() -> None:
    assert visitor_of(asked_by("somebody")) == "somebody"


def test_without_a_guard_everybody_is_one() -> None:
    assert visitor_of(None) == ALONE
    assert visitor_of(gr.Request()) == ALONE
    assert visitor_of(gr.Request(Request({"type": "http", "headers": []}))) == ALONE

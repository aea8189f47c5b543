"""What is said in a toast, over the page. Gradio takes its words for HTML: here all of them are text."""

from html import escape

import gradio as gr

from sfumato.serving.studio.visitors import told


def refusal(problem: object) -> gr.Error:
    """Return the error to raise, for a toast with what went wrong, as the visitor may read it who asks."""
    return gr.Error(_text(told(problem)), print_exception=False)


def tell(line: str) -> None:
    """Have a toast say something by the way."""
    gr.Info(_text(line))


def _text(line: str) -> str:
    return escape(line, quote=False)

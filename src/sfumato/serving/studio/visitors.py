"""Who asks: the guard told the two apart before the page saw the request."""

from typing import Any, cast

import gradio as gr
from gradio.context import LocalContext

from sfumato.serving.desk import ALONE
from sfumato.serving.studio.telling import without_folders


def visitor_of(request: gr.Request | None) -> str:
    """Return who sent `request`; without a guard around the page, as in a notebook, everybody is one."""
    if request is None or request.request is None:
        return ALONE
    scope = cast(dict[str, Any], request.request.scope)
    return scope.get("state", {}).get("visitor", ALONE)


def told(problem: object) -> str:
    """Return what went wrong as the visitor may read it whose request this is: with folders of this machine
    where nobody else can ask, and without them for those whom a password let in.
    """
    alone = visitor_of(LocalContext.request.get(None)) == ALONE
    return str(problem) if alone else without_folders(problem)

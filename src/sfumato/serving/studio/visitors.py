"""Who asks: the guard told the two apart before the page saw the request."""

from typing import Any, cast

import gradio as gr

from sfumato.serving.desk import ALONE


def visitor_of(request: gr.Request | None) -> str:
    """Return who sent `request`; without a guard around the page, as in a notebook, everybody is one."""
    if request is None or request.request is None:
        return ALONE
    scope = cast(dict[str, Any], request.request.scope)
    return scope.get("state", {}).get("visitor", ALONE)

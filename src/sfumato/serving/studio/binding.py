"""How handlers are bound to what people do."""

from collections.abc import Generator
from typing import Any, TypeAlias

News: TypeAlias = Generator[dict[Any, Any], None, None]
#: How handlers that draw are bound, and those that only look.
QUIET: dict[str, Any] = {
    "show_progress": "hidden",  # the page has its own
    "concurrency_limit": None,  # and so has the queue
    "api_visibility": "private",
}
#: How those are that answer at once.
CLICK: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

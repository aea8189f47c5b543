"""How handlers are bound to what people do."""

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, TypeVar

from sfumato.errors import SfumatoError
from sfumato.serving.studio.toasts import refusal

_Given = ParamSpec("_Given")
_Told = TypeVar("_Told")

News: TypeAlias = Generator[dict[Any, Any], None, None]
#: How handlers that draw are bound, and those that only look.
QUIET: dict[str, Any] = {
    "show_progress": "hidden",  # the page has its own
    "concurrency_limit": None,  # and so has the queue
    "api_visibility": "private",
}
#: How those are that answer at once.
CLICK: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def kindly(handle: Callable[_Given, _Told]) -> Callable[_Given, _Told]:
    """Have the page say, in a line, what goes wrong in a handler: the disk is full, a picture is gone."""

    @wraps(handle)
    def handled(*values: _Given.args, **more: _Given.kwargs) -> _Told:
        try:
            return handle(*values, **more)
        except SfumatoError as error:
            raise refusal(error) from None

    return handled

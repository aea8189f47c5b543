"""A visitor of the studio without a browser: asks for what the page asks for, in the same way.

It reads the page's configuration, joins Gradio's queue with the fields as they stand in the form, and follows
the stream of news with its differences. Neither mouse nor scripts: those are what tests/serving/browser has.
"""

import json
import secrets
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from sfumato.serving.studio import create, edit

WAIT: Final = 120.0  # seconds without any news, on the busiest machine
#: The fields of the two tabs that draw, in the order in which their handlers take them, by their button.
FORMS: Final[Mapping[str, Sequence[str]]] = {"sf-generate": create.FORM, "sf-edit-draw": edit.FORM}


@dataclass(eq=False)
class Shown:
    """What an area of the page shows: its line, with HTML around it, and the addresses of its pictures."""

    progress: str = ""
    pictures: list[str] = field(default_factory=list[str])
    problem: str | None = None  # what Gradio says of a handler that raised

    @property
    def done(self) -> bool:
        return "Done in" in self.progress


@dataclass(eq=False)
class Visitor:
    """One visitor, with cookies of their own. `auth` is the user and the password, where one is asked for."""

    url: str
    auth: tuple[str, str] | None = None
    http: httpx.Client = field(init=False)
    session: str = field(default_factory=lambda: secrets.token_hex(5))
    _config: dict[str, Any] = field(default_factory=dict[str, Any])
    _outputs: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    _seen: dict[str, Shown] = field(default_factory=dict[str, Shown])

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, auth=self.auth, timeout=WAIT, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def open(self) -> Self:
        """Load the page and its configuration."""
        self.http.get("/").raise_for_status()
        self._config = self.http.get("/config").raise_for_status().json()
        return self

    def draw(self, button: str = "sf-generate", **fields: Any) -> Shown:
        """Press a button that draws, with `fields` in its form, and return what is shown at the end."""
        *_, last = self.drawing(button, **fields)
        return last

    def drawing(self, button: str = "sf-generate", **fields: Any) -> Generator[Shown, None, None]:
        """Press a button that draws, and yield what is shown, with every news."""
        self.press(button, **fields)
        yield from self.follow()

    def press(self, button: str = "sf-generate", **fields: Any) -> None:
        """Press a button that draws, with `fields` in its form."""
        made = self._handler(button, "click")
        form = FORMS[button]
        unknown = set(fields) - set(form)
        assert not unknown, unknown
        data = [
            fields[name] if name in fields else self._component(number)["props"].get("value")
            for name, number in zip(form, made["inputs"], strict=True)
        ]
        self._join(made, data)

    def follow(self) -> Generator[Shown, None, None]:
        """Yield what is shown after each news of what was pressed, until it ends."""
        outputs: list[Any] = []
        shown = Shown()
        for news in self.stream():
            if news["msg"] in ("process_generating", "process_completed") and not news["success"]:
                yield Shown(problem=str(news["output"].get("error")))
                return
            if news["msg"] == "process_generating":
                outputs = _patched(outputs, news["output"]["data"])
                shown = self._shown(outputs, shown)
                yield shown
            elif news["msg"] == "process_completed":
                return
            elif news["msg"] == "unexpected_error":
                yield Shown(problem=news["message"])
                return

    def ends(self, number: int) -> list[tuple[float, Shown]]:
        """Follow `number` jobs that were asked for, and return when each ended, by
        `time.monotonic`, and what was shown then.
        """
        with closing(self.stream()) as stream:
            return self.ended(stream, number)

    def ended(self, stream: Iterator[dict[str, Any]], number: int) -> list[tuple[float, Shown]]:
        """Read `stream` until `number` jobs ended, and return what `ends` does."""
        outputs, shown = self._outputs, self._seen
        found: list[tuple[float, Shown]] = []
        for news in stream:
            event = str(news.get("event_id"))
            if news["msg"] == "process_generating" and news["success"]:
                outputs[event] = _patched(outputs.get(event, []), news["output"]["data"])
                shown[event] = self._shown(outputs[event], shown.get(event, Shown()))
            elif news["msg"] == "process_completed":
                failed = Shown(problem=str(news["output"].get("error")))
                found.append((time.monotonic(), shown.pop(event, Shown()) if news["success"] else failed))
            if len(found) == number:
                break
        return found

    def file(self, address: str) -> bytes:
        """Return a file that the page shows."""
        return self.http.get(address).raise_for_status().content

    def upload(self, name: str, content: bytes, kind: str = "image/png") -> dict[str, Any]:
        """Upload a file as the page does, and return how handlers are told of it."""
        answer = self.http.post("/gradio_api/upload", files={"files": (name, content, kind)})
        path = answer.raise_for_status().json()[0]
        return {"path": path, "orig_name": name, "mime_type": kind, "meta": {"_type": "gradio.FileData"}}

    def _join(self, made: Mapping[str, Any], data: Sequence[Any]) -> None:
        body = {
            "data": data,
            "event_data": None,
            "fn_index": made["id"],
            "trigger_id": made["targets"][0][0],
            "session_hash": self.session,
        }
        # As the browser writes it: ensure_ascii lets what is no character (a lone surrogate) through.
        sent = json.dumps(body).encode("ascii")
        json_type = {"content-type": "application/json"}
        self.http.post("/gradio_api/queue/join", content=sent, headers=json_type).raise_for_status()

    def stream(self) -> Generator[dict[str, Any], None, None]:
        """Yield the news of all that was asked for, as Gradio tells them."""
        asked = {"session_hash": self.session}
        with self.http.stream("GET", "/gradio_api/queue/data", params=asked) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def _shown(self, outputs: Sequence[Any], before: Shown) -> Shown:
        """Return what is shown after `outputs`: what they do not speak of is still there."""
        progress, results = outputs[:2]
        line = progress.get("value", before.progress) if isinstance(progress, dict) else progress
        if not isinstance(results, list):
            return Shown(str(line or ""), before.pictures)
        return Shown(str(line or ""), [_address(one["image"]) for one in results])

    def _handler(self, button: str, event: str) -> dict[str, Any]:
        numbers = {one["id"] for one in self._config["components"] if one["props"].get("elem_id") == button}
        (found,) = [
            one
            for one in self._config["dependencies"]
            if any(target[0] in numbers and target[1] == event for target in one["targets"]) and one["inputs"]
        ]
        return found

    def _component(self, number: int) -> dict[str, Any]:
        return next(one for one in self._config["components"] if one["id"] == number)


def saved(visitor: Visitor, shown: Shown, path: Path) -> Path:
    """Write the first picture that is shown to `path`, and return that."""
    path.write_bytes(visitor.file(shown.pictures[0]))
    return path


def _address(image: Mapping[str, Any]) -> str:
    return f"/gradio_api/file={image['path']}"


def _patched(before: list[Any], news: Sequence[Any]) -> list[Any]:
    """Return the outputs after `news`: whole ones the first time, then differences to those before."""
    if not before:
        return list(news)
    return [_changed(old, new) for old, new in zip(before, news, strict=True)]


def _changed(value: Any, changes: Sequence[Any]) -> Any:
    for action, path, new in changes:
        value = _put(value, action, list(path), new)
    return value


def _put(value: Any, action: str, path: list[Any], new: Any) -> Any:
    """Return `value` with one difference of Gradio's protocol in it."""
    if not path:
        return value + new if action == "append" else new
    key, *rest = path
    copy: Any = list(value) if isinstance(value, list) else dict(value)
    if rest or action in ("replace", "append"):
        copy[key] = _put(copy[key], action, rest, new)
    elif action == "add":
        copy.insert(key, new) if isinstance(copy, list) else copy.__setitem__(key, new)
    else:
        del copy[key]
    return copy

"""A visitor of the studio without a browser: asks for what the page asks for, in the same way.

It reads the page's configuration, joins Gradio's queue with the fields as they stand in the form, and follows
the stream of news with its differences. Neither mouse nor scripts: those are what tests/serving/browser has.
"""

import json
import secrets
import time
from collections.abc import Generator, Mapping, Sequence
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
        said = self.press(button, **fields)
        if said.problem is not None or said.progress:
            yield said
        else:
            yield from self.follow(button)

    def press(self, button: str = "sf-generate", **fields: Any) -> Shown:
        """Press a button that draws, with `fields` in its form, and return what is said at once: nothing
        where that went well.
        """
        made = self._handler(button)
        form = FORMS[button]
        unknown = set(fields) - set(form)
        assert not unknown, unknown
        data = [
            fields[name] if name in fields else self._component(number)["props"].get("value")
            for name, number in zip(form, made["inputs"], strict=True)
        ]
        answer = self._post("run/predict", made, data)
        if answer.status_code != httpx.codes.OK:
            return Shown(problem=str(answer.json().get("error")))
        notice, full, _ = answer.json()["data"]
        return Shown("".join(one for one in (notice, full) if isinstance(one, str)))

    def join(self, button: str = "sf-generate") -> None:
        """Ask for news of what was pressed, as the page does after each click."""
        asking = self._handler(button)["id"]
        (made,) = [one for one in self._config["dependencies"] if one["trigger_after"] == asking]
        self._post("queue/join", made, [None]).raise_for_status()

    def follow(self, button: str = "sf-generate") -> Generator[Shown, None, None]:
        """Yield what is shown after each news of what was pressed, until all of it ended."""
        self.join(button)
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
        """Follow what was pressed, `number` drawings of one picture each, and return when each picture came,
        by `time.monotonic` (at the end, where it did not), and what was shown at last.
        """
        times: list[float] = []
        last = Shown()
        for last in self.follow():
            times += [time.monotonic()] * (len(last.pictures) - len(times))
        times += [time.monotonic()] * (number - len(times))
        return [(when, last) for when in times]

    def file(self, address: str) -> bytes:
        """Return a file that the page shows."""
        return self.http.get(address).raise_for_status().content

    def upload(self, name: str, content: bytes, kind: str = "image/png") -> dict[str, Any]:
        """Upload a file as the page does, and return how handlers are told of it."""
        answer = self.http.post("/gradio_api/upload", files={"files": (name, content, kind)})
        path = answer.raise_for_status().json()[0]
        return {"path": path, "orig_name": name, "mime_type": kind, "meta": {"_type": "gradio.FileData"}}

    def _post(self, place: str, made: Mapping[str, Any], data: Sequence[Any]) -> httpx.Response:
        target = next((one[0] for one in made["targets"] if one[0] is not None), None)
        body = {
            "data": data,
            "event_data": None,
            "fn_index": made["id"],
            "trigger_id": target,
            "session_hash": self.session,
        }
        # As the browser writes it: ensure_ascii lets what is no character (a lone surrogate) through.
        sent = json.dumps(body).encode("ascii")
        json_type = {"content-type": "application/json"}
        return self.http.post(f"/gradio_api/{place}", content=sent, headers=json_type)

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

    def _handler(self, button: str) -> dict[str, Any]:
        """Return what a click on a button calls."""
        numbers = {one["id"] for one in self._config["components"] if one["props"].get("elem_id") == button}
        (found,) = [
            one
            for one in self._config["dependencies"]
            if any(target[0] in numbers and target[1] == "click" for target in one["targets"])
            and one["inputs"]
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

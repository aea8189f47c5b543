"""Streams of events, with Gradio's own: what is asked for as one would end comes down the same."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from served_studio import WAIT
from sfumato.serving.server import HERE
from sfumato.serving.streams import OpenStreams

LINGER = 0.4
SESSION = "asession"


@contextmanager
def served(linger: float) -> Iterator[httpx.Client]:
    """Serve a page that says what it is told, and give a client of it."""
    with gr.Blocks(analytics_enabled=False) as page:
        told, said = gr.Textbox(), gr.Textbox()
        told.submit(str.upper, told, said, concurrency_limit=None)
    app: Any = gr.mount_gradio_app(FastAPI(), page, path="")
    app.add_middleware(OpenStreams, page=page, linger=linger)
    server = uvicorn.Server(uvicorn.Config(app, host=HERE, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://{HERE}:{port}/gradio_api", timeout=WAIT) as client:
        yield client
    server.should_exit = True
    thread.join(WAIT)


def ask(client: httpx.Client, text: str) -> str:
    asked = {"data": [text], "fn_index": 0, "session_hash": SESSION}
    answer = client.post("/queue/join", json=asked)
    assert answer.status_code == httpx.codes.OK
    return answer.json()["event_id"]


@contextmanager
def stream(client: httpx.Client) -> Iterator[Iterator[dict[str, Any]]]:
    with client.stream("GET", "/queue/data", params={"session_hash": SESSION}) as response:
        lines = (line for line in response.iter_lines() if line.startswith("data: "))
        yield (json.loads(line.removeprefix("data: ")) for line in lines)


def completed(messages: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return next(one for one in messages if one["msg"] == "process_completed")


def test_what_is_asked_for_as_it_would_end_comes_down_the_same_stream() -> None:
    with served(linger=WAIT) as client:
        ask(client, "one")
        with stream(client) as messages:
            assert completed(messages)["output"]["data"] == ["ONE"]
            for text in ("two", "three"):
                asked = ask(client, text)
                answer = completed(messages)
                assert (answer["event_id"], answer["output"]["data"]) == (asked, [text.upper()])


def test_one_that_stays_still_ends() -> None:
    with served(LINGER) as client:
        ask(client, "one")
        with stream(client) as messages:
            completed(messages)
            assert [one["msg"] for one in messages] == ["close_stream"]
        ask(client, "two")
        with stream(client) as messages:
            assert completed(messages)["output"]["data"] == ["TWO"]


@pytest.mark.parametrize("path", ["/gradio_api/info", "/config"])
def test_everything_else_is_passed_on(path: str) -> None:
    with served(LINGER) as client:
        assert client.get(str(client.base_url.copy_with(path=path))).status_code == httpx.codes.OK

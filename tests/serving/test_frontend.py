"""Gradio's own files, answered from memory: the same bytes as Gradio's own way gives, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from fastapi import FastAPI
from gradio.routes import BUILD_PATH_LIB, STATIC_PATH_LIB
from starlette.testclient import TestClient

from sfumato.serving.frontend import Frontend

NEAR, FAR = "http://127.0.0.1:7860", "http://studio.example"
FONT = "/static/fonts/SourceSansPro/SourceSansPro-Regular.woff2"


@pytest.fixture(scope="module")
def gradios() -> FastAPI:
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Textbox()
    return gr.mount_gradio_app(FastAPI(), page, path="")


@pytest.fixture
def near(gradios: FastAPI) -> Iterator[TestClient]:
    with TestClient(Frontend(gradios), base_url=NEAR) as client:
        yield client


@pytest.fixture
def far(gradios: FastAPI) -> Iterator[TestClient]:
    with TestClient(Frontend(gradios), base_url=FAR) as client:
        yield client


def one(suffix: str) -> tuple[str, bytes]:
    """Return the address of the largest file of a kind, and what is in it."""
    largest = max(Path(BUILD_PATH_LIB).glob(f"*{suffix}"), key=lambda file: file.stat().st_size)
    return f"/assets/{largest.name}", largest.read_bytes()


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".js", "text/javascript"),  # RFC 9239; systems say other names too
        (".css", "text/css"),
        (".svg", "image/svg+xml"),
        (".woff2", "font/woff2"),
        (".ttf", "font/ttf"),
    ],
)
def test_a_file_is_that_of_gradio(suffix: str, kind: str, near: TestClient) -> None:
    path, content = one(suffix)
    for _ in range(2):  # read, and kept
        answer = near.get(path)
        assert (answer.status_code, answer.content) == (200, content)
        assert "content-encoding" not in answer.headers  # nothing is won by it on one machine
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_what_goes_over_a_network_is_compressed_for_those_who_take_it(far: TestClient) -> None:
    path, content = one(".js")
    packed = far.get(path, headers={"accept-encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(content) / 2
    assert packed.content == content
    plain = far.get(path, headers={"accept-encoding": "identity"})
    assert (plain.headers.get("content-encoding"), plain.content) == (None, content)
    assert {"accept-encoding", "host"} <= {one.strip() for one in plain.headers["vary"].split(",")}
    font = far.get(FONT, headers={"accept-encoding": "gzip"})  # packed already
    assert "content-encoding" not in font.headers
    assert font.content == (Path(STATIC_PATH_LIB) / FONT.removeprefix("/static/")).read_bytes()
    assert font.headers["cache-control"] == "private, max-age=86400"  # its name has no digest


def test_no_body_is_sent_to_who_asks_for_the_headers_alone(near: TestClient) -> None:
    path, content = one(".js")
    answer = near.head(path)
    assert (answer.content, int(answer.headers["content-length"])) == (b"", len(content))


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../index.html",
        "/assets/%2e%2e/index.html",
        "/assets/..%2f..%2f..%2froutes.py",
        "/assets//etc/passwd",
        "/assets/no-such-file.js",
        "/assets/",
        "/static/fonts/../../index.html",
    ],
)
def test_nothing_else_is_given(path: str, near: TestClient, gradios: FastAPI) -> None:
    with TestClient(gradios, base_url=NEAR) as theirs:
        wanted = theirs.get(path)
    answer = near.get(path)
    assert (answer.status_code, answer.content) == (wanted.status_code, wanted.content)
    assert "cache-control" not in answer.headers  # it was Gradio that answered
    assert b"root:" not in answer.content


def test_the_page_and_what_changes_something_are_gradios(near: TestClient) -> None:
    assert b"gradio_config" in near.get("/").content
    assert near.post(one(".js")[0]).status_code == 405

"""The studio for Python: built, gone on with, opened in the background, shown in a notebook."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
import pytest

import sfumato
from served_studio import bundled_settings
from sfumato.errors import InputError, RecipeError, SfumatoError
from sfumato.serving.studio.look import Look, built_in
from sfumato.serving.studio.theme import theme_of
from sfumato.studio import NOTEBOOKS, Frame, Studio, build, look_of
from sfumato.studio import open as open_studio


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    studio = build(bundled_settings(tmp_path), theme="night", css=".mine { color: red; }")
    yield studio
    studio.close()


def get(url: str, **headers: str) -> tuple[int, dict[str, str], str]:
    """Return status, headers and text of the page at `url`."""
    connection = HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=30)
    try:
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        return (
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            answer.read().decode(),
        )
    finally:
        connection.close()


def test_the_module_is_loaded_when_it_is_asked_for() -> None:
    assert sfumato.studio.build is build
    code = "import sys, sfumato\nassert 'gradio' not in sys.modules\nsfumato.studio.build\n"
    code += "assert 'sfumato.studio' in sys.modules and 'gradio' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_made_inside_stands_on_the_page(studio: Studio) -> None:
    with studio as demo:
        gr.Markdown("Made for our course.")
    assert demo is studio
    url = demo.open()
    status, _, page = get(url)
    assert status == 200
    assert "Made for our course." in page
    assert ".mine { color: red; }" in page.replace("\\n", "")
    assert get(url, Host="evil.example")[0] == 400
    with pytest.raises(InputError, match="is open already"):
        demo.open()
    demo.close()
    with pytest.raises(OSError, match="refused"):
        get(url)


def test_a_notebook_shows_it_in_a_frame(studio: Studio) -> None:
    frame = studio.show(height=500)
    assert isinstance(frame, Frame)
    assert frame.url in frame._repr_html_()
    assert "height: 500px" in frame._repr_html_()
    policy = get(frame.url)[1]["content-security-policy"]
    assert policy.endswith(f"frame-ancestors 'self' {' '.join(NOTEBOOKS)}")
    again = studio.show()
    assert again is not None
    assert get(again.url)[0] == 200


class Output(ModuleType):
    """Stands in for google.colab.output, which is nowhere else."""

    def __init__(self, address: object) -> None:
        super().__init__("google.colab.output")
        self.address, self.shown = address, dict[str, Any]()

    def eval_js(self, script: str) -> object:
        self.shown["script"] = script
        return self.address

    def serve_kernel_port_as_iframe(self, port: int, height: str) -> None:
        self.shown.update(port=port, height=height)


def in_colab(monkeypatch: pytest.MonkeyPatch, address: object) -> dict[str, Any]:
    """Have it look as if this were Colab, and return what the studio asks of it."""
    output = Output(address)
    for name in ("google", "google.colab"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    return output.shown


@pytest.mark.parametrize(
    "host", ["8888-gpu-t4-s-abc-a.us-west4-1.prod.colab.dev", "abc-0-colab.googleusercontent.com"]
)
def test_colab_shows_it_by_its_own_proxy(studio: Studio, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    outside = f"https://{host}"
    shown = in_colab(monkeypatch, f"{outside}/")
    assert studio.show() is None
    assert shown["script"] == f"google.colab.kernel.proxyPort({shown['port']})"
    url = f"http://127.0.0.1:{shown['port']}"
    status, headers, page = get(url, Host=host, Origin=outside)
    assert status == 200
    assert f'"root":"{outside}"' in page.replace(" ", "")
    # The proxy may keep the name that the browser asked for, or give its own; the page stays the sender.
    assert get(url, Origin=outside)[0] == 200
    # The frame is opened from Colab's page.
    opened = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    assert get(url, Host=host, **opened)[0] == 200
    assert get(url, Host=host, Origin="https://other.example.com")[0] == 403
    assert get(url, Host="other.example.com")[0] == 400
    policy = next(value for name, value in headers.items() if name.lower() == "content-security-policy")
    frames = policy.partition("frame-ancestors ")[2].partition(";")[0].split()
    assert frames == [
        "'self'",
        "https://colab.research.google.com",
        "https://*.googleusercontent.com",
        "https://*.colab.dev",
    ]


@pytest.mark.parametrize("address", [None, "", "http://localhost:8888"])
def test_colab_without_an_address_is_said(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, address: object
) -> None:
    in_colab(monkeypatch, address)
    with pytest.raises(InputError, match="Colab gives the studio no address"):
        studio.show()
    assert studio.url is None


def test_the_module_is_opened_by_calling_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    # As the example that this project began with: a theme by its name, and rules.
    theme = "JohnSmith9982/small_and_pretty"
    studio = sfumato.studio(bundled_settings(tmp_path), theme=theme, blocks_css="h1 { color: white }")
    try:
        assert isinstance(studio, Studio)
        assert len(studio.dressed.notes) == 1
        assert theme in studio.dressed.notes[0]
        with pytest.raises(InputError, match="is open already"):
            studio.open()
        assert studio.url is not None
        assert "h1 { color: white }" in get(studio.url)[2]
    finally:
        studio.close()
    assert studio.url is None


def test_a_port_that_is_taken_is_said(studio: Studio) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            InputError, match=f"port: cannot be listened at: .*127.0.0.1:{port}.*Choose another"
        ):
            studio.open(port)
    assert studio.url is None
    assert studio.open(port) == f"http://127.0.0.1:{port}/"


def test_a_server_that_does_not_open_is_said(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Gradio asks for such examples before it opens; the port is free again afterwards."""
    monkeypatch.chdir(tmp_path)

    def fails(text: str) -> str:
        raise RuntimeError(f"the example {text} has burst")

    with studio:
        box = gr.Textbox()
        gr.Examples([["frog"]], box, box, fails, cache_examples=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SfumatoError, match=r"studio: could not be opened\. The lines above say why"):
        studio.open(port)
    assert studio.url is None
    assert "the example frog has burst" in capfd.readouterr().err
    with socket.create_server(("127.0.0.1", port)):
        studio.wait()  # for nothing: none is open


@pytest.mark.parametrize(
    "outside", ["studio.example", "https://studio.example/a", "https://a@studio.example"]
)
def test_an_address_outside_is_checked_before_anything_is_opened(studio: Studio, outside: str) -> None:
    with pytest.raises(InputError) as caught:
        studio.open(outside=outside)
    assert caught.value.field == "outside"
    assert studio.url is None
    assert studio.open(outside="https://Studio.example:443/") == "https://studio.example/"


def test_open_is_build_and_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    (tmp_path / "look").mkdir()
    (tmp_path / "look" / "studio.toml").write_text('title = "Our course"\n', encoding="utf-8")
    studio = open_studio(bundled_settings(tmp_path), theme=tmp_path / "look")
    try:
        assert studio.dressed.look.title == "Our course"
        with pytest.raises(InputError, match="is open already"):
            studio.open()
    finally:
        studio.close()


def test_uploads_are_kept_where_no_other_program_does(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from served_studio import bundled_settings
from sfumato.studio import build
first = build(bundled_settings(Path(sys.argv[1]) / "a"))
folder = os.environ["GRADIO_TEMP_DIR"]
second = build(bundled_settings(Path(sys.argv[1]) / "b"))
assert os.environ["GRADIO_TEMP_DIR"] == folder
(Path(folder) / "copy.png").write_bytes(b"a picture")
first.close()  # the other goes on
assert (Path(folder) / "copy.png").is_file()
print(folder)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("GRADIO_TEMP_DIR", None)
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    folder = Path(ran.stdout.strip().splitlines()[-1])
    assert folder.parent == tmp_path
    assert folder.name.startswith("sfumato-copies-")
    assert not folder.exists()


def test_themes_are_looks_of_ours_of_gradio_and_folders(tmp_path: Path) -> None:
    settings = bundled_settings(tmp_path)
    assert look_of("night", settings) == built_in("night")
    assert look_of("soft", settings).look == Look(theme="soft")
    assert look_of(None, settings) == built_in("paper")
    with pytest.raises(InputError, match=r"theme: is no look \(got 'nihgt'\)"):
        look_of("nihgt", settings)
    with pytest.raises(InputError, match=r"Did you mean soft\? .*monochrome.*, or a folder") as caught:
        look_of("softt", settings)
    assert "Did you mean night?" not in str(caught.value)
    with pytest.raises(InputError, match=r"theme: is no look \(got 'int'\)"):
        look_of(7, settings)  # pyright: ignore[reportArgumentType]
    (tmp_path / "studio.toml").write_text("veil = 2\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="veil"):
        look_of(tmp_path, settings)


def test_a_theme_of_gradio_may_be_given_itself(tmp_path: Path) -> None:
    settings = bundled_settings(tmp_path)
    theme = gr.themes.Soft(primary_hue="rose", font=[gr.themes.GoogleFont("Quicksand"), "Arial"])
    theme.set(button_primary_background_fill="#123456")
    worn = theme_of(look_of(theme, settings))
    assert vars(worn)["button_primary_background_fill"] == "#123456"
    assert vars(worn)["primary_500"] == vars(theme)["primary_500"]
    assert worn._stylesheets == []

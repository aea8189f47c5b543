import io
import sys

import pytest

from sfumato.cli.console import bar, on_terminal, pairs, printable, result, result_json, table, talk, warn


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_results_and_talk_go_to_different_places(capsys: pytest.CaptureFixture[str]) -> None:
    result("a.png")
    result_json({"prompt": "\x9b\u202e frög"})
    talk("seed 7")
    warn("cut")
    said = capsys.readouterr()
    assert said.out.startswith("a.png\n{")
    assert "\\u009b\\u202e fr\\u00f6g" in said.out
    assert said.err == "seed 7\nwarning: cut\n"


def test_a_closed_stderr_hears_nothing_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert not on_terminal()
    warn("cut")
    with bar("drawing") as shown:
        shown.update(1, 2)
    assert capsys.readouterr().out == ""


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        result_json({"loss": float("nan")})


def test_columns_are_aligned_without_trailing_spaces() -> None:
    assert table([("a", "bcd", ""), ("ab", "c", "d")], ("X", "", "")) == "X\na   bcd\nab  c    d"
    assert pairs({"a": "1", "long": "2\n3"}) == "a     1\nlong  2\n      3"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31m\r\n\x9b\u202e🐸é") == "a\\x1b[31m\\r\n\\x9b\\u202e🐸é"


def test_no_bar_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert not on_terminal()
    with bar("drawing") as shown:
        shown.update(1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("clock", [True, False])
def test_a_bar_on_a_terminal_leaves_stdout_alone(
    clock: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", Terminal())
    screen, out = sys.stderr, sys.stdout
    with bar("[a:b:0.4]", clock=clock) as shown:
        shown.update(1, 2, "loss [1]")
        shown.progress.refresh()
        with shown.aside():
            result("a.png")
        shown.label("saving")
    assert isinstance(screen, io.StringIO)
    assert isinstance(out, io.StringIO)
    assert out.getvalue() == "a.png\n"
    assert "[a:b:0.4]" in screen.getvalue()
    assert "loss [1]" in screen.getvalue()


def test_a_dumb_terminal_gets_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not on_terminal()

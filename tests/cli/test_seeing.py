"""--trace, --animate and --attention: refused before anything is loaded, and followed to the end."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sfumato.cli.seeing import Seeing, plan_seeing
from sfumato.engine.run import draw
from sfumato.engine.seeing import Watched
from sfumato.errors import OutputError, RecipeError
from sfumato.recipe.image import Recipe, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle


def paths_of(seeing: Seeing) -> list[Path]:
    bundle = tiny_bundle()
    resolved = resolve(Recipe(seed=7, steps=2, parts=(TextPart(prompt="a frog"),)), bundle.defaults)
    recorder = seeing.recorder(resolved, bundle)
    drawing = draw(resolved, bundle, attending=recorder)
    with closing(seeing.watched(drawing, bundle, recorder)) as events:
        return [event.path for event in events if isinstance(event, Watched)]


def test_all_are_written(tmp_path: Path) -> None:
    seeing = plan_seeing(tmp_path / "trace", tmp_path / "frog.gif", "noisy", tmp_path / "maps")
    grid = tmp_path / "maps" / "attention.png"
    assert paths_of(seeing) == [tmp_path / "trace" / "index.html", tmp_path / "frog.gif", grid]
    assert (tmp_path / "frog.gif").stat().st_size > 100
    assert seeing.looking == (seeing.gauge,)


def test_nothing_asked_is_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths_of(plan_seeing(None, None)) == []
    assert list(tmp_path.iterdir()) == []
    assert plan_seeing(None, None).looking == ()


def test_what_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="trace: this folder holds other things"):
        plan_seeing(tmp_path, None)
    with pytest.raises(OutputError, match="attention: this folder holds other things"):
        plan_seeing(None, None, None, tmp_path)
    with pytest.raises(OutputError, match=r"attention: the trace goes there .*Name another folder"):
        plan_seeing(tmp_path / "maps", None, None, tmp_path / "deep" / ".." / "maps")
    with pytest.raises(OutputError, match="animate: unknown format"):
        plan_seeing(None, tmp_path / "frog.avi")
    with pytest.raises(RecipeError, match=r"animate-shows: cannot be shown .*Choose one of x0, noisy"):
        plan_seeing(None, tmp_path / "frog.gif", "eps")
    with pytest.raises(RecipeError, match="animate-shows: there is no animation"):
        plan_seeing(None, None, "x0")


def test_from_the_command_line(sfumato: Any, here: Path) -> None:
    ran = sfumato(
        *("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "3", "--guidance", "9"),
        *("--output", "frog.png", "--trace", "trace", "--animate", "frog.webp", "--json"),
    )
    assert ran.code == 0, ran.err
    assert ran.json["seen"] == ["trace/index.html", "frog.webp"]
    rows = json.loads((here / "trace" / "trace.json").read_text(encoding="utf-8"))["steps"]
    assert all(row["inflation"] > 0 for row in rows)
    plain = sfumato(
        *("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "3", "--guidance", "9"),
        *("--output", "plain.png"),
    )
    assert plain.code == 0, plain.err
    assert (here / "plain.png").read_bytes() == (here / "frog.png").read_bytes()


def test_exact_steps(sfumato: Any, bad: Any, here: Path) -> None:
    frog = ("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "3", "--output", "frog.png")
    for name, more in (("plain", ()), ("exact", ("--exact-steps",))):
        ran = sfumato(*frog, "--trace", name, *more)
        assert ran.code == 0, ran.err
    # The prediction of the last step is the picture: seen in full only when it is decoded so.
    last = [(here / name / "step-003-x0.png").read_bytes() for name in ("plain", "exact")]
    final = (here / "exact" / "final.png").read_bytes()
    assert last[1] == final != last[0]
    assert "exact-steps: there are no steps to be seen" in bad(*frog, "--exact-steps")


def test_attention_from_the_command_line(sfumato: Any, bad: Any, here: Path) -> None:
    frog = ("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "3")
    ran = sfumato(*frog, "--output", "frog.png", "--attention", "maps", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["seen"] == ["maps/attention.png"]
    again = sfumato("redo", "frog.png", "--output", "again.png", "--attention", "maps2")
    assert again.code == 0, again.err
    assert (here / "maps2" / "word-02-frog.png").read_bytes() == (
        here / "maps" / "word-02-frog.png"
    ).read_bytes()
    assert sfumato(*frog, "--output", "plain.png").code == 0
    assert (here / "plain.png").read_bytes() == (here / "frog.png").read_bytes()
    said = bad(*frog[:1], "--unconditional", *frog[2:], "--attention", "maps3")
    assert "attention: there is no word to map" in said
    assert not (here / "maps3").exists()


def test_attention_needs_torch(bad: Any, here: Path) -> None:
    said = bad("generate", "a frog", "--backend", "openvino", "--attention", "maps")
    assert "attention: attention maps need the torch backend" in said
    assert "--backend torch" in said
    assert not (here / "maps").exists()


def test_a_mistake_is_one_line_and_nothing_is_written(bad: Any, here: Path) -> None:
    (here / "full").mkdir()
    (here / "full" / "letter.txt").write_text("dear")
    frog = ("generate", "a frog", "--model", "tiny")
    assert "trace: this folder holds other things (letter.txt)" in bad(*frog, "--trace", "full")
    assert "attention: this folder holds other things (letter.txt)" in bad(*frog, "--attention", "full")
    assert "Did you mean .gif?" in bad(*frog, "--animate", "frog.gf")
    assert "animate-shows: there is no animation" in bad(*frog, "--animate-shows", "x0")

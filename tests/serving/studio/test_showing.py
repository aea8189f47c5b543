"""What is seen of a job, with everything in it escaped."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sfumato.errors import OutputError, RecipeError, SfumatoError
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.desk import ALONE
from sfumato.serving.jobs import Job
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.showing import MOST_PROBLEMS, problem_of, progress_of, series_of
from sfumato.serving.studio.words import Words, words_of

NASTY = """"'><img src=x onerror=alert(1)><script>alert(1)</script>"""
WORDS = words_of(Look())
JOB = Job("number", "me", Recipe(parts=(TextPart(prompt=NASTY),)), 0.0)


class Seen(HTMLParser):
    """What a browser makes of it: elements with their attributes, and the words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize(
    ("news", "words"),
    [
        ({}, "Waiting"),
        ({"position": 2}, "Waiting · 2 before it"),
        ({"position": 2, "seconds_left": 9.6}, "Waiting · 2 before it · about 10 s left"),
        ({"state": "running"}, "Drawing"),
        ({"state": "running", "steps": 3, "total_steps": 20}, "Drawing · step 3 of 20"),
        (
            {"state": "running", "steps": 3, "total_steps": 20, "seconds_left": 2.2},
            "Drawing · step 3 of 20 · about 2 s left",
        ),
        ({"state": "done", "seconds": 1.26}, "Done in 1.3 s"),
        ({"state": "cancelled", "seconds": 1.0}, "Stopped"),
        ({"state": "failed", "error": SfumatoError(NASTY)}, NASTY),
    ],
)
def test_a_line_tells_how_it_goes(news: dict[str, object], words: str) -> None:
    seen = Seen(progress_of(replace(JOB, **news), WORDS))
    assert seen.words == words
    assert set(seen.tags) == {"div"}
    assert seen.attributes["role"] == ("alert" if news.get("state") == "failed" else "status")


def test_the_bar_is_as_long_as_what_is_done() -> None:
    running = replace(JOB, state="running", steps=5, total_steps=20)
    assert Seen(progress_of(running, WORDS)).attributes["style"] == "width:25.0%"


def test_previews_are_pictures_named_by_their_prompt() -> None:
    running = replace(JOB, state="running", previews={1: b"two", 0: b"one"})
    html = progress_of(running, WORDS)
    seen = Seen(html)
    assert seen.tags.count("img") == 2
    assert html.index("b25l") < html.index("dHdv")  # base64 of one and two
    assert seen.attributes["alt"] == NASTY
    assert "onerror" not in seen.attributes


def test_what_went_wrong_is_told_as_text() -> None:
    seen = Seen(problem_of(NASTY))
    assert (seen.tags, seen.words) == (["div"], NASTY)


def test_words_of_looks_are_text_as_well() -> None:
    words = Words({**WORDS.table, "waiting": NASTY})
    assert Seen(progress_of(JOB, words)).words == NASTY


def test_what_draws_nothing_says_what_it_does() -> None:
    job = Job("1", "me", Recipe(), 0.0, "running", steps=40, total_steps=100, title="Loading <b>")
    line = progress_of(job, words_of(Look()))
    assert "Loading &lt;b&gt; · 40 %" in line
    assert "width:40.0%" in line
    assert "Loading" in progress_of(replace(job, state="queued"), words_of(Look()))


def test_visitors_are_told_of_no_folder() -> None:
    error = SfumatoError("The disk is full (path: '/home/ada/pictures/1/a.png') 24/7")
    failed = replace(JOB, state="failed", error=error)
    assert "/home/ada/pictures/1/a.png" in progress_of(replace(failed, owner=ALONE), WORDS)
    assert "(path: 'a.png') 24/7" in Seen(progress_of(replace(failed, owner="x" * 22), WORDS)).words


def series(*news: dict[str, object]) -> str:
    jobs = [replace(JOB, place=place, **one) for place, one in enumerate(news, start=1)]
    return Seen(series_of(jobs, WORDS)).words


def failed(why: str) -> dict[str, object]:
    return {"state": "failed", "error": SfumatoError(why)}


DONE: dict[str, object] = {"state": "done", "seconds": 1.5}
RUNNING: dict[str, object] = {"state": "running", "steps": 8, "total_steps": 20}


@pytest.mark.parametrize(
    ("news", "words"),
    [
        ([RUNNING], "Drawing · step 8 of 20"),
        ([RUNNING, {}], "Drawing 1 of 2 · step 8 of 20 · 1 more waits"),
        ([RUNNING, {}, {}], "Drawing 1 of 3 · step 8 of 20 · 2 more wait"),
        ([DONE, RUNNING, {}], "Drawing 2 of 3 · step 8 of 20 · 1 more waits"),
        ([DONE, DONE, RUNNING], "Drawing 3 of 3 · step 8 of 20"),
        ([{"position": 1}, {"position": 2}], "Waiting: 1 of 2 · 1 before it · 1 more waits"),
        ([DONE], "Done in 1.5 s"),
        ([DONE, DONE], "Done in 3.0 s"),
        ([DONE, {"state": "cancelled"}], "Done in 1.5 s · 1 stopped"),
        ([{"state": "cancelled"}, {"state": "cancelled"}], "Stopped"),
        ([failed(NASTY), RUNNING], f"{NASTY}Drawing 2 of 2 · step 8 of 20"),
        ([failed(NASTY)], NASTY),
        ([failed("no"), DONE], "noDone in 1.5 s"),
    ],
)
def test_a_line_tells_how_a_series_goes(news: list[dict[str, object]], words: str) -> None:
    assert series(*news) == words


def test_what_went_wrong_in_a_series_is_told_once_and_not_without_end() -> None:
    assert series(*[failed("no") for _ in range(5)]) == "no"
    many = [failed(f"{one};") for one in range(20)]
    assert series(*many) == "".join(f"{one};" for one in range(20 - MOST_PROBLEMS, 20))


@pytest.mark.parametrize(("language", "label"), [("en", "Steps"), ("de", "Schritte")])
def test_what_went_wrong_calls_fields_as_the_page_does(language: str, label: str) -> None:
    words = words_of(Look(language=language))
    hint = "At this size, 4 or fewer."
    error = RecipeError("are too many to be animated here", field="steps", value=9, hint=hint)
    job = replace(JOB, state="failed", error=error, place=1)
    for html in (progress_of(job, words), series_of([job], words)):
        assert Seen(html).words.startswith(
            f"“{label}” are too many to be animated here (got 9). At this size"
        )
    place = OutputError("is full", field="steps", value="/home/ada/a.png", hint="See /home/ada.")
    told = progress_of(replace(job, error=place, owner="x" * 22), words)
    assert Seen(told).words == f"“{label}” is full (got 'a.png')"


def test_the_line_and_the_bar_stand_above_the_previews() -> None:
    html = progress_of(replace(JOB, state="running", previews={0: b"one"}), WORDS)
    assert html.index("sf-line") < html.index("sf-bar") < html.index("sf-previews")

"""The tab Learn: its form, and what its buttons do, with the bundled model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk, open_desk
from sfumato.serving.jobs import Job
from sfumato.serving.studio import learn
from sfumato.serving.studio.learn_forms import EXAMPLES
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from sfumato.settings import Settings

WORDS = words_of(Look())
FORM = {"prompt": "a frog", "steps": 2, "guidance": 2, "sampler": "ddim", "seed": "7"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    settings = Settings(tmp_path_factory.mktemp("home"), backend="openvino", device="cpu", offline=True)
    with open_desk(settings) as desk:
        yield desk


@pytest.fixture(scope="module")
def parts(desk: Desk) -> dict[str, Any]:
    with gr.Blocks(analytics_enabled=False) as page:
        made = learn.build(desk, WORDS, Look(prompt="a rabbit"))
    return {**made, "blocks": page}


def handler(parts: dict[str, Any], name: str) -> Callable[..., Any]:
    """Return what happens when the button `name` is clicked."""
    clicked = (parts[name]._id, "click")
    return next(one.fn for one in parts["blocks"].fns.values() if clicked in one.targets)


def last(news: Any, part: Any) -> Any:
    """Return what `part` shows in the end."""
    *_, value = [one[part] for one in news if part in one]
    return value


@pytest.fixture(scope="module")
def shown(parts: dict[str, Any]) -> Any:
    news = list(handler(parts, "show")(None, *FORM.values()))
    assert "sf-learn-steps" in last(news, parts["panel"])
    assert last(news, parts["begin_step"]).maximum == 2
    return last(news, parts["shown"])


def test_the_form() -> None:
    assert tuple(FORM) == learn.FORM
    form = learn.form_of(FORM)
    assert (form.prompt, form.steps, form.guidance, form.sampler, form.seed) == ("a frog", 2, 2.0, "ddim", 7)
    empty = learn.form_of(dict.fromkeys(learn.FORM))
    assert empty == learn.Learn()
    with pytest.raises(RecipeError, match="seed"):
        learn.form_of({**FORM, "seed": "x"})


def test_show_me_draws_keeps_and_traces(desk: Desk, shown: Any) -> None:
    assert (shown.trace / "index.html").is_file()
    assert shown.trace.parent == desk.settings.data_dir / "studio" / "traces"
    assert [one.prompt for one in desk.gallery.search("me")] == ["a frog"]
    assert shown.recipe.seed == 7


class Shared(dict[str, Any]):
    """What another thread prunes in the moment between a look at it and what is done about it."""

    def __iter__(self) -> Iterator[str]:
        seen = [*super().__iter__()]
        for old in seen[: -learn.MOST_NOTED]:
            del self[old]
        return iter(seen)


def test_jobs_are_noted_by_several_threads_and_the_oldest_forgotten() -> None:
    noted = Shared({str(number): None for number in range(learn.MOST_NOTED)})
    learn.note(noted, Job("new", "me", Recipe(), 0.0), None)
    assert len(noted) == learn.MOST_NOTED
    assert "0" not in noted
    assert "new" in noted


def test_what_is_wrong_is_said_in_its_place(parts: dict[str, Any]) -> None:
    for changes, problem in (
        ({"prompt": " "}, WORDS("prompt_needed_edit")),
        ({"seed": "x"}, f"“{WORDS('seed')}”: &#x27;x&#x27; is not a whole number"),
        ({"steps": 61}, f"“{WORDS('steps')}” must be at most 60"),
    ):
        news = list(handler(parts, "show")(None, *{**FORM, **changes}.values()))
        assert problem in last(news, parts["progress"])
        assert "sf-problem" in last(news, parts["progress"])
        assert not [one for one in news if parts["panel"] in one]  # the lesson before stays
    for name, place, values in (
        ("heat_go", "heat", ()),
        ("mix_go", "mix", ("a rabbit",)),
        ("begin_go", "begin", (1, "")),
        ("compare_go", "compare", ("prompt", "a rabbit", "")),
    ):
        assert WORDS("learn_first") in last(list(handler(parts, name)(None, None, *values)), parts[place])
    assert WORDS("learn_first") in handler(parts, "make")(None, "GIF", "x0")[1]


def test_experiments(parts: dict[str, Any], shown: Any, desk: Desk) -> None:
    compare = handler(parts, "compare_go")
    for what, other, sampler, label in (("steps", "3", "", "3"), ("sampler", "", "euler", "Euler")):
        page = last(list(compare(None, shown, what, other, sampler)), parts["compare"])
        assert f"<h3>{label}</h3>" in page
    begun = last(list(handler(parts, "begin_go")(None, shown, 1, "a rabbit")), parts["begin"])
    assert WORDS("learn_noised", 1) in begun
    mixed = last(list(handler(parts, "mix_go")(None, shown, "a rabbit")), parts["mix"])
    assert mixed.count("<img") == 7  # the mixes, and both alone
    assert mixed.count("<figcaption>a rabbit</figcaption>") == 1
    assert desk.gallery.count("me") == 1  # what is tried out is not kept


def fields(parts: dict[str, Any], **typed: Any) -> list[Any]:
    """Return what stands in the experiments' fields: what they were built with, but for what was `typed`."""
    return [typed.get(name, parts[name].value) for name in learn.ASKED]


def taken_up(parts: dict[str, Any], **typed: Any) -> list[dict[Any, Any]]:
    """Return the news of a page that was loaded anew."""
    return list(parts["find"][0](None, None, "", *fields(parts, **typed)))


def value_of(update: Any) -> Any:
    """Return the value that a part is given, with other news of it or alone."""
    if isinstance(update, dict):
        return update["value"]
    return update.value if isinstance(update, gr.components.Component) else update


def test_it_is_taken_up_by_a_page_that_shows_none(parts: dict[str, Any], shown: Any) -> None:
    take_up, inputs, outputs = parts["find"]
    assert inputs == [parts[one] for one in ("shown", "job", *learn.ASKED)]
    assert len({*outputs}) == len(outputs)
    news = taken_up(parts)
    assert {part for one in news for part in one} <= {*outputs}
    assert "sf-learn-steps" in last(news, parts["panel"])
    assert last(news, parts["shown"]).trace == shown.trace
    # Somebody may be typing there by now.
    assert not [one for one in news if any(parts[name] in one for name in learn.FORM)]
    for nothing_new in ((shown, ""), (None, "a job")):
        told = take_up(None, *nothing_new, *fields(parts))
        assert not [one for one in told if parts["panel"] in one]


def test_what_was_tried_out_is_taken_up(parts: dict[str, Any], shown: Any) -> None:
    for name, values in (
        ("compare", ("sampler", "", "euler")),
        ("begin", (1, "a rabbit")),
        ("mix", ("a cat",)),
    ):
        shows = last(list(handler(parts, f"{name}_go")(None, shown, *values)), parts[name])
        assert last(taken_up(parts), parts[name]) == shows
    news = taken_up(parts)
    for name, asked in (
        ("what", "sampler"),
        ("other_sampler", "euler"),
        ("begin_step", 1),
        ("begin_prompt", "a rabbit"),
        ("mix_other", "a cat"),
    ):
        assert value_of(last(news, parts[name])) == asked
    assert last(news, parts["other_sampler"])["visible"]
    assert not last(news, parts["other"])["visible"]
    # A field that somebody typed into since keeps that, and what was shown is shown.
    typed = taken_up(parts, mix_other="a dog")
    assert not [one for one in typed if parts["mix_other"] in one]
    assert "a cat" in last(typed, parts["mix"])


def test_experiments_that_are_under_way_are_followed(parts: dict[str, Any], shown: Any) -> None:
    left = handler(parts, "compare_go")(None, shown, "steps", "60", "")
    waiting = handler(parts, "mix_go")(None, shown, "a bird")
    for one in (left, waiting):
        next(one)
        one.close()  # the page was left
    news = taken_up(parts)
    place = next(i for i, one in enumerate(news) if "sf-bar" in one.get(parts["compare"], ""))
    assert value_of(news[place][parts["other"]]) == "60"
    assert "<h3>60</h3>" in last(news, parts["compare"])
    assert "a bird" in last(news, parts["mix"])
    assert value_of(last(news, parts["mix_other"])) == "a bird"
    assert last(news, parts["job"]) == ""


def test_it_is_there_when_the_studio_opens_again(parts: dict[str, Any], shown: Any, desk: Desk) -> None:
    page = last(list(handler(parts, "mix_go")(None, shown, "a rabbit")), parts["mix"])
    with open_desk(desk.settings) as again, gr.Blocks(analytics_enabled=False):
        others = learn.build(again, WORDS, Look())
        assert last(taken_up(others), others["mix"]) == page


def test_what_is_still_drawn_is_followed(parts: dict[str, Any]) -> None:
    left = handler(parts, "show")(None, *{**FORM, "prompt": "a castle", "steps": 20}.values())
    next(left)
    left.close()  # the page was left
    news = taken_up(parts)
    assert "sf-bar" in next(one[parts["progress"]] for one in news if parts["progress"] in one)
    assert "Done in" in last(news, parts["progress"])
    assert "a castle" in last(news, parts["panel"])
    assert last(news, parts["mix"]) == ""  # nothing was tried out with this one
    assert last(news, parts["job"]) == ""


def test_examples_fill_the_prompt(parts: dict[str, Any]) -> None:
    for button, example in zip(parts["examples"], EXAMPLES, strict=True):
        clicked = (button._id, "click")
        assert [one.fn() for one in parts["blocks"].fns.values() if clicked in one.targets] == [example]


def test_files_to_take_along(parts: dict[str, Any], shown: Any) -> None:
    path, problem = handler(parts, "make")(shown, "WebP", "noisy")
    assert (Path(path.value["path"]).name, problem) == ("a-frog.webp", "")
    assert path.visible
    page, problem = handler(parts, "page")(shown)
    assert Path(page.value["path"]).read_text().startswith("<!DOCTYPE html>")


def test_what_cannot_be_written_is_said_and_leaves_nothing(
    parts: dict[str, Any], shown: Any, desk: Desk
) -> None:
    before = set(desk.handed.iterdir())
    file, problem = handler(parts, "make")(shown, "TXT", "noisy")
    assert not file.visible
    assert "unknown format of animations" in problem
    assert set(desk.handed.iterdir()) == before
    desk.handed.rename(desk.handed.with_name("away"))
    for name, values in (("make", ("WebP", "noisy")), ("page", ())):
        file, problem = handler(parts, name)(shown, *values)
        assert not file.visible
        assert 'role="alert"' in problem
    desk.handed.with_name("away").rename(desk.handed)


def test_stop(parts: dict[str, Any], desk: Desk) -> None:
    handler(parts, "stop")(None, "")  # nothing is drawn yet
    news = handler(parts, "show")(None, *{**FORM, "steps": 60}.values())
    told: list[Any] = []
    for one in news:
        told.append(one)
        if len(told) == 1:
            handler(parts, "stop")(None, one[parts["job"]])
    assert WORDS("stopped") in last(told, parts["progress"])
    assert not [one for one in told if parts["shown"] in one or parts["panel"] in one]
    assert all(one.finished for one in desk.queue.of("me"))

"""The page of a trace: one file, every number on it, nothing of a prompt as markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from sfumato.engine.trace import TraceRow
from sfumato.engine.trace_page import Pictured, trace_page
from sfumato.imaging.plots import LEFT, RIGHT, WIDTH
from sfumato.recipe.image import Recipe, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

NASTY = "a frog</script><img src=http://x onerror=alert(1)>"


class Elements(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def row(step: int, count: int = 3, **fields: Any) -> TraceRow:
    means, variances = (0.0, 0.0), (1.0, 0.5)
    sigma = 10.0 / (step + 1)
    whole = TraceRow(
        0, step, count, sigma, 5.0, 500.0, 0.125, means, variances, 1.4 - step / 10, 1.3, 0.9, 1.5, 0.25, 0
    )
    return replace(whole, **fields)


def made(rows: list[TraceRow], prompt: str = "a frog", places: tuple[int, ...] = (0, 2)) -> str:
    resolved = resolve(Recipe(seed=7, parts=(TextPart(prompt=prompt),)), tiny_bundle().defaults)
    noisy = tuple(f"data:image/webp;base64,noisy{place}" for place in places)
    clean = tuple(f"data:image/webp;base64,clean{place}" for place in places)
    return trace_page(rows, resolved, "torch cpu float32", Pictured(places, noisy, clean))


def test_it_needs_no_other_file() -> None:
    source = made([row(0), row(1), row(2)])
    elements = Elements(source)
    assert all((image["src"] or "").startswith("data:") for image in elements.of("img"))
    assert not elements.of("link")
    assert not [one for one in elements.of("script") if "src" in one]
    assert "default-src 'none'" in source


def test_what_is_seen_is_said_too() -> None:
    elements = Elements(made([row(0), row(1), row(2)]))
    (slider,) = elements.of("input")
    assert (slider["type"], slider["max"], slider["value"]) == ("range", "2", "2")
    assert {"for": "step"} in elements.of("label")
    assert all(image["alt"] for image in elements.of("img"))
    assert len(elements.of("svg")) == 7
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in elements.of("svg"))


def test_the_data_hold_every_step() -> None:
    source = made([row(0), row(1), row(2)])
    data = json.loads(source.split('id="trace">')[1].split("</script>")[0])
    assert (data["count"], data["pictured"], len(data["noisy"])) == (3, [0, 2], 2)
    assert data["wide"] == WIDTH - LEFT - RIGHT
    assert data["numbers"]["inflation"] == ["1.500"] * 3
    assert data["numbers"]["clipped"] == ["25.00 %"] * 3
    named = set(re.findall(r'id="now-(\w+)"', source))
    assert named == set(data["numbers"])


def test_steps_keep_their_numbers_when_a_drawing_begins_later() -> None:
    source = made([row(3, 5), row(4, 5)], places=(0, 1))
    assert "step 5 of 5</output>" in source
    assert ">4</text>" in source
    assert ">1</text>" not in source.split("Time of the step")[1].split("</svg>")[0]
    data = json.loads(source.split('id="trace">')[1].split("</script>")[0])
    assert (data["count"], data["first"], data["total"]) == (2, 4, 5)


def test_plots_without_anything_to_show_are_left_out() -> None:
    rows = [row(step, inflation=None, clipped=0.0) for step in range(3)]
    source = made(rows)
    assert len(Elements(source).of("svg")) == 5
    assert "not gauged" in source


@pytest.mark.parametrize("count", [1, 2])
def test_few_steps_make_a_page(count: int) -> None:
    rows = [
        row(step, count, sigma_next=0.0, entropy=None, entropy_joint=None, variance=())
        for step in range(count)
    ]
    assert "<svg" in made(rows, places=(0,))


def test_a_prompt_is_text() -> None:
    elements = Elements(made([row(0)], NASTY, (0,)))
    assert len(elements.of("img")) == 2
    assert len(elements.of("script")) == 2
    assert "an empty prompt" in made([row(0)], "", (0,))

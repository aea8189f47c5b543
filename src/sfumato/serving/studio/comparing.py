"""Two pictures beside each other, or one over the other, and what differs in their settings. HTML in which
nothing of them can act.
"""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from sfumato.imaging.pages import picture_source
from sfumato.recipe.again import single
from sfumato.recipe.image import Resolved
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.studio.words import Words

LONGEST: Final = 768  # pixels of a picture's longer side, here
MOST_TOLD: Final = 600  # characters of one value
NOTHING: Final = "-"
#: Of every picture its own; or said by its name.
_PASSED_OVER: Final = frozenset({"version", "count", "index"})

SCRIPT: Final = """
element.addEventListener("input", (event) => {
  const pair = event.target.closest(".sf-pair");
  if (pair && event.target.type === "range") pair.style.setProperty("--at", `${event.target.value}%`);
});
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-way]");
  const pair = button && button.closest(".sf-pair");
  if (!pair) return;
  pair.classList.toggle("sf-over", button.dataset.way === "over");
  for (const one of pair.querySelectorAll("[data-way]"))
    one.setAttribute("aria-pressed", String(one === button));
});
"""
STYLE: Final = """
.sf-pair { --at: 50%; color: var(--body-text-color); display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); }
.sf-ways { display: flex; flex-wrap: wrap; gap: .5rem; }
.sf-pair button { padding: .3rem .9rem; border-radius: 6px; cursor: pointer;
  border: 1px solid var(--border-color-primary); background: var(--button-secondary-background-fill);
  color: var(--button-secondary-text-color); }
.sf-pair button[aria-pressed=true] { border-color: var(--color-accent);
  box-shadow: 0 0 0 2px var(--color-accent); }
.sf-pair-two { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; margin: .6rem 0; }
.sf-pair figure { margin: 0; min-width: 0; }
.sf-pair figcaption { color: var(--body-text-color-subdued); }
.sf-pair img { display: block; width: 100%; height: auto; margin: 0; border-radius: 4px; }
.sf-over .sf-pair-two { grid-template-columns: 1fr; max-width: 36rem; }
.sf-over figure { grid-area: 1 / 1; }
.sf-over figure:first-child { z-index: 1; clip-path: inset(0 calc(100% - var(--at)) 0 0); }
.sf-over figure:last-child figcaption { text-align: right; }
.sf-pair label { display: none; gap: .7rem; align-items: center; max-width: 36rem; }
.sf-over label { display: flex; margin-top: .5rem; }
.sf-pair input[type=range] { flex: 1; min-width: 6rem; accent-color: var(--slider-color); }
.sf-differ { border: 0 !important; border-collapse: collapse; margin: .6rem 0; width: 100%;
  table-layout: fixed; color: var(--body-text-color); }
.sf-differ :is(thead, tbody, tr) { border: 0 !important; }
.sf-differ :is(th, td) { text-align: left; vertical-align: top; padding: .3rem .6rem !important;
  overflow-wrap: anywhere; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important; }
.sf-differ th { font-weight: 600; }
"""


def differences_of(first: Resolved, second: Resolved) -> tuple[tuple[str, str, str], ...]:
    """Return the settings in which two pictures differ, as they are called in recipes, with both values; `-`
    where one has no such setting.
    """
    one, other = _flat(first), _flat(second)
    names = [*one, *(name for name in other if name not in one)]
    return tuple(
        (name, one.get(name, NOTHING), other.get(name, NOTHING))
        for name in names
        if one.get(name) != other.get(name)
    )


def compared_of(desk: Desk, words: Words, first: Kept, second: Kept) -> str:
    """Return two pictures and what differs between them. Raises PictureError and RecipeError for one that is
    damaged or gone.
    """
    rows = differences_of(desk.gallery.resolved(first), desk.gallery.resolved(second))
    names = (words("compare_first"), words("compare_second"))
    figures = "".join(
        f"<figure>{_image(desk, kept)}<figcaption>{escape(name)}</figcaption></figure>"
        for kept, name in zip((first, second), names, strict=True)
    )
    # One over the other says nothing of pictures that are not alike in shape.
    over = first.width * second.height == second.width * first.height
    ways = _ways(words) if over else ""
    table = _table(rows, words) if rows else f"<p>{escape(words('compare_same'))}</p>"
    return (
        f'<div class="sf-pair{" sf-over" if over else ""}"><div>{ways}'
        f'<div class="sf-pair-two">{figures}</div></div><div>{table}</div></div>'
    )


def waiting_of(words: Words) -> str:
    """Return what is said while the other picture is not chosen yet."""
    return f'<div class="sf-line" role="status">{escape(words("compare_choose"))}</div>'


def _image(desk: Desk, kept: Kept) -> str:
    source = picture_source(desk.gallery.pixels(kept), LONGEST)
    return f'<img alt="{escape(kept.prompt[:200], quote=True)}" src="{source}">'


def _ways(words: Words) -> str:
    buttons = "".join(
        f'<button type="button" data-way="{way}" aria-pressed="{str(way == "over").lower()}">'
        f"{escape(words(name))}</button>"
        for way, name in (("over", "compare_slider"), ("beside", "compare_beside"))
    )
    return (
        f'<div class="sf-ways">{buttons}</div><label>{escape(words("compare_share"))} '
        '<input type="range" min="0" max="100" value="50"></label>'
    )


def _table(rows: tuple[tuple[str, str, str], ...], words: Words) -> str:
    heads = (words("compare_setting"), words("compare_first"), words("compare_second"))
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(one[:MOST_TOLD])}</td>'
        f"<td>{escape(other[:MOST_TOLD])}</td></tr>"
        for name, one, other in rows
    )
    return f'<table class="sf-differ"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _flat(resolved: Resolved) -> dict[str, str]:
    """Return every setting by its path: "steps", "text.prompt", "control.controls.0.weight"."""
    data: dict[str, Any] = single(resolved).model_dump(mode="json")
    parts = data.pop("parts")
    found: dict[str, str] = {}
    for name, value in data.items():
        if name not in _PASSED_OVER:
            _add(found, name, value)
    for part in parts:
        _add(found, part.pop("kind"), part)
    return found


def _add(found: dict[str, str], path: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _add(found, f"{path}.{name}", inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            _add(found, f"{path}.{place}", inner)
    elif value is not None:
        found[path] = f"{value:g}" if isinstance(value, float) else str(value)

"""Several pictures of the gallery chosen at once: what marks them, on the page and for who only hears it."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from sfumato.serving.studio.words import Words
from sfumato.serving.zipping import MOST_PICTURES

MOST_MARKED: Final = MOST_PICTURES

#: Takes clicks on pictures while several are chosen, before the gallery takes them for one, and shows which
#: are. Bound to the component, which stays when its content changes.
SCRIPT: Final = """
const gallery = () => document.getElementById("sf-gallery");
const tiles = () => [...(gallery()?.querySelectorAll(".thumbnail-item") ?? [])];
const told = () => element.querySelector("[data-marked]");
let watched = null, last = null, sent = 0;
const shown = () => {
  if (gallery() !== watched) {
    watched = gallery();
    if (watched) new MutationObserver(shown).observe(watched, {childList: true, subtree: true});
  }
  // An answer to a click before the last one knows less than the page.
  if (told() && Number(told().dataset.sent || sent) < sent) return;
  const marked = new Set(JSON.parse(told()?.dataset.marked ?? "[]"));
  tiles().forEach((one, place) => {
    if (told()) one.setAttribute("aria-pressed", String(marked.has(place)));
    else one.removeAttribute("aria-pressed");
  });
  if (!told()) last = null;
};
new MutationObserver(shown).observe(element, {childList: true, subtree: true, attributes: true});
document.addEventListener("click", (event) => {
  const tile = event.target.closest?.("#sf-gallery .thumbnail-item");
  if (!tile || !told()) return;
  event.preventDefault();
  event.stopPropagation();
  const all = tiles(), place = all.indexOf(tile), from = event.shiftKey && last !== null ? last : place;
  const pressed = (one) => one.getAttribute("aria-pressed") === "true";
  for (const one of all.slice(Math.min(from, place), Math.max(from, place) + 1))
    one.setAttribute("aria-pressed", String(from !== place || !pressed(one)));
  last = place;
  sent += 1;
  trigger("select", {places: [...all.keys()].filter((one) => pressed(all[one])), sent});
}, true);
shown();
"""
STYLE: Final = """
#sf-gallery .thumbnail-item[aria-pressed]::after { content: ""; position: absolute; top: 6px; right: 6px;
  width: 26px; height: 26px; border-radius: 50%; display: grid; place-items: center; font-size: 16px;
  border: 2px solid var(--border-color-primary); background: var(--block-background-fill);
  color: var(--button-primary-text-color); }
#sf-gallery .thumbnail-item[aria-pressed=true] { outline: 4px solid var(--color-accent) !important;
  outline-offset: -4px; }
#sf-gallery .thumbnail-item[aria-pressed=true]::after { content: "✓"; border-color: var(--color-accent);
  background: var(--button-primary-background-fill); }
/* A page is seen whole, and pictures without a plate over them. */
#sf-gallery .grid-wrap { max-height: none !important; }
#sf-gallery .grid-container { grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)) !important; }
#sf-gallery .caption-label { opacity: 0; transition: opacity .15s; }
#sf-gallery .thumbnail-item:hover .caption-label { opacity: 1; }
#sf-gallery .thumbnail-item:focus-visible .caption-label { opacity: 1; }
#sf-found, #sf-several { align-self: center; }
#sf-several { flex-grow: 0; flex-basis: auto; width: auto; min-width: max-content; }
"""


def marks_of(numbers: Sequence[int], marked: Sequence[int], words: Words, sent: int | None = None) -> str:
    """Return what says how many pictures are `marked`, and to the script which of the page's `numbers`: as
    the answer to the click that it `sent`.
    """
    chosen = frozenset(marked)
    places = json.dumps([place for place, number in enumerate(numbers) if number in chosen])
    line = words("several_chosen", len(marked))
    if len(marked) >= MOST_MARKED:
        line += f" · {words('several_most')}"
    shown = line if marked else words("several_about")
    said = "" if sent is None else f' data-sent="{sent}"'
    return f'<div class="sf-line" role="status" data-marked="{places}"{said}>{escape(shown)}</div>'


def clicked(event: Any, numbers: Sequence[int], marked: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Return what is marked after a click, and its number: of the page's `numbers` those in the `places` that
    the script tells, of other pages what was marked before. At most `MOST_MARKED`; places that there are not
    are left out.
    """
    try:
        places, sent = frozenset(int(one) for one in event.places), int(event.sent)
    except (AttributeError, TypeError, ValueError):
        return tuple(marked), 0
    here = frozenset(numbers)
    others = [one for one in marked if one not in here]
    chosen = [number for place, number in enumerate(numbers) if place in places]
    return with_all(chosen, others), sent


def with_all(numbers: Sequence[int], marked: Sequence[int]) -> tuple[int, ...]:
    """Return `marked` and `numbers`, each once, up to `MOST_MARKED`."""
    return tuple(dict.fromkeys((*marked, *numbers)))[:MOST_MARKED]


def found_line(total: int, page: int, each: int, words: Words, *, asked: bool) -> str:
    """Return how many pictures are found, and which page of them is seen, from 1; `asked` tells whether not
    all are looked for.
    """
    if not total:
        line = words("found_none" if asked else "no_pictures")
    else:
        line = words("found_one") if total == 1 else words("found", f"{total:,}")
    pages = -(-total // each)
    if pages > 1:
        line += f" · {words('found_page', page, max(page, pages))}"
    return f'<p class="sf-quiet" role="status">{escape(line)}</p>'

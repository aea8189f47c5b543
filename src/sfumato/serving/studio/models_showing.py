"""What the tab Models shows: HTML made of the library, everything in it escaped."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from sfumato.errors import SfumatoError
from sfumato.imaging.decode import open_picture
from sfumato.imaging.fitting import resize
from sfumato.imaging.io import encode_picture
from sfumato.imaging.resize import with_longer_side
from sfumato.models.cache import CachedModel
from sfumato.models.digests import known_digests
from sfumato.models.facts import EMBEDDING, FOLDER, LORA, Facts
from sfumato.models.files import locate
from sfumato.models.memory import available_memory
from sfumato.models.places import WEIGHTS, roots
from sfumato.models.report import lines_of, report_of
from sfumato.serving.studio.models_shelf import Item
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.words import Words
from sfumato.settings import Settings

MOST_ROWS: Final = 200
MOST_WORDS: Final = 8
MOST_TEXT: Final = 400  # characters of what a file says of itself: nobody checked it
COLUMNS: Final = ("name", "kind", "family", "megabytes", "numbers", "licence", "hash")
#: Pictures that people keep beside a model, as A1111 and others name them.
PREVIEWS: Final = tuple(
    f"{between}{end}" for between in (".preview", "") for end in (".png", ".jpg", ".jpeg", ".webp")
)
MOST_PREVIEW_BYTES: Final = 20_000_000
PREVIEW_SIDE: Final = 384
READ_AT_ONCE: Final = 100_000_000  # bytes of a folder whose digest nobody waits for, as the bundled model
FIRST: Final = ("file", "kind", "family", "licence", "prompt", "words", "size", "memory")
_KINDS: Final = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

#: Says which row was chosen. Bound to the component, which stays when its content changes.
SCRIPT: Final = """
element.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-key]");
  if (!row) return;
  for (const one of element.querySelectorAll("tr[data-key] button"))
    one.setAttribute("aria-pressed", String(one.closest("tr") === row));
  trigger("select", {key: row.dataset.key});
});
"""


def table_of(items: Sequence[Item], total: int, words: Words, chosen: str = "") -> str:
    """Return the table of `items`, of `total` that there are; `chosen` is the key of the one in sight."""
    if not items:
        return f'<p class="sf-quiet" role="status">{escape(words("models_none"))}</p>'
    heads = "".join(f'<th scope="col">{escape(words(f"column_{one}"))}</th>' for one in COLUMNS)
    rows = "".join(_row(one, words, one.key == chosen) for one in items[:MOST_ROWS])
    count = words("models_count", len(items), total)
    more = "" if len(items) <= MOST_ROWS else f" · {words('models_more', len(items) - MOST_ROWS)}"
    return (
        f'<div class="sf-library"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="sf-quiet" role="status">{escape(count + more)}</p>'
    )


def details_of(item: Item, words: Words, settings: Settings, *, paths: bool) -> str:
    """Return what is known of `item`, and where the file lies where `paths` may be told."""
    entry = item.entry
    shown = f"<h2>{escape(entry.name)}</h2>"
    if item.problem is not None:
        shown += problem_of(words("models_unusable", item.problem))
    if entry.facts is None:
        return shown
    preview = preview_of(entry.path, settings)
    if preview is not None:
        data = base64.b64encode(preview).decode("ascii")
        alt = escape(words("models_preview"), quote=True)
        shown += f'<img class="sf-model-picture" alt="{alt}" src="data:image/jpeg;base64,{data}">'
    lines = _facts(entry.facts, entry.name, words, settings, paths=paths)
    listed = "".join(
        f"<dt>{escape(title)}</dt><dd>{escape(text[:MOST_TEXT])}</dd>" for title, text in lines.items()
    )
    about = escape(words("models_says"))
    return f'{shown}<dl class="sf-model-facts">{listed}</dl><p class="sf-quiet">{about}</p>'


def estimate_line(memory: Mapping[str, Any] | None, words: Words) -> str:
    """Return what loading a model is estimated to take (`sfumato.models.report.memory_of`), beside what is
    free; nothing where that cannot be told.
    """
    if memory is None:
        return ""
    line = words("models_load_about", size_of(memory["drawing"]), size_of(available_memory()))
    return f'<p class="sf-quiet">{escape(line)}</p>'


def loaded_of(models: Sequence[CachedModel], words: Words) -> str:
    """Return the line that says what is in memory, the one that was used last first."""
    if not models:
        return f'<p class="sf-quiet">{escape(words("models_now_none"))}</p>'
    told = [
        f"{one.name} ({size_of(one.num_bytes)}{', ' + words('models_in_use') if one.users else ''})"
        for one in reversed(models)
    ]
    return f"<p><strong>{escape(words('models_now'))}:</strong> {escape(', '.join(told))}</p>"


def memory_line(before: int | None, after: int | None, words: Words) -> str:
    """Return how much memory the process has, and how that changed; nothing where it cannot be told."""
    if before is None or after is None:
        return ""
    name = "models_more_memory" if after >= before else "models_less_memory"
    return words("models_memory", size_of(after), words(name, size_of(abs(after - before))))


def size_of(num_bytes: float) -> str:
    """Return a number of bytes for people."""
    if num_bytes >= 1e9:
        return f"{num_bytes / 1e9:.1f} GB"
    return f"{num_bytes / 1e6:,.0f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e6:.2f} MB"


def numbers_of(facts: Facts) -> str:
    """Return the kinds of numbers of a model, the most frequent first, as people call them."""
    shown = [_KINDS.get(one, one) for one in facts.numbers]
    return ", ".join(shown[:2]) + (" ..." if len(shown) > 2 else "")


def preview_of(path: Path, settings: Settings) -> bytes | None:
    """Return the picture that lies beside the model at `path`, small and written anew as a JPEG; None where
    there is none that can be shown.
    """
    stem = path.stem if path.suffix.lower() == WEIGHTS else path.name
    inside = [one.resolve() for one in roots(settings)]
    for name in (f"{stem}{end}" for end in PREVIEWS):
        beside = path.with_name(name)
        try:
            real = beside.resolve()
            # A link must not show what lies elsewhere.
            if not real.is_file() or not any(real.is_relative_to(one) for one in inside):
                continue
            if real.stat().st_size > MOST_PREVIEW_BYTES:
                continue
            picture = open_picture(real, settings.max_pixels)
        except (OSError, ValueError, RuntimeError, SfumatoError):
            continue
        width, height = with_longer_side(picture.width, picture.height, PREVIEW_SIDE)
        if max(picture.size) <= PREVIEW_SIDE:
            width, height = picture.size
        return encode_picture(resize(np.asarray(picture), width, height), ".jpg")
    return None


def _row(item: Item, words: Words, pressed: bool) -> str:
    entry, facts = item.entry, item.entry.facts
    under = ", ".join(item.words[:MOST_WORDS])
    if item.problem is not None:
        under = words("models_unusable", item.problem)
    cells = {
        "kind": entry.kind,
        "family": "" if facts is None else (facts.family or ""),
        "megabytes": f"{entry.num_bytes / 1e6:,.{0 if entry.num_bytes >= 1e6 else 2}f}",
        "numbers": "" if facts is None else numbers_of(facts),
        "licence": "" if facts is None else (facts.notes.licence or ""),
        "hash": entry.digest or "",
    }
    shown = "".join(
        f'<td data-label="{escape(words(f"column_{name}"), quote=True)}" '
        f'class="sf-{name}{"" if text else " sf-none"}">{escape(text[:MOST_TEXT])}</td>'
        for name, text in cells.items()
    )
    small = f"<small>{escape(under[:MOST_TEXT])}</small>" if under else ""
    return (
        f'<tr data-key="{item.key}"><th scope="row">'
        f'<button type="button" aria-pressed="{str(pressed).lower()}">{escape(entry.name)}</button>'
        f"{small}</th>{shown}</tr>"
    )


def _facts(facts: Facts, name: str, words: Words, settings: Settings, *, paths: bool) -> dict[str, str]:
    """Return the lines of a model by their titles: those of `sfumato models info`, and how it is used."""
    hashes = _hashes(facts, settings)
    lines = lines_of(report_of(facts, settings, hashes))
    if not paths:
        lines["file"] = facts.path.name
    lines.setdefault("licence", words("models_no_licence"))
    if facts.kind in (LORA, EMBEDDING):
        lines["prompt"] = f"<lora:{name}:0.8>" if facts.kind == LORA else name
    if not any(hashes.values()):
        name_of = "digest" if facts.path.is_dir() else "AutoV3" if facts.kind == LORA else "AutoV2"
        lines[name_of] = words("models_no_hash")
    order = [*(one for one in FIRST if one in lines), *(one for one in lines if one not in FIRST)]
    return {words(f"model_fact_{one}"): lines[one] for one in order}


def _hashes(facts: Facts, settings: Settings) -> dict[str, str | None]:
    """Return the hashes of a model as far as they are known: no large file is read for them."""
    if facts.path.is_dir():
        files = [one for one in facts.path.rglob(f"*{WEIGHTS}") if one.is_file()]
        known = {one: known_digests(one, settings) for one in files}
        whole = {one: digests.whole for one, digests in known.items() if digests is not None}
        if facts.kind != FOLDER or (len(whole) < len(files) and facts.num_bytes > READ_AT_ONCE):
            return {}
        try:
            return {"digest": locate(facts.path).digest(whole)}
        except (SfumatoError, OSError):  # what is wrong is said elsewhere
            return {}
    digests = known_digests(facts.path, settings)
    if digests is None:
        return {}
    return {"sha256": digests.whole, "auto_v2": digests.auto_v2, "auto_v3": digests.auto_v3}


# No commas within :is(): Gradio takes them for those between selectors.
STYLE: Final = """
.sf-library { max-height: 640px; overflow: auto; border: 1px solid var(--border-color-primary);
              border-radius: var(--block-radius); background: var(--block-background-fill); }
.sf-library table { width: 100%; border-collapse: collapse; color: var(--body-text-color); font-size: .92em; }
.sf-library th, .sf-library td { padding: 7px 10px; text-align: left; vertical-align: top;
                                 border-bottom: 1px solid var(--border-color-primary);
                                 overflow-wrap: break-word; }
.sf-library thead th { position: sticky; top: 0; background: var(--input-background-fill); }
.sf-library tbody tr { cursor: pointer; }
.sf-library tbody th { font-weight: normal; min-width: 150px; overflow-wrap: anywhere; }
.sf-library tbody th small { display: block; color: var(--body-text-color-subdued);
                             display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical;
                             overflow: hidden; }
.sf-library .sf-megabytes { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.sf-library .sf-hash { font-family: var(--font-mono); white-space: nowrap; overflow-wrap: normal; }
.sf-library button { border: 0; padding: 2px 0; background: none; cursor: pointer; text-align: left;
                     font: inherit; font-weight: 600; text-decoration: underline;
                     color: var(--link-text-color); }
.sf-library tr:has(button[aria-pressed=true]) { box-shadow: inset 4px 0 0 var(--color-accent); }
/* Nothing is stopped that does not go on. */
[role=tabpanel]:not(:has(#sf-models-progress .sf-bar)) #sf-models-load ~ .sf-stop {
  display: none !important; }
.sf-model-picture { max-width: 100%; border-radius: var(--block-radius); margin: 0 0 10px; }
.sf-model-facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 12px;
                  margin: 8px 0; }
.sf-model-facts dt { color: var(--body-text-color-subdued); }
.sf-model-facts dd { margin: 0; color: var(--body-text-color); overflow-wrap: anywhere;
                     white-space: pre-line; }
@media (max-width: 700px) {
  .sf-library { max-height: 70vh; }
  .sf-library thead { position: absolute; clip-path: inset(50%); }
  .sf-library tbody tr { display: block; padding: 8px 12px;
                         border-bottom: 1px solid var(--border-color-primary); }
  .sf-library tbody th, .sf-library tbody td { display: block; border: 0; padding: 1px 0;
                                               text-align: left !important; }
  .sf-library tbody td.sf-none { display: none; }
  .sf-library tbody td::before { content: attr(data-label) ": "; color: var(--body-text-color-subdued); }
}
"""

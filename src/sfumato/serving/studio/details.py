"""How a picture was made, as HTML in which nothing of it can act: its settings, its recipe, and the commands
that draw it again.
"""

import shlex
from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Final

from sfumato.errors import SfumatoError
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.codec import digest, from_json, to_toml
from sfumato.recipe.image import Resolved
from sfumato.recipe.labels import SAMPLER_LABELS, SPACING_LABELS
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.studio.visitors import told
from sfumato.serving.studio.words import Words
from sfumato.serving.timing import Took

MOST_TOLD: Final = 4000  # characters of one fact
RECIPE_FILE: Final = "recipe.toml"
COMMANDS: Final = ("redo", "verify")
_TOLD: Final = ("text", "adapters")  # parts that have lines of their own

# What copies: the nearest text to the button, and where the browser refuses, it is marked.
COPY: Final = """
const copied = async (element, done, refused) => {
  const text = element.querySelector("textarea");
  const said = element.querySelector("[data-said]");
  if (!text) return;
  try {
    await navigator.clipboard.writeText(text.value);
    said.textContent = done;
  } catch {
    text.focus();
    text.select();
    said.textContent = refused;
  }
};
"""
SCRIPT: Final = (
    COPY
    + """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copied(element, button.dataset.done, button.dataset.refused);
});
"""
)
STYLE: Final = """
.sf-facts { display: grid; grid-template-columns: minmax(6rem, max-content) minmax(0, 1fr); gap: .15rem 1rem;
  margin: .5rem 0; color: var(--body-text-color); }
.sf-facts dt { color: var(--body-text-color-subdued); }
.sf-facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.sf-made { color: var(--body-text-color); }
.sf-made details { margin: .4rem 0; }
.sf-made summary { cursor: pointer; }
.sf-made pre, .sf-made code { white-space: pre-wrap; overflow-wrap: anywhere; background: none;
  color: var(--body-text-color); }
.sf-made textarea { display: block; width: 100%; margin: .3rem 0; padding: .5rem; resize: vertical;
  font-family: var(--font-mono); font-size: .875rem; color: var(--body-text-color);
  background: var(--input-background-fill); border: 1px solid var(--border-color-primary);
  border-radius: 6px; }
.sf-made button { padding: .3rem .9rem; border-radius: 6px; cursor: pointer;
  border: 1px solid var(--border-color-primary); background: var(--button-secondary-background-fill);
  color: var(--button-secondary-text-color); }
.sf-prompt { overflow-wrap: anywhere; }
"""


def recipe_text(resolved: Resolved) -> str:
    """Return the recipe that draws this one picture again, as TOML: what `generate --recipe` reads."""
    return to_toml(recipe_of(single(resolved)))


def details_of(desk: Desk, words: Words, kept: Kept) -> str:
    """Return what is known of a picture."""
    facts = {
        words("fact_model"): kept.model,
        words("fact_size"): f"{kept.width} x {kept.height}",
        words("fact_seed"): str(kept.seed),
        words("fact_made"): datetime.fromtimestamp(kept.created).strftime("%Y-%m-%d %H:%M"),
        words("fact_took"): "" if kept.took is None else _took(kept.took, words),
    }
    try:
        metadata = desk.gallery.metadata(kept)
        resolved = single(from_json(metadata.resolved_json, Resolved))
        recipe, backend = recipe_text(resolved), metadata.backend
    except SfumatoError as error:
        trouble = f"<p>{escape(told(error))}</p>"
        return f'<div class="sf-made">{_prompt(kept.prompt)}{_listed(facts)}{trouble}</div>'
    facts = _settings(resolved, words) | facts
    facts |= {words("fact_backend"): backend, words("fact_run"): digest(resolved)}
    return (
        f'<div class="sf-made">{_prompt(kept.prompt)}{_listed(facts)}'
        f"<details><summary>{escape(words('draw_again'))}</summary>{_commands(kept, words)}</details>"
        f"<details><summary>{escape(words('recipe'))}</summary><pre>{escape(recipe)}</pre></details></div>"
    )


def copied_of(recipe: str, words: Words) -> str:
    """Return a recipe to be copied: by a button, or by hand."""
    lines = min(18, recipe.count("\n") + 1)
    return (
        f'<div class="sf-made"><label>{escape(words("recipe_text"))}'
        f'<textarea readonly rows="{lines}" spellcheck="false">{escape(recipe)}</textarea></label>'
        f'<button type="button" data-copy data-done="{escape(words("copied"))}" '
        f'data-refused="{escape(words("copy_refused"))}">{escape(words("copy_again"))}</button> '
        '<span data-said role="status"></span></div>'
    )


def _prompt(prompt: str) -> str:
    return f'<p class="sf-prompt">{escape(prompt)}</p>' if prompt else ""


def _listed(facts: Mapping[str, str]) -> str:
    shown = (
        f"<dt>{escape(name)}</dt><dd>{escape(value[:MOST_TOLD])}</dd>"
        for name, value in facts.items()
        if value
    )
    return f'<dl class="sf-facts">{"".join(shown)}</dl>'


def _settings(resolved: Resolved, words: Words) -> dict[str, str]:
    """Return what a picture was drawn with, for people, in the order in which they ask."""
    text = resolved.text
    sampler = SAMPLER_LABELS.get(resolved.sampler, resolved.sampler)
    spacing = SPACING_LABELS.get(resolved.spacing, resolved.spacing)
    guidance = f"{resolved.guidance:g}"
    if text is not None and (text.guidance_start, text.guidance_stop) != (0, 1):
        guidance += f" ({text.guidance_start:g} - {text.guidance_stop:g})"
    adapters = () if resolved.adapters is None else resolved.adapters.adapters
    return {
        words("fact_negative"): "" if text is None else text.negative,
        words("fact_model"): "",  # its place in the order
        words("fact_digest"): resolved.model_digest[:16],
        words("fact_size"): "",
        words("fact_steps"): str(resolved.steps),
        words("fact_sampler"): f"{sampler}, {spacing}",
        words("fact_guidance"): guidance,
        words("fact_seed"): "",
        words("fact_adapters"): ", ".join(f"{one.name} {one.weight:g}" for one in adapters),
        words("fact_more"): ", ".join(part.kind for part in resolved.parts if part.kind not in _TOLD),
    }


def _took(took: Took, words: Words) -> str:
    seconds = f"{took.seconds:.2f} s" if took.seconds < 10 else f"{took.seconds:,.0f} s"
    return seconds if took.pictures == 1 else words("took_together", seconds, took.pictures)


def _commands(kept: Kept, words: Words) -> str:
    name = shlex.quote(kept.path.name)
    lines = {f"again_{one}": f"sfumato {one} {name}" for one in COMMANDS}
    lines["again_recipe"] = f"sfumato generate --recipe {RECIPE_FILE}"
    return "".join(
        f"<p>{escape(words(about))}:<br><code>{escape(line)}</code></p>" for about, line in lines.items()
    )

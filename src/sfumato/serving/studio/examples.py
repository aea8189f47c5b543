"""Prompts to begin with: three that a click draws, and one at random of the bundled model's world."""

from typing import Any, Final

import gradio as gr
import numpy as np

from sfumato.scenes.scene import SceneMix, caption, sample
from sfumato.serving.studio.binding import CLICK
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
#: In words that the bundled model knows, and any other too. Looks may bring their own.
PROMPTS: Final = (
    "a fox in the snow at night",
    "two rabbits in a meadow",
    "watercolour of a castle in the mountains at sunset",
)
MOST_CALLED: Final = 60  # characters of a prompt on its button
STYLE: Final = """
.sf-examples { gap: .4rem; flex-wrap: wrap; }
.sf-examples button { flex: 0 1 auto; width: auto; min-width: 0 !important; padding: .2rem .6rem;
  font-weight: 400; border-radius: 999px; background: transparent; white-space: normal;
  color: var(--body-text-color); border: 1px solid var(--border-color-primary); }
.sf-examples button:hover { border-color: var(--color-accent); }
"""


def build(prompt: gr.Textbox, words: Words, look: Look) -> Parts:
    """Make the buttons, in the place that is open, have them fill `prompt`, and return them by name; and
    `taken`, what comes after one of them did.
    """
    with gr.Row(elem_classes="sf-examples"):
        chips = [(one, gr.Button(_called(one), size="sm", min_width=0)) for one in look.examples or PROMPTS]
        surprise = gr.Button(words("surprise"), size="sm", min_width=0, elem_id="sf-surprise")
    made = [button.click(lambda one=text: one, None, prompt, queue=False, **CLICK) for text, button in chips]
    made.append(surprise.click(random_prompt, None, prompt, queue=False, **CLICK))
    return {
        "examples": [button for _, button in chips],
        "surprise": surprise,
        "taken": [one.then for one in made],
    }


def random_prompt() -> str:
    """Return a sentence about a scene of the world that the bundled model was taught."""
    rng = np.random.default_rng()
    return caption(sample(rng, SceneMix()), rng)


def _called(prompt: str) -> str:
    return prompt if len(prompt) <= MOST_CALLED else f"{prompt[: MOST_CALLED - 1]}…"

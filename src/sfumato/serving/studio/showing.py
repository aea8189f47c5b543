"""What is seen while a job waits and is drawn: HTML made of a job, everything in it escaped."""

import base64
import re
from html import escape
from typing import Final

from sfumato.serving.desk import ALONE
from sfumato.serving.jobs import Job
from sfumato.serving.studio.words import Words

_FOLDERS: Final = re.compile(
    r"(?<![^\s'\"(=])(?:[A-Za-z]:)?[\\/](?:[^\s'\"\\/]+[\\/])+"
)  # before a file's name
MOST_SAID: int = 200  # characters of a prompt that go with every preview


def progress_of(job: Job, words: Words) -> str:
    """Return the line and the bar that tell how a job goes, and the picture as it is so far. Visitors are not
    told in which folder of this machine something went wrong.
    """
    share = job.steps / job.total_steps if job.total_steps else 0.0
    if job.state == "queued":
        line = f"{job.title} · {words('waiting')}" if job.title else words("waiting")
        if job.position > 0:
            line += f" · {words('in_line', job.position)}"
    elif job.state == "running":
        line = job.title or words("drawing")
        if job.title:
            line += f" · {job.steps} %"
        elif job.total_steps:
            line += f" · {words('step_of', job.steps, job.total_steps)}"
    elif job.state == "failed":
        problem = job.problem or ""
        return problem_of(problem if job.owner == ALONE else _FOLDERS.sub("", problem))
    else:
        name = "stopped" if job.state == "cancelled" else "done_in"
        return f'<div class="sf-line" role="status">{escape(words(name, f"{job.seconds:.1f}"))}</div>'
    if job.seconds_left is not None and job.seconds_left >= 1:
        line += f" · {words('seconds_left', round(job.seconds_left))}"
    pictures = "".join(_picture(job.previews[index], job) for index in sorted(job.previews))
    return (
        f'<div class="sf-previews">{pictures}</div>'
        f'<div class="sf-bar"><div style="width:{share:.1%}"></div></div>'
        f'<div class="sf-line" role="status">{escape(line)}</div>'
    )


def problem_of(problem: object) -> str:
    """Return a friendly box with what went wrong."""
    return f'<div class="sf-problem" role="alert">{escape(str(problem))}</div>'


def _picture(jpeg: bytes, job: Job) -> str:
    prompt = "" if job.recipe.text is None else job.recipe.text.prompt
    data = base64.b64encode(jpeg).decode("ascii")
    return f'<img alt="{escape(prompt[:MOST_SAID], quote=True)}" src="data:image/jpeg;base64,{data}">'


STYLE = """
.sf-title { margin: 0; display: flex; align-items: center; gap: 12px; }
.sf-logo { height: 1.4em; }
.sf-quiet { color: var(--body-text-color-subdued); }
#sf-picture .image-frame { width: 100%; }
#sf-picture img { width: 100%; height: auto; object-fit: contain; }
/* Gradio would show a picture's upper half. */
.sf-results .grid-wrap { max-height: max(42rem, 85vh) !important; }
.sf-previews { display: flex; flex-wrap: wrap; gap: 8px; justify-content: center; }
.sf-previews img { width: min(100%, 384px); image-rendering: auto; border-radius: var(--block-radius); }
.sf-bar { height: 6px; margin: 10px 0 6px; border-radius: 3px; overflow: hidden;
          background: var(--border-color-primary); }
.sf-bar div { height: 100%; background: var(--slider-color); transition: width .2s; }
.sf-line { color: var(--body-text-color); font-variant-numeric: tabular-nums; }
.sf-problem { color: var(--body-text-color); border-left: 4px solid var(--error-border-color);
              padding: 8px 12px; }
/* What Gradio writes into empty places is one grey for all grounds. */
.empty.wrap, .empty.wrap > div { color: var(--body-text-color-subdued) !important; }
/* Gradio takes the browser's ring away where people type and choose; a name in the list outweighs it. */
:is(button, input, textarea, select, a, summary, [tabindex], #sf-ring):focus-visible,
label:has(> input:is([type=radio], [type=checkbox]):focus-visible) {
  outline: 3px solid var(--color-accent) !important; outline-offset: 2px !important; }
@media (prefers-reduced-motion: reduce) { .sf-bar div { transition: none; } }
"""

"""What is seen while a job waits and is drawn: HTML made of a job, everything in it escaped."""

import base64
from collections.abc import Sequence
from html import escape

from sfumato.errors import SfumatoError
from sfumato.serving.desk import ALONE
from sfumato.serving.jobs import Job
from sfumato.serving.studio.saying import sentence_of
from sfumato.serving.studio.telling import without_folders
from sfumato.serving.studio.visitors import told
from sfumato.serving.studio.words import Words

MOST_PROBLEMS: int = 3  # of drawings that failed, told at once
MOST_SAID: int = 200  # characters of a prompt that go with every preview


def progress_of(job: Job, words: Words, total: int = 1, more: int = 0) -> str:
    """Return the line and the bar that tell how a job goes, and the picture as it is so far. Visitors are not
    told in which folder of this machine something went wrong. Of a series there are `total`, and so many
    `more` wait behind this one.
    """
    share = job.steps / job.total_steps if job.total_steps else 0.0
    if job.state == "queued":
        waiting = words("waiting_of", job.place, total) if total > 1 else words("waiting")
        line = f"{job.title} · {waiting}" if job.title else waiting
        if job.position > 0:
            line += f" · {words('in_line', job.position)}"
    elif job.state == "running":
        line = job.title or (words("drawing_of", job.place, total) if total > 1 else words("drawing"))
        if job.title:
            line += f" · {job.steps} %"
        elif job.total_steps:
            line += f" · {words('step_of', job.steps, job.total_steps)}"
    elif job.state == "failed":
        return _failed(job, words)
    else:
        name = "stopped" if job.state == "cancelled" else "done_in"
        return _line(words(name, f"{job.seconds:.1f}")) + _unfinished([job])
    if job.seconds_left is not None and job.seconds_left >= 1:
        line += f" · {words('seconds_left', round(job.seconds_left))}"
    if more:
        line += f" · {words('one_waits') if more == 1 else words('more_wait', more)}"
    return (
        f"{_line(line, 'sf-line sf-more' if more else 'sf-line')}"
        f'<div class="sf-bar"><div style="width:{share:.1%}"></div></div>'
        f"{_previews(job)}"
    )


def series_of(jobs: Sequence[Job], words: Words) -> str:
    """Return what tells how jobs go that were asked for one after another: the one that is drawn, how many
    wait, and what went wrong with those before. There is one job at least.
    """
    total = jobs[-1].place
    failed = dict.fromkeys(_failed(one, words) for one in jobs if one.state == "failed")
    problems = "".join([*failed][-MOST_PROBLEMS:])
    left = [one for one in jobs if not one.finished]
    if left:
        now = next((one for one in left if one.state == "running"), left[0])
        return problems + progress_of(now, words, total, len(left) - 1)
    done = [one.seconds for one in jobs if one.state == "done"]
    stopped = sum(one.state == "cancelled" for one in jobs)
    if done and stopped:
        line = f"{words('done_in', f'{sum(done):.1f}')} · {words('some_stopped', stopped)}"
    elif done:
        line = words("done_in", f"{sum(done):.1f}")
    else:
        line = words("stopped") if stopped else ""
    return problems + (_line(line) if line else "") + _unfinished(jobs)


def _unfinished(jobs: Sequence[Job]) -> str:
    """Return what can be seen of the newest of `jobs` that was stopped after it had begun."""
    stopped = [one for one in jobs if one.state == "cancelled" and one.previews]
    return _previews(stopped[-1]) if stopped else ""


def _previews(job: Job) -> str:
    pictures = "".join(_picture(job.previews[index], job) for index in sorted(job.previews))
    return f'<div class="sf-previews">{pictures}</div>'


def _failed(job: Job, words: Words) -> str:
    assert job.error is not None  # what failed says why
    error = sentence_of(job.error, words)
    return problem_of(str(error) if job.owner == ALONE else without_folders(error))


def _line(text: str, kind: str = "sf-line") -> str:
    return f'<div class="{kind}" role="status">{escape(text)}</div>'


def problem_of(problem: object, words: Words | None = None) -> str:
    """Return a friendly box with what went wrong, as its visitor may read it; with `words`, in sentences that
    name fields as the page does.
    """
    if words is not None and isinstance(problem, SfumatoError):
        problem = sentence_of(problem, words)
    return f'<div class="sf-problem" role="alert">{escape(told(problem))}</div>'


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
.sf-bar { height: 6px; margin: 4px 0 6px; flex: none; border-radius: 3px; overflow: hidden;
          background: var(--border-color-primary); }
.sf-bar div { height: 100%; background: var(--slider-color); transition: width .2s; }
.sf-line { color: var(--body-text-color); font-variant-numeric: tabular-nums; }
/* Only where more wait is there all to be stopped. */
.sf-progress:not(:has(.sf-more)) .sf-stop-all { display: none !important; }
.sf-progress { gap: 0 !important; }
.sf-progress .html-container { padding: 0 12px !important; }
.sf-progress .sf-problem { margin: 8px 0; }
.sf-progress .sf-stop-all { margin: 8px 12px 0; align-self: flex-start; flex: 0 0 auto; width: auto; }
.sf-problem { color: var(--body-text-color); border-left: 4px solid var(--error-border-color);
              padding: 8px 12px; }
/* What Gradio writes into empty places is one grey for all grounds; the canvas is white in every look. */
.empty.wrap, .empty.wrap > div { color: var(--body-text-color-subdued) !important; }
#sf-canvas .empty.wrap > div { background: var(--background-fill-primary); padding: 0 8px; }
/* Words in the colour that marks have would ask for more contrast than marks do. */
.tab-container button.selected { color: var(--link-text-color) !important; }
/* Of a slider, what is set stands out, and what is left does not. */
input[type=range]::-webkit-slider-runnable-track { background: linear-gradient(to right,
  var(--slider-color) var(--range_progress), var(--sf-track) var(--range_progress)) !important; }
input[type=range]::-webkit-slider-thumb { background-color: var(--slider-color) !important;
  box-shadow: 0 0 0 2px var(--block-background-fill) !important; }
input[type=range]::-moz-range-track { background: var(--sf-track) !important; }
input[type=range]::-moz-range-thumb { background-color: var(--slider-color) !important; }
input[type=range] { --sf-track: color-mix(in srgb, var(--border-color-primary) 45%, transparent); }
/* Gradio takes the browser's ring away where people type and choose; a name in the list outweighs it. */
:is(button, input, textarea, select, a, summary, [tabindex], #sf-ring):focus-visible,
label:has(> input:is([type=radio], [type=checkbox]):focus-visible) {
  outline: 3px solid var(--color-accent) !important; outline-offset: 2px !important; }
@media (prefers-reduced-motion: reduce) { .sf-bar div { transition: none; } }
"""

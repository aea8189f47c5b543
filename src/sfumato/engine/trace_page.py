"""The page of a trace: a slider over the steps, what each looked like, and its numbers as plots."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sfumato.engine.trace import GAUSSIAN, TraceRow
from sfumato.imaging.pages import data_of, page, text
from sfumato.imaging.plots import LEFT, RIGHT, WIDTH, Level, Line, line_plot
from sfumato.recipe.image import Resolved

_STYLE: Final = """\
.steps { display: flex; flex-wrap: wrap;
  gap: .25rem .75rem; align-items: center; position: sticky; top: 0; padding: .6rem 0;
  background: var(--paper); border-bottom: 1px solid var(--line); z-index: 1; }
.steps input { flex: 1; min-width: 6rem; accent-color: #0072b2; }
.steps button { font: inherit; padding: .2rem .8rem; }
.steps output { min-width: 6.5rem; white-space: nowrap; text-align: right;
  font-variant-numeric: tabular-nums; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem;
  margin: 1rem 0; max-width: 56rem; }
figure { margin: 0; }
.pictures img { width: 100%; image-rendering: auto; }
figcaption { padding-top: .3rem; }
.now { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .3rem 1rem;
  margin: 0; }
.now dt { color: var(--faint); font-size: .85rem; }
.now dd { margin: 0 0 .4rem; font-variant-numeric: tabular-nums; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
  gap: 1rem 1.5rem; }
.plots figcaption { font-weight: 600; padding: 0 0 .2rem; }
.plots p { margin: .1rem 0 0; font-size: .85rem; color: var(--faint); }
svg.plot { width: 100%; height: auto; display: block; }
"""

# x of a step is the rule that `line_plot` documents.
_SCRIPT: Final = """\
const data = JSON.parse(document.getElementById("trace").textContent);
const slider = document.getElementById("step"), shown = document.getElementById("shown");
const play = document.getElementById("play");
const markers = document.querySelectorAll(".marker");
const nearest = (pictures, step) => {
  let best = 0;
  data.pictured.forEach((one, place) => { if (one <= step) best = place; });
  return pictures[best];
};
function show(step) {
  const x = data.left + (data.count === 1 ? 0 : step / (data.count - 1)) * data.wide;
  markers.forEach(line => { line.setAttribute("x1", x); line.setAttribute("x2", x); });
  shown.textContent = `step ${data.first + step} of ${data.total}`;
  slider.setAttribute("aria-valuetext", shown.textContent);
  for (const name of ["noisy", "clean"]) {
    const image = document.getElementById(name);
    image.src = nearest(data[name], step);
    image.alt = `${data.alts[name]} ${data.first + step}`;
  }
  for (const [name, values] of Object.entries(data.numbers))
    document.getElementById(`now-${name}`).textContent = values[step];
}
slider.addEventListener("input", () => show(Number(slider.value)));
let timer = null;
function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
play.addEventListener("click", () => {
  if (timer !== null) { stop(); return; }
  play.textContent = "Stop";
  if (Number(slider.value) === data.count - 1) slider.value = 0;
  show(Number(slider.value));
  timer = setInterval(() => {
    if (Number(slider.value) >= data.count - 1) { stop(); return; }
    slider.value = Number(slider.value) + 1;
    show(Number(slider.value));
  }, Math.max(40, Math.min(250, 5000 / data.count)));
});
show(Number(slider.value));
"""


@dataclass(frozen=True)
class Pictured:
    """What some steps looked like, as addresses of pictures: `places` are the rows they belong to, rising
    from 0.
    """

    places: tuple[int, ...]
    noisy: tuple[str, ...]
    clean: tuple[str, ...]


def trace_page(rows: Sequence[TraceRow], resolved: Resolved, backend: str, pictured: Pictured) -> str:
    """Return the page of one picture's trace as HTML that needs no other file."""
    last = len(rows) - 1
    number = rows[last].step + 1
    prompt = "no prompt" if resolved.text is None else resolved.text.prompt
    facts = (
        f"seed {resolved.picture_seed}, {resolved.steps} steps, {resolved.sampler} with {resolved.spacing}, "
        f"guidance {resolved.guidance:g}, {resolved.width}x{resolved.height}, {resolved.model}, {backend}"
    )
    numbers = {name: [say(row) for row in rows] for name, _, say in _NUMBERS}
    data = {
        "count": len(rows),
        "first": rows[0].step + 1,
        "total": rows[0].num_steps,
        "left": LEFT,
        "wide": WIDTH - LEFT - RIGHT,
        "pictured": pictured.places,
        "noisy": pictured.noisy,
        "clean": pictured.clean,
        "alts": {"noisy": "The noisy latent after step", "clean": "The clean prediction of step"},
        "numbers": numbers,
    }
    now = "\n".join(
        f'<div><dt>{text(label)}</dt><dd id="now-{name}">{text(numbers[name][last])}</dd></div>'
        for name, label, _ in _NUMBERS
    )
    body = f"""<h1>{text(prompt) or "an empty prompt"}</h1>
<p class="faint">{text(facts)}</p>
<div class="steps">
<button id="play" type="button">Play</button>
<label for="step">Step</label>
<input id="step" type="range" min="0" max="{last}" value="{last}">
<output id="shown" for="step" aria-live="polite">step {number} of {rows[0].num_steps}</output>
</div>
<div class="pictures">
<figure><img id="noisy" alt="The noisy latent after step {number}" src="{pictured.noisy[-1]}">
<figcaption>the latent after the step, as the network sees it</figcaption></figure>
<figure><img id="clean" alt="The clean prediction of step {number}" src="{pictured.clean[-1]}">
<figcaption>what the network expects to come out</figcaption></figure>
</div>
<h2>This step</h2>
<dl class="now">
{now}
</dl>
<h2>All steps</h2>
<div class="plots">
{_plots(rows)}
</div>
<p class="faint">The same numbers: trace.json and trace.csv beside this page.</p>
<script type="application/json" id="trace">{data_of(data)}</script>"""
    return page(f"Trace: {prompt}", body, style=_STYLE, script=_SCRIPT)


_NUMBERS: Final[tuple[tuple[str, str, Callable[[TraceRow], str]], ...]] = (
    ("sigma", "noise level before and after", lambda row: f"{row.sigma:.4g} to {row.sigma_next:.4g}"),
    ("t", "timestep of the network", lambda row: f"{row.t:.4g}"),
    ("seconds", "seconds", lambda row: f"{row.seconds:.3f}"),
    (
        "variance",
        "variance over the channels",
        lambda row: f"{min(row.variance):.3f} to {max(row.variance):.3f}" if row.variance else "-",
    ),
    ("entropy", "entropy at most, by channel", lambda row: _nats(row.entropy)),
    ("joint", "entropy at most, channels together", lambda row: _nats(row.entropy_joint)),
    ("x0", "spread of the prediction", lambda row: f"{row.x0_std:.3f}"),
    (
        "inflation",
        "guidance inflation",
        lambda row: "not gauged" if row.inflation is None else f"{row.inflation:.3f}",
    ),
    ("clipped", "clipped colour values", lambda row: f"{100 * row.clipped:.2f} %"),
    ("finite", "numbers not finite", lambda row: str(row.not_finite)),
)


def _nats(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f} nats a dimension"


def _plots(rows: Sequence[TraceRow]) -> str:
    channels = max(len(row.variance) for row in rows)
    variances = [
        Line(str(channel + 1), [row.variance[channel] for row in rows]) for channel in range(channels)
    ]
    plots = [
        (
            "Noise level (sigma) after the step",
            "On a logarithmic scale; the last step goes to 0, which has no place on it.",
            [Line("sigma", [row.sigma_next for row in rows])],
            {"logarithmic": True},
        ),
        (
            "Variance of each channel of the latent",
            "Each goes from the noise's 1 to the picture's own; one that rises above both on the way has a "
            "wrong scale, or too much guidance.",
            variances,
            {"level": Level("1", 1.0), "from_zero": True},
        ),
        (
            "Entropy that the latent can have at most",
            "From the variances, and from the covariance of the channels, against a normal distribution of "
            "variance one.",
            [
                Line("by channel", [row.entropy for row in rows]),
                Line("channels together", [row.entropy_joint for row in rows]),
            ],
            {"unit": "nats/dim", "level": Level(f"{GAUSSIAN:.4f}", GAUSSIAN)},
        ),
        (
            "Guidance inflation",
            "How much larger the guided prediction is than the same at guidance one.",
            [Line("inflation", [row.inflation for row in rows])],
            {"level": Level("1", 1.0)},
        ),
        (
            "Spread (standard deviation) of the clean prediction",
            "Small while the network knows little: it then predicts an average.",
            [Line("x0", [row.x0_std for row in rows])],
            {"from_zero": True},
        ),
        (
            "Clipped colour values",
            "Values of the prediction's preview that lie outside what a picture can hold.",
            [Line("clipped", [100 * row.clipped for row in rows])],
            {"unit": "%", "from_zero": True},
        ),
        (
            "Time of the step",
            "The first may include what is made ready only once.",
            [Line("seconds", [row.seconds for row in rows])],
            {"unit": "s", "from_zero": True},
        ),
    ]
    first = rows[0].step + 1
    return "\n".join(
        f"<figure><figcaption>{title}</figcaption>\n{line_plot(title, lines, first=first, **options)}\n"
        f"<p>{about}</p></figure>"
        for title, about, lines, options in plots
        if any(value not in (None, 0) for line in lines for value in line.values)
    )

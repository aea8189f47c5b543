"""What the tab Learn shows, as HTML in which nothing of a prompt can act.

Everything that a slider can show is in the page from the beginning; what belongs to a place of the slider has
it in `data-step`, and `SCRIPT` hides the rest. Nothing is asked of the server while it moves.
"""

import base64
from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from sfumato.engine.trace import GAUSSIAN
from sfumato.imaging.heat import overlay
from sfumato.imaging.io import encode_picture
from sfumato.imaging.pages import picture_source
from sfumato.imaging.plots import LEFT, RIGHT, WIDTH, Level, Line, line_plot
from sfumato.samplers.schedule import Schedule
from sfumato.serving.studio.learn_arrows import arrows_of
from sfumato.serving.studio.learn_drawing import Bytes, Drawn, Frame, Spoken, frames_at
from sfumato.serving.studio.words import Words

LONGEST: Final = 384  # pixels of a picture's longer side

# Bound to the component, which stays when its content changes. x of a step is the rule of `line_plot`.
SCRIPT: Final = f"""
const show = (group, step) => {{
  for (const one of group.querySelectorAll("[data-step]"))
    one.hidden = !one.dataset.step.split(" ").includes(String(step));
  const slider = group.querySelector("input[type=range]");
  if (slider) {{
    slider.value = step;
    const label = group.querySelector("output [data-step]:not([hidden])");
    if (label) slider.setAttribute("aria-valuetext", label.textContent);
    const last = Number(slider.max);
    const x = {LEFT} + (last ? step / last : 0) * {WIDTH - LEFT - RIGHT};
    for (const line of group.querySelectorAll(".marker")) {{
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }}
  }}
  for (const one of group.querySelectorAll("[data-pick]"))
    one.setAttribute("aria-pressed", String(one.dataset.pick === String(step)));
}};
const playing = new Map();
const stop = (button) => {{
  clearInterval(playing.get(button));
  playing.delete(button);
  button.textContent = button.dataset.play;
}};
element.addEventListener("input", (event) => {{
  const group = event.target.closest(".sf-group");
  if (!group) return;
  if (event.target.type === "range") show(group, Number(event.target.value));
  if (event.target.type === "checkbox") show(group, event.target.checked ? 1 : 0);
}});
element.addEventListener("click", (event) => {{
  const button = event.target.closest("button");
  const group = button && button.closest(".sf-group");
  if (!group) return;
  if (button.dataset.pick !== undefined) show(group, Number(button.dataset.pick));
  if (button.dataset.play === undefined) return;
  if (playing.has(button)) {{ stop(button); return; }}
  const slider = group.querySelector("input[type=range]");
  const last = Number(slider.max);
  show(group, Number(slider.value) === last ? 0 : Number(slider.value));
  button.textContent = button.dataset.pause;
  playing.set(button, setInterval(() => {{
    if (!button.isConnected || Number(slider.value) >= last) {{ stop(button); return; }}
    show(group, Number(slider.value) + 1);
  }}, Math.max(60, Math.min(350, 6000 / (last + 1)))));
}});
"""
STYLE: Final = """
.sf-learn { color: var(--body-text-color); }
.sf-learn [hidden] { display: none !important; }
.sf-learn h2 { font-size: 1.15rem; margin: 1.2rem 0 .4rem; color: var(--body-text-color); }
.sf-learn h3 { font-size: 1rem; margin: .2rem 0; color: var(--body-text-color); }
.sf-learn p { max-width: 48rem; margin: .4rem 0; }
.sf-learn .sf-source, .sf-learn figcaption, .sf-learn dt { color: var(--body-text-color-subdued);
  font-size: .875rem; }
.sf-learn figure { margin: 0; }
.sf-learn img { display: block; width: 100%; height: auto; border-radius: 4px; margin: 0; }
.sf-learn img.sf-coarse { image-rendering: pixelated; }
.sf-learn svg { display: block; overflow: visible; width: 100%; height: auto; max-width: 30rem; }
.sf-slide { display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: center; margin: .5rem 0; }
.sf-slide label { display: flex; flex: 1; gap: .7rem; align-items: center; min-width: 12rem; }
.sf-slide input[type=range] { flex: 1; min-width: 6rem; accent-color: var(--slider-color); }
.sf-slide output { min-width: 7rem; font-variant-numeric: tabular-nums; }
.sf-learn button { padding: .3rem .9rem; border-radius: 6px; cursor: pointer; color: inherit;
  border: 1px solid var(--border-color-primary); background: var(--button-secondary-background-fill);
  color: var(--button-secondary-text-color); }
.sf-learn button[aria-pressed=true] { border-color: var(--color-accent);
  box-shadow: 0 0 0 2px var(--color-accent); }
.sf-four { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(11rem, 44%), 1fr)); gap: .8rem; }
.sf-four > * { max-width: 24rem; }
.sf-plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%), 1fr));
  gap: 1rem; }
.sf-beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr));
  gap: 1rem 2rem; align-items: center; }
.sf-now { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .2rem 1rem;
  margin: .6rem 0; }
.sf-now dd { margin: 0; font-variant-numeric: tabular-nums; }
.sf-chips-row { display: flex; flex-wrap: wrap; gap: .4rem; padding: 0; margin: .4rem 0; list-style: none; }
.sf-token { padding: .2rem .6rem; border-radius: 6px; border: 1px solid var(--border-color-primary);
  display: inline-flex; flex-direction: column; align-items: center; margin: 0; }
.sf-token small { color: var(--body-text-color-subdued); font-variant-numeric: tabular-nums; }
.sf-token.sf-mark { border-style: dashed; }
"""


def lesson_of(drawn: Drawn, words: Words) -> str:
    """Return what is to be seen of one drawing: its words, its steps, and where guidance led."""
    spoken = "" if drawn.spoken is None else _words_of(drawn.spoken, words)
    return f'<div class="sf-learn">{spoken}{_steps_of(drawn, words)}</div>'


def begun_of(before: Bytes, drawn: Drawn, words: Words) -> str:
    """Return what became of the picture `before` when drawing began with it at a later step."""
    first = drawn.resolved.first_step
    noised = drawn.frames[0].noisy if drawn.frames else before
    pictures = (
        _figure(_image(before, words("learn_before")), words("learn_before")),
        _figure(_image(noised, words("learn_noised", first)), words("learn_noised", first)),
        _figure(_image(drawn.pixels, words("learn_result")), words("learn_result")),
    )
    steps = ""
    if drawn.frames:
        frames = drawn.frames
        steps = (
            f'<div class="sf-group">{_slider(_labels(frames, words), words("learn_step"), words)}'
            f'<div class="sf-four">{_stack([one.noisy for one in frames], words("learn_noisy"))}'
            f"{_stack([one.clean for one in frames], words('learn_clean'))}</div></div>"
        )
    return f'<div class="sf-learn"><div class="sf-four">{"".join(pictures)}</div>{steps}</div>'


def mixed_of(pictures: Sequence[Bytes], shares: Sequence[float], other: str, words: Words) -> str:
    """Return a slider over the pictures of a mix, from the first prompt to `other`."""
    labels = [words("learn_share", round(100 * share), other) for share in shares]
    stack = _stack(pictures, "", labels)
    slider = _slider(labels, words("learn_share_label"), words, at=len(pictures) // 2)
    return (
        f'<div class="sf-learn"><div class="sf-group">{slider}<div class="sf-four">{stack}</div></div></div>'
    )


def heat_of(drawn: Drawn, words: Words) -> str:
    """Return the picture with the maps of its words, one of which is laid over it at a time."""
    labels = [words("learn_heat_plain"), *(one.word for one in drawn.words)]
    captions = [labels[0]]
    captions += [words("learn_heat_of", one.word, f"{100 * one.heat.sum():.1f}") for one in drawn.words]
    pictures = [drawn.pixels, *(overlay(drawn.pixels, one.heat) for one in drawn.words)]
    picks = "".join(
        f'<button type="button" data-pick="{place}" aria-pressed="{str(place == 0).lower()}">{escape(one)}'
        "</button>"
        for place, one in enumerate(labels)
    )
    captions_now = _spans(captions, 0)
    return (
        f'<div class="sf-learn"><div class="sf-group"><div class="sf-slide">{picks}</div>'
        f'<div class="sf-four"><figure>{_images(pictures, captions, 0)}'
        f'<figcaption aria-live="polite">{captions_now}</figcaption></figure></div></div></div>'
    )


def compared_of(pair: tuple[Drawn, Drawn], labels: tuple[str, str], words: Words) -> str:
    """Return two drawings side by side: what came out, and what was expected on the way, as far along."""
    places = max(len(one.frames) for one in pair)
    columns = ""
    for drawn, label in zip(pair, labels, strict=True):
        clean = [drawn.frames[place].clean for place in frames_at(places, drawn.frames)]
        columns += (
            f"<div><h3>{escape(label)}</h3>"
            f"{_figure(_image(drawn.pixels, words('learn_result')), words('learn_result'))}"
            f"{_stack(clean, words('learn_clean'))}</div>"
        )
    marks = [words("learn_way_of", round(100 * (place + 1) / places)) for place in range(places)]
    differ = ""
    if pair[0].pixels.shape == pair[1].pixels.shape:
        apart = pair[0].pixels.astype(np.float64) - pair[1].pixels
        differ = f"<p>{escape(words('learn_differ', f'{np.sqrt((apart**2).mean()):.1f}'))}</p>"
    slider = _slider(marks, words("learn_way"), words)
    return (
        f'<div class="sf-learn"><div class="sf-group">{slider}<div class="sf-four">{columns}</div></div>'
        f"{differ}</div>"
    )


def schedule_of(words: Words) -> str:
    """Return the shares of picture and noise over the timesteps of training, with and without what Lin et
    al. 2023 (arXiv 2305.08891, Algorithm 1) change.
    """
    shown = ""
    for place, zero in enumerate((False, True)):
        table = Schedule.create(zero_terminal_snr=zero).alphas_cumprod
        lines = [
            Line(words("learn_signal"), np.sqrt(table).round(5).tolist()),
            Line(words("learn_noise"), np.sqrt(1 - table).round(5).tolist()),
        ]
        plot = line_plot(words("learn_schedule_of", len(table)), lines, from_zero=True)
        last = float(table[-1])
        text = words(
            f"learn_schedule_{'on' if zero else 'off'}", f"{last**0.5:.4f}", f"{last / (1 - last):.4f}"
        )
        # The bundled model's way first.
        hidden = "" if zero else " hidden"
        shown += f'<div data-step="{place}"{hidden}><p>{escape(text)}</p>{plot}</div>'
    box = (
        f'<div class="sf-slide"><label><input type="checkbox" checked> {escape(words("learn_terminal"))}'
        "</label></div>"
    )
    return (
        f'<div class="sf-learn"><div class="sf-group">{box}{shown}</div>'
        f"{_source(words, 'learn_schedule_source')}</div>"
    )


def about(words: Words, name: str) -> str:
    """Return the text `name` and its source."""
    why = f"<p>{escape(words(f'{name}_why'))}</p>"
    return f'<div class="sf-learn">{why}{_source(words, f"{name}_source")}</div>'


def _source(words: Words, name: str) -> str:
    return f'<p class="sf-source">{escape(words("learn_source", words(name)))}</p>'


def _words_of(spoken: Spoken, words: Words) -> str:
    chips = ""
    for one in spoken.tokens:
        title = words("learn_token", one.number, f"{one.weight:g}", f"{one.norm:.2f}")
        mark = " sf-mark" if one.text in ("start", "end") else ""
        chips += (
            f'<li class="sf-token{mark}" title="{escape(title)}"><b>{escape(one.text)}</b>'
            f"<small>{one.norm:.1f}</small></li>"
        )
    total = len(spoken.tokens) + spoken.padding
    count = words("learn_pieces", len(spoken.tokens), spoken.padding)
    return (
        f"<section><h2>{escape(words('learn_words'))}</h2>"
        f'<ul class="sf-chips-row">{chips}</ul>'
        f"<p>{escape(count)}. {escape(words('learn_embedding', total, spoken.width))}</p>"
        f"<p>{escape(words('learn_words_why'))}</p>{_source(words, 'learn_words_source')}</section>"
    )


def _steps_of(drawn: Drawn, words: Words) -> str:
    frames = drawn.frames
    if not frames:
        return ""
    last = len(frames) - 1
    channels = len(frames[0].row.mean)
    coarse = _images([one.channels for one in frames], [""] * len(frames), last, coarse=True)
    figures = (
        f"<figure>{coarse}<figcaption>{escape(words('learn_channels', channels))}</figcaption></figure>",
        _stack([one.noisy for one in frames], words("learn_noisy")),
        _stack([one.clean for one in frames], words("learn_clean")),
        _figure(_image(drawn.pixels, words("learn_result")), words("learn_result")),
    )
    arrows = arrows_of([one.bearing for one in frames], drawn.resolved.guidance, words)
    numbers = "".join(
        f'<dl class="sf-now" data-step="{place}"{"" if place == last else " hidden"}>'
        f"{_numbers(one, words)}</dl>"
        for place, one in enumerate(frames)
    )
    return (
        f'<section class="sf-group" id="sf-learn-steps"><h2>{escape(words("learn_steps"))}</h2>'
        f"{_slider(_labels(frames, words), words('learn_step'), words)}"
        f'<div class="sf-four">{"".join(figures)}</div>{numbers}'
        f'<div class="sf-plots">{_plots(frames, words)}</div>'
        f"<p>{escape(words('learn_steps_why'))} {escape(words('learn_shown_by'))}</p>"
        f"{_source(words, 'learn_steps_source')}"
        f"<p>{escape(words('learn_entropy_why'))}</p>{_source(words, 'learn_entropy_source')}"
        f'<div class="sf-beside">{arrows}<div>'
        f"<p>{escape(words('learn_arrows_why', f'{drawn.resolved.guidance:g}'))}</p>"
        f"{_source(words, 'learn_arrows_source')}</div></div></section>"
    )


def _numbers(frame: Frame, words: Words) -> str:
    row = frame.row
    variance = f"{min(row.variance):.3f} - {max(row.variance):.3f}" if row.variance else "-"
    entropy = "-" if row.entropy is None else f"{row.entropy:.4f}"
    joint = "" if row.entropy_joint is None else f" ({row.entropy_joint:.4f})"
    values = {
        "sigma": f"{row.sigma:.4g} → {row.sigma_next:.4g}",
        "t": f"{row.t:.4g}",
        "variance": variance,
        "entropy": entropy + joint,
    }
    return "".join(
        f"<div><dt>{escape(words(f'learn_now_{name}'))}</dt><dd>{escape(value)}</dd></div>"
        for name, value in values.items()
    )


def _plots(frames: Sequence[Frame], words: Words) -> str:
    rows = [one.row for one in frames]
    channels = range(max(len(row.variance) for row in rows))
    entropies = [
        Line(words("learn_entropy_one"), [row.entropy for row in rows]),
        Line(words("learn_entropy_all"), [row.entropy_joint for row in rows]),
    ]
    first = rows[0].step + 1

    def plot(
        name: str,
        lines: Sequence[Line],
        *,
        unit: str = "",
        level: Level | None = None,
        logarithmic: bool = False,
        from_zero: bool = False,
    ) -> str:
        if all(value is None for line in lines for value in line.values):
            return ""
        title = words(name)
        drawn = line_plot(
            title, lines, unit=unit, level=level, logarithmic=logarithmic, from_zero=from_zero, first=first
        )
        return f"<figure><h3>{escape(title)}</h3>{drawn}</figure>"

    levels = [Line("sigma", [row.sigma for row in rows])]
    variances = [Line(str(one + 1), [row.variance[one] for row in rows]) for one in channels]
    return (
        plot("learn_level", levels, logarithmic=True)
        + plot("learn_variance", variances, level=Level("1", 1.0), from_zero=True)
        + plot("learn_entropy", entropies, level=Level(f"{GAUSSIAN:.4f}", GAUSSIAN), unit="nats/dim")
    )


def _labels(frames: Sequence[Frame], words: Words) -> list[str]:
    return [words("learn_step_of", one.row.step + 1, one.row.num_steps) for one in frames]


def _slider(labels: Sequence[str], label: str, words: Words, at: int | None = None) -> str:
    last = len(labels) - 1
    at = last if at is None else at
    play, pause = escape(words("learn_play")), escape(words("learn_pause"))
    return (
        f'<div class="sf-slide"><button type="button" data-play="{play}" data-pause="{pause}">{play}</button>'
        f'<label>{escape(label)} <input type="range" min="0" max="{last}" step="1" value="{at}" '
        f'aria-valuetext="{escape(labels[at])}"></label><output>{_spans(labels, at)}</output></div>'
    )


def _spans(labels: Sequence[str], at: int) -> str:
    return "".join(
        f'<span data-step="{place}"{"" if place == at else " hidden"}>{escape(one)}</span>'
        for place, one in enumerate(labels)
    )


def _stack(pictures: Sequence[Bytes], caption: str, labels: Sequence[str] | None = None) -> str:
    """Return a figure with the pictures of all steps, one of which is to be seen."""
    at = len(pictures) - 1 if labels is None else len(pictures) // 2
    return _figure(_images(pictures, [caption] * len(pictures) if labels is None else labels, at), caption)


def _images(pictures: Sequence[Bytes], alts: Sequence[str], at: int, *, coarse: bool = False) -> str:
    return "".join(
        _image(one, alt, f' data-step="{place}"{"" if place == at else " hidden"}', coarse=coarse)
        for place, (one, alt) in enumerate(zip(pictures, alts, strict=True))
    )


def _image(picture: Bytes, alt: str, more: str = "", *, coarse: bool = False) -> str:
    if coarse:  # as it is: each value is a square
        data = base64.b64encode(encode_picture(picture, ".png")).decode("ascii")
        return f'<img class="sf-coarse" alt="{escape(alt)}" src="data:image/png;base64,{data}"{more}>'
    return f'<img alt="{escape(alt)}" src="{picture_source(picture, LONGEST)}"{more}>'


def _figure(image: str, caption: str) -> str:
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"

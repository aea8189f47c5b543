"""What the tab Learn shows, as HTML in which nothing of a prompt can act.

Everything that a slider can show is in the page from the beginning; what belongs to a place of the slider has
it in `data-step`, and the script of `learn_look` hides the rest. The server is asked nothing while it moves.
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
from sfumato.imaging.plots import Level, Line, line_plot
from sfumato.recipe.image import Resolved
from sfumato.recipe.labels import SAMPLER_LABELS
from sfumato.samplers.schedule import Schedule
from sfumato.serving.studio.learn_arrows import arrows_of
from sfumato.serving.studio.learn_drawing import Bytes, Drawn, Frame, Spoken, frames_at
from sfumato.serving.studio.words import Words

LONGEST: Final = 384  # pixels of a picture's longer side


def lesson_of(drawn: Drawn, words: Words) -> str:
    """Return what is to be seen of one drawing: its words, its steps, and where guidance led."""
    spoken = "" if drawn.spoken is None else _words_of(drawn.spoken, words)
    return (
        f'<div class="sf-learn">{_heading_of(drawn.resolved, words)}{spoken}{_steps_of(drawn, words)}</div>'
    )


def nothing_yet(words: Words) -> str:
    """Return what stands there before anything was drawn: what there will be to see."""
    # About where it will stand, in frames that nobody has to hear of.
    frames = f'<div class="sf-frames" aria-hidden="true">{"<i></i>" * 4}</div>'
    items = "".join(
        f"<li><b>{escape(words(name))}</b><br>{escape(words(f'{name}_short'))}{frames}</li>"
        for name in ("learn_words", "learn_steps", "learn_arrows")
    )
    return f'<div class="sf-learn sf-nothing"><p>{escape(words("learn_nothing"))}</p><ol>{items}</ol></div>'


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
            f'<div class="sf-two">{_stack([one.noisy for one in frames], words("learn_noisy"))}'
            f"{_stack([one.clean for one in frames], words('learn_clean'))}</div></div>"
        )
    return f'<div class="sf-learn"><div class="sf-four">{"".join(pictures)}</div>{steps}</div>'


def mixed_of(
    pictures: Sequence[Bytes], shares: Sequence[float], prompts: tuple[str, str], words: Words
) -> str:
    """Return a slider over the pictures of a mix, between those of both `prompts` alone."""
    first, other = prompts
    labels = [words("learn_share", round(100 * share), other) for share in shares]
    middle = len(pictures) // 2
    slider = _slider(labels, words("learn_share_label"), words, at=middle)
    stack = (
        f"<figure>{_images(pictures, labels, middle)}"
        f'<figcaption aria-live="polite">{_spans(labels, middle)}</figcaption></figure>'
    )
    alone = [_figure(_image(pictures[place], name), name) for place, name in ((0, first), (-1, other))]
    return (
        f'<div class="sf-learn"><div class="sf-group">{slider}'
        f'<div class="sf-four">{alone[0]}{stack}{alone[1]}</div></div></div>'
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
            f'<div class="sf-column"><h3>{escape(label)}</h3>'
            f"{_stack(clean, words('learn_clean'))}"
            f"{_figure(_image(drawn.pixels, words('learn_result')), words('learn_result'))}</div>"
        )
    marks = [words("learn_way_of", round(100 * (place + 1) / places)) for place in range(places)]
    differ = ""
    if pair[0].pixels.shape == pair[1].pixels.shape:
        apart = pair[0].pixels.astype(np.float64) - pair[1].pixels
        differ = f"<p>{escape(words('learn_differ', f'{np.sqrt((apart**2).mean()):.1f}'))}</p>"
    slider = _slider(marks, words("learn_way"), words)
    return (
        f'<div class="sf-learn"><div class="sf-group">{slider}<div class="sf-two">{columns}</div></div>'
        f"{differ}</div>"
    )


def schedule_of(words: Words) -> str:
    """Return the factors of picture and noise over the timesteps of training, with and without what Lin et
    al. 2023 (arXiv 2305.08891, Algorithm 1) change.
    """
    shown = ""
    for place, zero in enumerate((False, True)):
        table = Schedule.create(zero_terminal_snr=zero).alphas_cumprod
        lines = [
            Line(words("learn_signal"), np.sqrt(table).round(5).tolist()),
            Line(words("learn_noise"), np.sqrt(1 - table).round(5).tolist()),
        ]
        # Where the last timesteps are told apart.
        ratio = [Line("SNR", [value / (1 - value) if value < 1 else None for value in table.tolist()])]
        along = words("learn_timestep")
        plots = "".join(
            f"<figure><h3>{escape(words(name))}</h3>{plot}</figure>"
            for name, plot in (
                (
                    "learn_shares",
                    line_plot(
                        words("learn_schedule_of", len(table)),
                        lines,
                        from_zero=True,
                        along=along,
                        first=0,
                        marked=False,
                    ),
                ),
                (
                    "learn_ratio",
                    line_plot(
                        words("learn_ratio"), ratio, logarithmic=True, along=along, first=0, marked=False
                    ),
                ),
            )
        )
        last = float(table[-1])
        text = words(
            f"learn_schedule_{'on' if zero else 'off'}", f"{last**0.5:.4f}", f"{last / (1 - last):.4f}"
        )
        # The bundled model's way first.
        hidden = "" if zero else " hidden"
        shown += (
            f'<div data-step="{place}"{hidden}><p>{escape(text)}</p><div class="sf-plots">{plots}</div></div>'
        )
    box = (
        f'<div class="sf-slide"><label><input type="checkbox" checked> {escape(words("learn_terminal"))}'
        "</label></div>"
    )
    return (
        f'<div class="sf-learn"><p>{escape(words("learn_schedule_why"))}</p>'
        f'<div class="sf-group">{box}{shown}</div>'
        f"{_source(words, 'learn_schedule_source')}</div>"
    )


def about(words: Words, name: str) -> str:
    """Return the text `name` and its source."""
    why = f"<p>{escape(words(f'{name}_why'))}</p>"
    return f'<div class="sf-learn">{why}{_source(words, f"{name}_source")}</div>'


def _heading_of(resolved: Resolved, words: Words) -> str:
    """Return which drawing this is: its prompt, and its settings."""
    prompt = "" if resolved.text is None else resolved.text.prompt
    sampler = SAMPLER_LABELS.get(resolved.sampler, resolved.sampler)
    settings = words("learn_of", resolved.steps, sampler, f"{resolved.guidance:g}", resolved.seed)
    return f'<p class="sf-lesson-of"><b>{escape(prompt)}</b> <span>{escape(settings)}</span></p>'


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
    channels = len(frames[0].row.mean)
    coarse = _images([one.channels for one in frames], [""] * len(frames), 0, coarse=True)
    figures = (
        f"<figure>{coarse}<figcaption>{escape(words('learn_channels', channels))}</figcaption></figure>",
        _stack([one.noisy for one in frames], words("learn_noisy")),
        _stack([one.clean for one in frames], words("learn_clean")),
        _figure(_image(drawn.pixels, words("learn_result")), words("learn_result")),
    )
    arrows = arrows_of([one.bearing for one in frames], drawn.resolved.guidance, words)
    numbers = "".join(
        f'<dl class="sf-now" data-step="{place}"{" hidden" if place else ""}>{_numbers(one, words)}</dl>'
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


def _slider(labels: Sequence[str], label: str, words: Words, at: int = 0) -> str:
    """Return a slider that begins at place `at`: with the first step, as a drawing does. What became of it is
    in sight anyway.
    """
    last = len(labels) - 1
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


def _stack(pictures: Sequence[Bytes], caption: str) -> str:
    """Return a figure with the pictures of all steps, the first of which is to be seen."""
    return _figure(_images(pictures, [caption] * len(pictures), 0), caption)


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

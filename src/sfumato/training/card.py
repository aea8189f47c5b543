"""The model card that every exported model carries: what it draws, what from, and what it cannot do."""

from collections.abc import Mapping

from sfumato.scenes import vocabulary as words

# The front matter is what model hubs read.
_CARD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
tags:
- stable-diffusion
- sfumato
---

# A small Stable Diffusion model of captioned scenes

## What it is for

It draws scenes of {objects} well-known things, at {width}x{height} pixels, from an English prompt:

- things: one, or two of them {relations};
  one thing also small or big, twice or three times;
- places: {places};
- plain backgrounds: {colours};
- times of day: {times};
- styles beside plain: {styles}.

It is made to learn, test and measure with: it is small enough for an ordinary processor, and every weight can
be trained again. Draw with `sfumato generate --model FOLDER "a frog on a beach"`, or load this folder with
diffusers' `StableDiffusionPipeline.from_pretrained`.

## How it was trained

From scratch, with `sfumato train` and the recipes of `recipes/train/`, on scenes that `sfumato.scenes` draws
and captions itself from glyphs of Noto Color Emoji. No photograph, no scraped picture and no other model's
weights were used.

| part | class | parameters |
|---|---|---|
{parts}

The UNet predicts {prediction} on {timesteps} timesteps; the weights are averages over the training (EMA),
stored as float16. Captions are left out at random in training, so that guidance works.

About one in ten combinations of object and background, object and style, and pair of objects is never trained
on (`held_out` in `sfumato.scenes.scene`).

## Scores

Run `sfumato evaluate FOLDER`: a classifier that has never seen a generated picture says how often the
objects, backgrounds, times of day and styles asked for are there, separately for combinations that were never
trained on.

## Limits

- It knows its {objects} things and the words for them; other words, names, text in pictures and photographs
  are beyond it.
- Everything looks like the drawings it learned from: flat glyphs in front of simple backgrounds.
- Two things at once, counts and positions are harder than single things; three different things were never
  trained.
- Sizes far from {width}x{height} were never trained.
- It reads {tokens} tokens of a prompt at a time.
- Which things there are, and how people and professions look, is the font's choice, with its biases.

## Licence

The weights are under the Apache License 2.0. They were trained on drawings made from the glyphs of Noto Color
Emoji, a font under the SIL Open Font License 1.1; the font itself is not part of this folder.
"""


def model_card(
    parts: Mapping[str, tuple[str, int]],
    scheduler: Mapping[str, object],
    defaults: Mapping[str, object],
    tokens: int,
) -> str:
    """Return the card (Markdown) of a model of the scenes in `sfumato.scenes`.

    `parts` are its networks' classes and numbers of parameters, `scheduler` its scheduler_config.json,
    `defaults` its sfumato.json with `width` and `height` in pixels, and `tokens` what the text encoder reads
    at a time.
    """
    names = {"v_prediction": "v", "epsilon": "the noise", "sample": "the picture"}
    rows = [f"| {part} | {kind} | {count / 1e6:.2f} M |" for part, (kind, count) in parts.items()]
    return _CARD.format(
        objects=len(words.OBJECTS),
        width=defaults["width"],
        height=defaults["height"],
        relations=_listed(words.RELATIONS, "or") + " each other",
        places=_listed(words.PLACES, "and"),
        colours=_listed(words.COLOURS, "and"),
        times=_listed(words.TIMES, "and"),
        styles=_listed(words.STYLE_NAMES[1:], "and"),
        parts="\n".join(rows),
        prediction=names[str(scheduler["prediction_type"])],
        timesteps=scheduler["num_train_timesteps"],
        tokens=tokens,
    )


def _listed(names: Mapping[str, object] | tuple[str, ...], last: str) -> str:
    *some, end = names
    return f"{', '.join(some)} {last} {end}"

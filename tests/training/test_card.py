"""The model card: its headings, and that what it says is what the model and its world are."""

import re

from sfumato.scenes import vocabulary as words
from sfumato.training.card import model_card
from sfumato.training.diffusion import SCHEDULER

CARD = model_card(
    {"unet": ("UNet2DConditionModel", 16_700_000), "vae": ("AutoencoderKL", 3_250_000)},
    SCHEDULER,
    {"width": 128, "height": 96},
    32,
)


def test_it_has_every_section() -> None:
    headings = re.findall(r"^## (.*)$", CARD, re.MULTILINE)
    assert headings == ["What it is for", "How it was trained", "Scores", "Limits", "Licence"]


def test_it_describes_the_model() -> None:
    assert "| unet | UNet2DConditionModel | 16.70 M |" in CARD
    assert "128x96" in CARD
    assert "predicts v on 1000 timesteps" in CARD
    assert "sfumato evaluate" in CARD


def test_it_names_the_whole_world() -> None:
    for name in (*words.BACKGROUNDS, *words.TIMES, *words.STYLE_NAMES, *words.RELATIONS):
        assert name in CARD
    assert f"{len(words.OBJECTS)} well-known things" in CARD


def test_it_says_what_may_be_done_with_it() -> None:
    assert CARD.startswith("---\nlicense: apache-2.0\n")
    licence = CARD.partition("## Licence")[2]
    assert "Apache License 2.0" in licence
    assert "SIL Open Font License 1.1" in licence

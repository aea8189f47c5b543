from sfumato.cli.describing import described, shares
from sfumato.recipe.image import MixPart, MixPrompt, Recipe, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

DEFAULTS = tiny_bundle().defaults


def test_the_plain_case_says_only_what_matters() -> None:
    lines = described(resolve(Recipe(seed=7, parts=(TextPart(prompt="a frog"),)), DEFAULTS))
    assert lines == {
        "prompt": "a frog",
        "seed": "7",
        "size": "64x64",
        "steps": "4",
        "sampler": "ddim",
        "spacing": "trailing",
        "guidance": "3",
        "model": f"tiny ({DEFAULTS.digest[:12]})",
    }


def test_shares_fit_on_a_line() -> None:
    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=1.0),))
    resolved = resolve(Recipe(parts=(TextPart(prompt="a\nfrog"), mix)), DEFAULTS)
    assert shares(resolved) == "0.5 'a\\nfrog', 0.5 'a rabbit'"
    assert shares(resolve(Recipe(), DEFAULTS)) == ""


def test_everything_is_said() -> None:
    text = TextPart(prompt="a frog", negative="snow", guidance_rescale=0.7, guidance_start=0.1)
    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.25),))
    resolved = resolve(Recipe(seed=7, count=3, parts=(text, mix)), DEFAULTS)
    lines = described(resolved.model_copy(update={"index": 1}))
    assert lines["mix"] == "0.75  the prompt above\n0.25  a rabbit\nby branches"
    assert lines["negative"] == "snow"
    assert lines["guidance rescale"] == "0.7"
    assert lines["guided steps"] == "10% to 100%"
    assert "cache interval" not in lines
    assert described(resolve(Recipe(seed=7, cache_interval=3), DEFAULTS))["cache interval"] == "3"
    assert lines["seed"] == "8"
    assert lines["drawn as"] == "number 2 of 3, from seed 7"
    bare = described(resolve(Recipe(seed=7), DEFAULTS))
    assert bare["prompt"] == "none: unconditional"
    assert "guidance" not in bare

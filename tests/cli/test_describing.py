import pytest

from sfumato.cli.describing import described, shares
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import (
    ExtendPart,
    ImagePart,
    MaskPart,
    MixPart,
    MixPrompt,
    Part,
    Region,
    RegionsPart,
    TextPart,
)
from sfumato.recipe.resolve import resolve
from sfumato.recipe.sources import SourceFacts
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


CAT = SourceFacts("c" * 64, "cat.png", 64, 64, has_alpha=True)
IMAGE = ImagePart(source="cat.png", strength=0.5)


def edited(*parts: Part) -> dict[str, str]:
    sources = {"cat.png": CAT, "mask.png": SourceFacts("d" * 64, "mask.png", 64, 64, has_alpha=False)}
    return described(resolve(Recipe(seed=7, parts=parts), DEFAULTS, sources=sources))


def test_a_picture_to_begin_with() -> None:
    lines = edited(TextPart(prompt="a dog"), IMAGE)
    assert lines["image"] == "cat.png (cccccccccccc)"
    assert lines["strength"] == "0.5: 2 of 4 steps"
    assert edited(ImagePart(source="cat.png", strength=0.0))["strength"] == "0: 0 of 4 steps"
    assert not {"mask", "outpaint", "regions"} & set(lines)
    assert list(lines)[:3] == ["prompt", "image", "strength"]


@pytest.mark.parametrize(
    ("mask", "line"),
    [
        (MaskPart(area="8,16,16x32"), "8,16,16x32; filled with original"),
        (
            MaskPart(source="mask.png", invert=True, soft=True),
            "mask.png; inverted, soft, filled with original",
        ),
        (
            MaskPart(alpha=True, grow=-2, feather=3, fill="blur", extent="masked"),
            "what is transparent; grown -2, feather 3, filled with blur, enlarged",
        ),
    ],
)
def test_a_mask(mask: MaskPart, line: str) -> None:
    assert edited(IMAGE, mask)["mask"] == line


def test_what_is_added_around_a_picture() -> None:
    assert edited(IMAGE, ExtendPart(right=64, top=16))["outpaint"] == "right 64, top 16; at most 16 at a time"


def test_regions() -> None:
    regions = RegionsPart(
        regions=(
            Region(prompt="a frog", area="0.25,0,0.125,1"),
            Region(prompt="a rocket", source="mask.png"),
        )
    )
    assert edited(regions)["regions"] == "0.25,0,0.125,1  a frog\nmask.png  a rocket"

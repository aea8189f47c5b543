import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.cli.flags import Flags
from sfumato.cli.recipes import read_recipe, with_flags, with_stdin
from sfumato.errors import InputError, RecipeError
from sfumato.recipe.codec import to_json, to_toml
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.numbers import number_of
from sfumato.recipe.parts import MixPart, MixPrompt, TextPart
from sfumato.recipe.values import MAX_PROMPT_CHARS, MAX_SEED
from sfumato.settings import Settings

FROG = Recipe(parts=(TextPart(prompt="a frog"),), steps=9, spacing="beta")


def test_no_flags_change_nothing() -> None:
    assert with_flags(FROG, Flags()) == FROG
    assert with_flags(Recipe(), Flags()) == Recipe()


def test_every_flag_lands_in_its_field() -> None:
    flags = Flags(
        prompt="a toad",
        negative="snow",
        mix=("a [cat:dog:0.4]:0.25", "b:1"),
        mix_mode="embeddings",
        seed="8",
        count="3",
        size="64X128",
        steps="5",
        sampler="DDIM",
        spacing="karras",
        eta="0.5",
        guidance="2",
        guidance_rescale="0.5",
        guidance_start="0.1",
        guidance_stop="0.9",
        cache_interval="3",
        fast=True,
        model="tiny",
    )
    text = TextPart(
        prompt="a toad", negative="snow", guidance_rescale=0.5, guidance_start=0.1, guidance_stop=0.9
    )
    mixed = (MixPrompt(prompt="a [cat:dog:0.4]", ratio=0.25), MixPrompt(prompt="b", ratio=1.0))
    assert with_flags(FROG, flags) == Recipe(
        model="tiny",
        width=64,
        height=128,
        steps=5,
        sampler="ddim",
        spacing="karras",
        eta=0.5,
        guidance=2.0,
        cache_interval=3,
        fast=True,
        seed=8,
        count=3,
        parts=(text, MixPart(prompts=mixed, mode="embeddings")),
    )


def test_flags_keep_what_they_do_not_name() -> None:
    changed = with_flags(FROG, Flags(negative="snow", size="64"))
    assert changed.text == TextPart(prompt="a frog", negative="snow")
    assert (changed.width, changed.height, changed.steps, changed.spacing) == (64, 64, 9, "beta")
    mixed = with_flags(FROG, Flags(mix=("b:0.5",), mix_mode="embeddings"))
    assert with_flags(mixed, Flags(mix=("c:0.5",))).mix == MixPart(
        prompts=(MixPrompt(prompt="c", ratio=0.5),), mode="embeddings"
    )
    assert with_flags(mixed, Flags(unconditional=True)).parts == ()


def test_fast_opens_what_a_picture_says_and_flags_still_win() -> None:
    part = TextPart(prompt="a frog", guidance_start=0.1, guidance_stop=0.5)
    slow = FROG.model_copy(update={"parts": (part,), "cache_interval": 2})
    assert with_flags(slow, Flags()) == slow
    assert with_flags(slow, Flags(fast=True)) == FROG.model_copy(update={"fast": True})
    some = with_flags(slow, Flags(fast=True, cache_interval="5", guidance_stop="0.7"))
    assert some.text == TextPart(prompt="a frog", guidance_stop=0.7)
    assert (some.fast, some.cache_interval) == (True, 5)
    assert with_flags(slow, Flags(cache_interval="1")).cache_interval == 1


def test_a_sampler_may_bring_its_spacing() -> None:
    assert with_flags(FROG, Flags(sampler="DPM++ 2M Karras")).spacing == "karras"
    assert with_flags(FROG, Flags(sampler="DPM++ 2M Karras", spacing="ays")).spacing == "ays"
    assert with_flags(FROG, Flags(sampler="DPM++ 2M")).spacing == "beta"
    noisy = with_flags(FROG, Flags(sampler="ddim", eta="0.5"))
    assert with_flags(noisy, Flags(sampler="euler")).eta is None
    assert with_flags(noisy, Flags(steps="3")).eta == 0.5


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (Flags(steps="20.0"), "steps: must be a whole number (got '20.0'). For example 20."),
        (Flags(steps="0"), "steps: must be at least 1 (got 0). Give 1 to 1000."),
        (Flags(steps="9" * 5000), "steps: must be a whole number"),
        (
            Flags(seed="-1"),
            f"seed: must be at least 0 (got -1). Give 0 to {MAX_SEED}, or leave --seed out for a random one.",
        ),
        (Flags(cache_interval="0"), "cache-interval: must be at least 1 (got 0). Give 1 to 16."),
        (Flags(cache_interval="often"), "cache-interval: must be a whole number (got 'often')"),
        (Flags(eta="2"), "eta: must be at most 1.0 (got 2.0). Give 0 to 1."),
        (Flags(seed=str(2**63)), "seed: must be at most"),
        (Flags(count="many"), "count: must be a whole number (got 'many')"),
        (Flags(guidance="nan"), "guidance: must be a finite number (got nan)"),
        (Flags(guidance="1e999"), "guidance: must be a finite number (got inf)"),
        (Flags(guidance="0,5"), "guidance: must be a number (got '0,5'). Write it with a point."),
        (Flags(guidance="-1"), "guidance: must be at least 0"),
        (Flags(guidance_rescale="2"), "guidance-rescale: must be at most 1.0 (got 2.0). Give 0 to 1."),
        (Flags(guidance_start="0.9", guidance_stop="0.1"), "guidance-start: guidance_start 0.9 lies after"),
        (Flags(guidance_start="2"), "guidance-start: must be at most 1.0 (got 2.0). Give 0 to 1"),
        (Flags(size="64x"), "size: must be width x height (got '64x'). Write 128x128"),
        (Flags(size="0"), "size: must be at least 1 (got '0'). Give 1 to 16384."),
        (Flags(mix=("rabbit",)), "mix: ends in no ratio (got 'rabbit'). Write it as"),
        (Flags(mix=("(rabbit:1.2)",)), "mix: ends in no ratio"),
        (Flags(mix=("rabbit:0",)), "mix: must be above 0.0 (got 'rabbit:0'). Give above 0 and up to 1000."),
        (Flags(mix=("rabbit:nan",)), "mix: must be a finite number"),
        (Flags(mix=("rabbit:1",), mix_mode="glue"), "mix-mode: must be 'branches', 'embeddings' or 'bands'"),
        (Flags(mix_mode="branches"), "mix-mode: there is nothing to mix. Add --mix"),
        (
            Flags(prompt="a", unconditional=True),
            "unconditional: means without any prompt. Leave it out, or leave out PROMPT.",
        ),
        (Flags(mix_mode="branches", unconditional=True), "unconditional: means without any prompt"),
        (
            Flags(guidance="2", unconditional=True),
            "unconditional: means without any prompt. Leave it out, or leave out --guidance.",
        ),
        (Flags(guidance_rescale="0.5", unconditional=True), "unconditional: means without any prompt"),
        (Flags(guidance_start="0.5", unconditional=True), "unconditional: means without any prompt"),
        (Flags(guidance_stop="0.5", unconditional=True), "unconditional: means without any prompt"),
    ],
)
def test_bad_flags_are_named(flags: Flags, line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        with_flags(FROG, flags)
    assert str(caught.value).startswith(line)


def test_what_belongs_to_a_prompt_needs_one() -> None:
    with pytest.raises(RecipeError, match="negative: needs a prompt"):
        with_flags(Recipe(), Flags(negative="snow"))


def test_numbers_of_options() -> None:
    assert number_of("preview", " 3 ") == 3
    with pytest.raises(RecipeError, match=r"preview: must be between 1 and 1000 \(got 0\)"):
        number_of("preview", "0")


def test_a_prompt_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(data: bytes) -> str | None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return with_stdin(Flags(prompt="-")).prompt

    assert given(b"a frog\n") == "a frog"
    assert given(b"a\x00\xff\n\n") == "a\x00\ufffd\n"
    long = given(b"x" * (5 * MAX_PROMPT_CHARS))
    assert long is not None
    assert len(long) > MAX_PROMPT_CHARS
    with pytest.raises(RecipeError, match="too long"):
        with_flags(Recipe(), Flags(prompt=long))
    assert with_stdin(Flags(prompt="a frog")) == Flags(prompt="a frog")


def test_recipe_files(tmp_path: Path) -> None:
    (tmp_path / "frog.toml").write_text(to_toml(FROG), encoding="utf-8")
    (tmp_path / "frog.json").write_text(to_json(FROG), encoding="utf-8")
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    assert read_recipe(tmp_path / "frog.toml") == read_recipe(tmp_path / "frog.json") == FROG
    for name, said in (("list.json", "must be a table"), ("missing.toml", "recipe: cannot be read: No such")):
        with pytest.raises(InputError, match=said):
            read_recipe(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path)


def test_a_picture_and_what_show_prints_are_recipes(frog: Path, sfumato: Any) -> None:
    shown = sfumato("show", frog, "--json").json
    Path("frog.json").write_text(json.dumps(shown), encoding="utf-8")
    Path("frog.toml").write_text(sfumato("show", frog, "--toml").out, encoding="utf-8")
    recipe = read_recipe(frog)
    assert (recipe.seed, recipe.count, recipe.model) == (8, 1, "tiny")
    assert read_recipe(Path("frog.json")) == read_recipe(Path("frog.toml")) == recipe


def test_a_picture_is_a_recipe_whatever_its_name(frog: Path) -> None:
    for name in ("frog.jfif", "frog"):
        Path(name).write_bytes(frog.read_bytes())
        assert read_recipe(Path(name)) == read_recipe(frog)


@pytest.mark.parametrize("more", ["", "Tiling: True, "])
def test_clip_skip_goes_with_the_model_it_was_meant_for(
    more: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, picture = Settings(data_dir=tmp_path), tmp_path / "theirs.png"

    def saved(model: str, skip: int) -> None:
        info = PngInfo()
        info.add_text("parameters", f"a frog\nSteps: 2, Clip skip: {skip}, {more}Seed: 5, Model: {model}")
        Image.new("RGB", (8, 8)).save(picture, pnginfo=info)

    saved("v1-5-pruned", 2)
    tiling = (ExtrasPart(tiling="both"),) if more else ()
    replaced = read_recipe(picture, settings)
    assert replaced.model == "bundled"
    assert replaced.parts == (TextPart(prompt="a frog"), *tiling)
    assert "warning: Clip skip 2 is left out" in capsys.readouterr().err
    (kept,) = (part for part in read_recipe(picture).parts if isinstance(part, ExtrasPart))
    assert kept.clip_skip == 2  # a model was asked for
    asked = with_flags(replaced, Flags(clip_skip="2"))
    assert asked.extras == kept
    saved("bundled", 2)
    assert read_recipe(picture, settings).extras == kept
    assert "Clip skip" not in capsys.readouterr().err
    saved("v1-5-pruned", 1)
    assert read_recipe(picture, settings).model == "bundled"
    assert "Clip skip" not in capsys.readouterr().err


def test_image_guidance_goes_with_the_model_it_was_meant_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info, picture = PngInfo(), tmp_path / "theirs.png"
    info.add_text("parameters", "night\nSteps: 2, Image CFG scale: 1.2, Seed: 5, Model: ip2p")
    Image.new("RGB", (8, 8)).save(picture, pnginfo=info)
    assert read_recipe(picture).image_guidance == 1.2
    assert "Image CFG scale" not in capsys.readouterr().err
    replaced = read_recipe(picture, Settings(data_dir=tmp_path))
    assert (replaced.model, replaced.image_guidance) == ("bundled", None)
    assert "warning: Image CFG scale 1.2 is left out" in capsys.readouterr().err
    asked = with_flags(replaced, Flags(image_guidance="2"))
    assert asked.image_guidance == 2.0
    assert with_flags(asked, Flags(model="another")).image_guidance == 2.0
    assert with_flags(asked, Flags(image_guidance="off")).image_guidance is None


def test_a_fast_picture_says_how_and_verifies(sfumato: Any) -> None:
    words = ("a frog", "--model", "tiny", "--seed", "7", "--steps", "6")
    recipe = sfumato("generate", *words, "--fast", "--json").json["pictures"][0]["recipe"]
    assert recipe["cache_interval"] == 3
    assert "fast" not in recipe
    assert "cache interval  3\n" in sfumato("show", "a-frog-7.png").out
    assert sfumato("verify", "a-frog-7.png").code == 0
    again = sfumato("redo", "a-frog-7.png", "--cache-interval", "1", "--json").json["pictures"][0]["recipe"]
    assert "cache_interval" not in again

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tiny_models import tiny_folder

TINY = ("--model", "tiny", "--seed", "7", "--steps", "2")


def test_one_picture(sfumato: Any, here: Path) -> None:
    ran = sfumato("generate", "a frog", *TINY, "--output", "frog.png")
    assert (ran.code, ran.out) == (0, "frog.png\n")
    with Image.open(here / "frog.png") as image:
        assert image.size == (64, 64)


def test_json_tells_everything(sfumato: Any, here: Path) -> None:
    (here / "pictures").mkdir()
    ran = sfumato("generate", "a frog", *TINY, "--count", "2", "--output", "pictures", "--json")
    assert [picture["path"] for picture in ran.json["pictures"]] == [
        "pictures/a-frog-7.png",
        "pictures/a-frog-8.png",
    ]
    second = ran.json["pictures"][1]
    assert (second["index"], second["seed"], second["recipe"]["seed"]) == (1, 8, 7)
    stages = {"import", "load", "encode", "steps", "preview", "decode", "save", "total"}
    assert set(ran.json["seconds"]) == stages
    assert ran.json["backend"] == "torch cpu float32"
    assert ran.err == ""


def test_a_backend_and_a_precision(sfumato: Any, bad: Any) -> None:
    ran = sfumato("generate", "a frog", *TINY, "--precision", "bf16", "--json")
    assert ran.json["backend"] == "torch cpu bfloat16"
    assert "backend   torch cpu bfloat16\n" in sfumato("show", "a-frog-7.png").out
    ran = sfumato("generate", "a frog", *TINY, "--backend", "openvino", "--precision", "int8", "--json")
    assert ran.json["backend"] == "openvino cpu int8"
    said = bad("generate", "a frog", *TINY, "--precision", "int8")
    assert said.startswith("error: precision: only openvino draws with weights of eight bits")


def test_a_slower_backend_is_a_warning(sfumato: Any) -> None:
    ran = sfumato("generate", "a frog", *TINY, "--backend", "auto", "--precision", "f16")
    assert ran.code == 0
    assert "warning: Drawing with torch, which is slower here: float16 is not compiled (bf16" in ran.err


def test_previews_come_and_go(sfumato: Any, here: Path) -> None:
    assert sfumato("generate", "a frog", *TINY, "--preview", "1", "--output", "frog.png").code == 0
    assert [path.name for path in here.iterdir()] == ["frog.png"]


@pytest.mark.parametrize("arguments", [["--unconditional"], ["--mix", "a frog:1", "--mix", "snow:2"], [""]])
def test_a_prompt_is_not_a_must(arguments: list[str], sfumato: Any) -> None:
    assert sfumato("generate", *arguments, *TINY).code == 0


def test_the_shares_of_a_mix_are_said(sfumato: Any) -> None:
    ran = sfumato("generate", "a frog", "--mix", "a rabbit:1", *TINY)
    assert "mix: 0.5 'a frog', 0.5 'a rabbit'\n" in ran.err


def test_a_format_for_pictures_that_get_their_names_here(sfumato: Any) -> None:
    ran = sfumato("generate", "a frog", "--count", "2", "--format", "webp", *TINY)
    assert ran.out == "a-frog-7.webp\na-frog-8.webp\n"
    assert sfumato("redo", "a-frog-7.webp", "--format", "jpg").out == "a-frog-7.jpg\n"


def test_names_of_a1111_and_eta(sfumato: Any) -> None:
    names = ("--sampler", "DDIM Simple", "--eta", "0.5")
    recipe = sfumato("generate", "a frog", *TINY, *names, "--json").json["pictures"][0]["recipe"]
    assert (recipe["sampler"], recipe["spacing"], recipe["eta"]) == ("ddim", "trailing", 0.5)
    assert sfumato("verify", "a-frog-7.png").code == 0
    assert "eta       0.5\n" in sfumato("show", "a-frog-7.png").out


def test_a_recipe_file_with_changes(sfumato: Any, here: Path) -> None:
    (here / "r.toml").write_text(
        'steps = 2\nmodel = "tiny"\n[[parts]]\nkind = "text"\nprompt = "a frog \\u0000"'
    )
    ran = sfumato("generate", "--recipe", "r.toml", "--seed", "3", "--output", "a.png", "--json")
    recipe = ran.json["pictures"][0]["recipe"]
    assert (recipe["steps"], recipe["seed"], recipe["parts"][0]["prompt"]) == (2, 3, "a frog \x00")


@pytest.mark.parametrize(
    "prompt", ["\udcff frog \ud800", "(((", "[a|b", "🐸" * 30, "-- x AND", "x" * 100_000]
)
def test_odd_prompts_draw_and_can_be_shown(prompt: str, sfumato: Any, here: Path) -> None:
    assert sfumato("generate", *TINY, "--output", "odd.png", "--", prompt).code == 0
    assert sfumato("show", "odd.png").code == 0


def test_the_help_shows_the_prompt_language_as_it_is(sfumato: Any) -> None:
    text = " ".join(sfumato("generate", "--help").out.replace("│", " ").split())
    for part in ("[day:night:0.4] changes", "[day|night] takes", "(word:1.3)", "[in snow:at night:0.4]"):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "prompt: is missing. For example: sfumato generate"),
        (["x", "--sampler", "eulr"], "sampler: unknown sampler (got 'eulr'). Did you mean euler?"),
        (["x", "--spacing", "karas"], "karras"),
        (["x", "--model", "tny"], "model: unknown model (got 'tny'). Did you mean \"tiny\"?"),
        (["x", "--steps", "nan"], "steps: must be a whole number (got 'nan')"),
        (["x", "--guidance", "inf"], "guidance: must be a finite number (got inf)"),
        (["x", "--size", "100000"], "size: must be at most 16384 (got '100000'). Give 1 to 16384."),
        (["x", "--count", "2000"], "count: must be at most 1000 (got 2000). Give 1 to 1000."),
        (["x", "--seed", "-1"], "leave --seed out for a random one."),
        (["x", "--size", "8"], "size: the width must be between"),
        (["x", "--steps", "1001"], "steps: must be at most 1000 (got 1001). Give 1 to 1000."),
        (["x", "--sampler", "heun", "--eta", "0.5"], "eta: the sampler heun has none (got 0.5)"),
        (["--unconditional", "--guidance-rescale", "1"], "unconditional: means without any prompt"),
        (["x", "--format", "gif"], "format: unknown format (got 'gif'). Choose one of png, jpg"),
        (["x", "--format", "jpg", "-o", "a.png"], "format: contradicts the name a.png (got 'jpg')"),
        (["x", "--preview", "0"], "preview: must be between 1 and 1000 (got 0)"),
        (["x", "--output", "missing/x.png"], "output: the folder does not exist"),
        (["x", "--count", "2", "--output", "x.png"], "output: must be a folder for 2 pictures"),
        (["--recipe", "missing.toml"], "recipe: cannot be read"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, bad: Any) -> None:
    # Everything here is refused before torch is needed; later options win over these.
    assert said in bad("generate", "--model", "tiny", *arguments)


def test_a_damaged_model_is_one_line(bad: Any, sfumato: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "damaged")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    assert "truncated" in bad("generate", "x", "--model", folder)
    weights.rename(weights.with_suffix(".bin"))
    assert "pickle" in bad("generate", "x", "--model", folder)
    weights.write_bytes(whole)
    tensors = load_file(weights)
    save_file({**tensors, "conv_in.bias": tensors["conv_in.bias"][1:].clone()}, weights)
    assert "shape" in bad("generate", "x", "--model", folder)
    save_file({**tensors, "conv_in.bias": tensors["conv_in.bias"] * np.nan}, weights)
    ran = sfumato("generate", "x", "--model", folder)
    assert ran.code == 1
    assert ran.err.startswith("error: latents: the latents stopped being finite at step 1 of 4 (sigma 4096)")

import hashlib
import json
import os
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from sfumato.imaging.io import save_picture
from sfumato.imaging.metadata import read_metadata
from tiny_instructed import FIRST, instructed_folder
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


def pixels_of(name: str | Path) -> Any:
    with Image.open(name) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def parts_of(ran: Any) -> dict[str, Any]:
    assert ran.code == 0, ran.err
    return {part["kind"]: part for part in ran.json["pictures"][0]["recipe"]["parts"]}


def test_from_a_picture_and_how_much_of_it_is_kept(sfumato: Any, photo: Path) -> None:
    drawn: list[Any] = []
    for strength in ("0", "0.5", "1"):
        words = ("--image", "photo.png", "--strength", strength, "--output", f"{strength}.png")
        ran = sfumato(
            "generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "4", *words, "--json"
        )
        image = parts_of(ran)["image"]
        assert image["source"] == {
            "name": "photo.png",
            "sha256": hashlib.sha256(photo.read_bytes()).hexdigest(),
        }
        assert image["strength"] == float(strength)
        drawn.append(pixels_of(f"{strength}.png"))
    assert np.array_equal(drawn[0], pixels_of(photo))
    for one, other in pairwise((*drawn, drawn[0])):
        assert np.abs(one - other).mean() > 1


def test_a_step_to_begin_at_is_another_word_for_strength(sfumato: Any, photo: Path) -> None:
    words = ("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "4", "--image", "photo.png")
    assert sfumato(*words, "--start-step", "3", "--output", "a.png").code == 0
    assert sfumato(*words, "--strength", "0.25", "--output", "b.png").code == 0
    assert np.array_equal(pixels_of("a.png"), pixels_of("b.png"))
    assert sfumato(*words, "--start-step", "4", "--output", "c.png").code == 0
    assert np.array_equal(pixels_of("c.png"), pixels_of(photo))


def test_a_picture_needs_no_prompt(sfumato: Any, photo: Path) -> None:
    parts = parts_of(sfumato("generate", *TINY, "--image", "photo.png", "--json"))
    assert list(parts) == ["image"]
    assert parts["image"]["strength"] == 0.75


@pytest.mark.parametrize(
    ("words", "box"),
    [
        (("--mask", "right"), (32, 0, 64, 64)),
        (("--mask", "8,8,24x16"), (8, 8, 32, 24)),
        (("--mask", "mask.png"), (8, 8, 32, 24)),
        (("--mask", "8,8,24x16", "--masked-only", "--mask-padding", "4"), (8, 8, 32, 24)),
        (("--mask", "10,10,20x12", "--mask-grow", "1", "--mask-feather", "1"), (8, 8, 32, 24)),
        (
            ("--mask", "8,8,24x16", "--strength", "0.5", "--mask-fill", "blur", "--keep-colour"),
            (8, 8, 32, 24),
        ),
        (("--mask", "mask.png", "--mask-soft"), (8, 8, 32, 24)),
    ],
    ids=str,
)
def test_outside_the_mask_nothing_changes(
    words: tuple[str, ...], box: tuple[int, int, int, int], sfumato: Any, photo: Path
) -> None:
    inside = np.zeros((64, 64), bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).save("mask.png")
    ran = sfumato("generate", "a frog", *TINY, "--image", "photo.png", *words, "--output", "new.png")
    assert ran.code == 0, ran.err
    new, old = pixels_of("new.png"), pixels_of(photo)
    assert np.array_equal(new[~inside], old[~inside])
    assert (new[inside] != old[inside]).any(axis=-1).mean() > 0.5


def test_what_is_transparent_is_drawn(sfumato: Any, photo: Path) -> None:
    layer = Image.open(photo).convert("RGBA")
    layer.paste((0, 0, 0, 0), (40, 40, 64, 64))
    layer.save("holed.png")
    ran = sfumato(
        "generate", "a frog", *TINY, "--image", "holed.png", "--mask", "alpha", "--output", "new.png"
    )
    assert ran.code == 0, ran.err
    new, old = pixels_of("new.png"), pixels_of(photo)
    assert np.array_equal(new[:40], old[:40])
    assert np.array_equal(new[:, :40], old[:, :40])
    assert (new[40:, 40:] != 255).any()


def test_a_large_picture_keeps_its_size_around_a_mask(sfumato: Any, photo: Path) -> None:
    with Image.open(photo) as image:
        image.resize((150, 90)).save("large.png")
    for more in ((), ("--masked-only",)):
        words = ("--image", "large.png", "--mask", "100,40,30x30", *more, "--output", "new.png")
        ran = sfumato("generate", "a frog", *TINY, *words)
        assert ran.code == 0, ran.err
        new, old = pixels_of("new.png"), pixels_of("large.png")
        assert new.shape == old.shape
        assert np.array_equal(new[:, :100], old[:, :100])
        assert (new[40:70, 100:130] != old[40:70, 100:130]).any()


def test_more_picture_around_a_picture(sfumato: Any, photo: Path) -> None:
    ran = sfumato(
        "generate", "a beach", *TINY, "--image", "photo.png", "--outpaint", "right=16,top=8", "--json"
    )
    assert parts_of(ran)["extend"]["right"] == 16
    new = pixels_of("a-beach-7.png")
    assert new.shape == (72, 80, 3)
    assert np.array_equal(new[8:, :64], pixels_of(photo))
    assert new[:, 64:].std() > 0


def test_regions(sfumato: Any, here: Path) -> None:
    words = ("generate", "a beach", "--model", "tiny", "--seed", "7", "--steps", "2", "--json")
    places = ("--region", "a frog@left", "--region", "snow@0.5,0,0.5,1")
    regions = parts_of(sfumato(*words, *places, "--output", "a.png"))["regions"]
    assert [region["box"] for region in regions["regions"]] == [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 0.5, 1.0]]
    Image.new("L", (64, 64), 255).save("everywhere.png")
    parts_of(sfumato(*words, "--region", "a frog@everywhere.png", "--output", "b.png"))
    parts_of(sfumato(*words, "--region", "a frog@all", "--output", "c.png"))
    parts_of(sfumato("generate", "a frog", *words[2:], "--output", "d.png"))
    assert np.abs(pixels_of("b.png") - pixels_of("d.png")).max() <= 1
    assert np.abs(pixels_of("c.png") - pixels_of("d.png")).max() <= 1
    assert np.abs(pixels_of("a.png") - pixels_of("d.png")).max() > 1


def test_everything_at_once(sfumato: Any, photo: Path) -> None:
    words = ("--mix", "a rabbit:0.5", "--region", "snow@top", "--image", "photo.png", "--mask", "left")
    ran = sfumato("generate", "a frog", *TINY, *words, "--count", "2", "--json")
    assert list(parts_of(ran)) == ["text", "mix", "regions", "image", "mask"]
    assert np.array_equal(pixels_of("a-frog-8.png")[:, 32:], pixels_of(photo)[:, 32:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--strength", "1.5"], "strength: must be at most 1.0 (got 1.5). Give 0 to 1: 0 gives the image"),
        (["--strength", "1", "--start-step", "1"], "start-step: says the same as --strength (got 1)"),
        (["--start-step", "3"], "start-step: is beyond the last step, 2 (got 3). At step 0 nothing of the"),
        (["--mask-grow", "3"], "mask-grow: there is no mask (got 3). Give --mask WHERE as well."),
        (["--mask", "alpha"], "mask: nothing of the image is transparent (got 'alpha'). Give a mask's file"),
        (["--mask", "60,60,8x8"], "mask: reaches outside the picture of 64x64 (got '60,60,8x8')"),
        (["--mask", "black.png"], "mask: the mask is empty: nothing would be drawn (got 'black.png')"),
        (["--mask", "wide.png"], "mask: its proportions are not those of the image, 64x64 (got '64x32')"),
        (["--mask", "missing.png"], "mask: no such file (got 'missing.png')"),
        (["--mask", "text.png"], "mask: not a picture that can be read (got 'text.png'). Give a PNG"),
        (["--mask", "left", "--fit", "crop"], "fit: has no effect with a mask or an extension"),
        (["--outpaint", "5000"], "outpaint: more than 16777216 pixels (got '10064x10064')"),
        (["--outpaint", "99999"], "outpaint: must be at most 16384 (got 99999). Give 0 to 16384 pixels."),
        (["--region", "a frog@60,0,8x8"], "region: reaches outside the picture of 64x64 (got '60,0,8x8')"),
        (["--region", "a frog"], "region: does not say where (got 'a frog'). Write it as \"a frog@left\"."),
        (["--region", "a frog@text.png"], "region: not a picture that can be read (got 'text.png')"),
        (["--image", "missing.png"], "image: no such file (got 'missing.png')"),
        (["--image", "text.png"], "image: not a picture that can be read (got 'text.png')"),
        (["--image", "."], "image: the file cannot be read (got '.')"),
        (["--image", "sha256:12"], "image: names no picture (got 'sha256:12'). Write sha256: and 64"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_bad_pictures_and_places_are_one_line(arguments: list[str], said: str, photo: Path, bad: Any) -> None:
    Image.new("L", (64, 64)).save("black.png")
    Image.new("L", (64, 32), 255).save("wide.png")
    Path("text.png").write_text("a text file")
    assert f"error: {said}" in bad("generate", "x", *TINY, "--image", "photo.png", *arguments)


@pytest.mark.parametrize(
    ("words", "flag"), [("--mask left", "mask"), ("--strength 1", "strength"), ("--outpaint 8", "outpaint")]
)
def test_what_belongs_to_a_picture_needs_one(words: str, flag: str, bad: Any) -> None:
    said = bad("generate", "x", *TINY, *words.split())
    assert said.startswith(f"error: {flag}: there is no picture to begin with (got ")
    assert said.endswith("Add --image FILE.\n")


def test_a_copy_that_cannot_be_kept_is_a_warning(sfumato: Any, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file in the place of the data folder")
    ran = sfumato("generate", "x", *TINY, "--image", "photo.png", "--output", "new.png")
    assert (ran.code, ran.out) == (0, "new.png\n")
    assert ran.err.startswith("warning: No copy of photo.png could be kept")


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


def test_a_recipe_out_of_a_picture_opens_no_folders(sfumato: Any, bad: Any, here: Path) -> None:
    assert sfumato("generate", "a frog", *TINY, "--output", "frog.png").code == 0
    metadata = read_metadata(here / "frog.png")
    folder = shutil.copytree(tiny_folder(), here / "elsewhere")
    recipe = {**json.loads(metadata.resolved_json), "model": str(folder)}
    with Image.open("frog.png") as image:
        save_picture(
            image.convert("RGB"), Path("odd.png"), replace(metadata, resolved_json=json.dumps(recipe))
        )
    assert "model: " in bad("generate", "--recipe", "odd.png")
    assert sfumato("generate", "--recipe", "odd.png", "--model", folder).code == 0


def test_a_picture_is_edited_by_an_instruction(
    sfumato: Any, bad: Any, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = instructed_folder(FIRST).parent, tiny_folder().parent
    monkeypatch.setenv("SFUMATO_MODELS", os.pathsep.join(map(str, folders)))
    how = ("--model", FIRST, "--seed", "7", "--steps", "2")
    asked = ("generate", "make it night", "--image", photo, *how, "--image-guidance")
    ran = sfumato(*asked, "2", "-o", "night.png")
    assert ran.code == 0, ran.err
    shown = sfumato("show", "night.png").out
    assert "image guidance  2\n" in shown
    assert "strength        1: 2 of 2 steps\n" in shown
    assert sfumato("verify", "night.png").out.startswith("night.png: identical")
    assert sfumato("redo", "night.png", "-o", "again.png").code == 0
    with Image.open("night.png") as first, Image.open("again.png") as again:
        assert np.abs(np.asarray(first, int) - np.asarray(again, int)).max() <= 1
    parameters = read_metadata(Path("night.png")).parameters
    assert "Image CFG scale: 2, " in parameters
    plain = ("redo", "night.png", "--model", "tiny", "-o", "plain.png")
    assert "image-guidance: is for models that are edited by instructions" in bad(*plain)
    assert sfumato(*plain, "--image-guidance", "off").code == 0
    assert "error: image: is missing, and sd-pix2pix" in bad("generate", "make it night", *how)
    assert bad(*asked, "0.5").startswith("error: image-guidance: must be at least 1")

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.imaging.io import save_picture
from sfumato.imaging.metadata import read_metadata
from tiny_models import write_tiny_model


def pixels(path: str | Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def rewritten(picture: Path, target: str, *, backend: str | None = None, **changes: object) -> None:
    metadata = read_metadata(picture)
    if backend is not None:
        metadata = replace(metadata, backend=backend)
    recipe = json.dumps({**json.loads(metadata.resolved_json), **changes})
    with Image.open(picture) as image:
        save_picture(image.convert("RGB"), Path(target), replace(metadata, resolved_json=recipe))


def test_redo_draws_the_same_picture_again(frog: Path, sfumato: Any) -> None:
    ran = sfumato("redo", frog)
    assert (ran.code, ran.out) == (0, "a-frog-8-2.png\n")  # the old one is not replaced
    assert np.abs(pixels(frog) - pixels("a-frog-8-2.png")).max() <= 1


def test_redo_takes_changes(frog: Path, sfumato: Any) -> None:
    ran = sfumato("redo", frog, "--prompt", "a toad", "--steps", "3", "--output", "b.jpg", "--json")
    recipe = ran.json["pictures"][0]["recipe"]
    assert (recipe["steps"], recipe["seed"], recipe["parts"][0]["prompt"]) == (3, 8, "a toad")
    assert recipe["parts"][0]["negative"] == "snow"
    assert recipe["parts"][1]["prompts"] == [{"prompt": "a rabbit", "ratio": 0.25}]
    assert read_metadata(Path("b.jpg")).parameters.startswith("a toad\n")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_every_format_verifies_and_redoes(suffix: str, frog: Path, sfumato: Any) -> None:
    assert sfumato("redo", frog, "--output", f"b.{suffix}").code == 0
    ran = sfumato("verify", f"b.{suffix}")
    assert ran.code == 0, ran
    assert ran.out.startswith(f"b.{suffix}: identical")
    assert sfumato("redo", f"b.{suffix}").out.endswith(f".{suffix}\n")


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_every_picture_of_a_batch_verifies(suffix: str, sfumato: Any) -> None:
    words = ("a frog", "--model", "tiny", "--seed", "7", "--steps", "12", "--count", "4", "--format", suffix)
    for path in sfumato("generate", *words).out.split():
        ran = sfumato("verify", path)
        assert ran.code == 0, ran


@pytest.mark.parametrize("name", ["b.jpg", "b", "b.jfif", "b.webp"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_format_counts_and_not_the_name(suffix: str, name: str, frog: Path, sfumato: Any) -> None:
    if suffix == "png":
        shutil.copy(frog, name)
    else:
        assert sfumato("redo", frog, "--output", f"a.{suffix}").code == 0
        Path(f"a.{suffix}").rename(name)
    assert sfumato("verify", name).out.startswith(f"{name}: identical")
    assert sfumato("redo", name).out.endswith(f".{suffix}\n")


def test_guidance_without_a_prompt_is_noticed(sfumato: Any) -> None:
    drawn = sfumato(
        "generate", "--unconditional", "--model", "tiny", "--seed", "7", "--steps", "2", "--output", "a.png"
    )
    assert drawn.code == 0, drawn.err
    ran = sfumato("redo", "a.png", "--guidance", "9", "--output", "b.png")
    assert ran.code == 0
    assert "warning: --guidance has no effect: there is no prompt" in ran.err
    Path("a.toml").write_text('model = "tiny"\nsteps = 1\n')
    assert "no effect" in sfumato("generate", "--recipe", "a.toml", "--guidance", "9").err
    assert np.abs(pixels("a.png") - pixels("b.png")).max() <= 1
    for words in (("--steps", "3"), ("--guidance", "9", "--prompt", "a frog")):
        assert "no effect" not in sfumato("redo", "a.png", *words, "--output", "c.png").err


def test_another_programs_picture_can_be_drawn(sfumato: Any, bad: Any) -> None:
    info = PngInfo()
    info.add_text(
        "parameters",
        "a frog\nSteps: 2, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 5, Size: 64x64, "
        "Model: v1-5-pruned",
    )
    Image.new("RGB", (8, 8)).save("theirs.png", pnginfo=info)
    assert "no Sfumato recipe" in bad("verify", "theirs.png")
    ran = sfumato("redo", "theirs.png", "--model", "tiny")
    assert (ran.code, ran.out) == (0, "a-frog-5.png\n")
    assert ran.err.startswith("warning: theirs.png was drawn by another program")
    ran = sfumato("generate", "--recipe", "theirs.png", "--model", "tiny", "--json")
    assert ran.json["pictures"][0]["recipe"]["sampler"] == "euler_a"
    ran = sfumato("redo", "theirs.png", "--steps", "0")
    assert ran.code == 2
    assert "warning: there is no model 'v1-5-pruned' here" in ran.err


def test_verify_draws_with_what_drew_the_picture(
    frog: Path, sfumato: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_metadata(frog).backend == "torch cpu float32"
    monkeypatch.setenv("SFUMATO_BACKEND", "auto")
    assert (
        sfumato("redo", frog, "--backend", "openvino", "--precision", "f32", "--output", "ov.png").code == 0
    )
    assert read_metadata(Path("ov.png")).backend == "openvino cpu float32"
    rewritten(frog, "old.png", backend="")  # from before pictures said it
    for name in (frog.name, "ov.png", "old.png"):
        ran = sfumato("verify", name)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(f"{name}: identical (largest difference ")
        assert "drawn by" not in ran.out


def test_verify_says_when_another_backend_drew(frog: Path, sfumato: Any, bad: Any) -> None:
    ran = sfumato("verify", frog, "--backend", "openvino", "--precision", "f32")
    assert ran.out.endswith("; drawn by torch cpu float32, now by openvino cpu float32\n"), ran
    assert ran.code == (0 if "identical" in ran.out else 1)
    rewritten(frog, "mac.png", backend="torch mps float16")
    rewritten(frog, "evil.png", backend="\x1b[2J" * 100)
    for name, drew in (("mac.png", "torch mps float16"), ("evil.png", "'\ufffd[2J")):
        ran = sfumato("verify", name)
        assert f"; drawn by {drew}" in ran.out
        assert ran.out.endswith("now by torch cpu float32\n")
        assert sfumato("verify", name, "--json").json["backends"][1] == "torch cpu float32"
    assert "precision: only openvino draws" in bad(
        "verify", frog, "--backend", "torch", "--precision", "int8"
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="has the device")
def test_verify_draws_with_what_there_is(frog: Path, sfumato: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SFUMATO_BACKEND", "SFUMATO_DEVICE"):
        monkeypatch.setenv(name, "auto")
    rewritten(frog, "mac.png", backend="torch mps float16")
    ran = sfumato("verify", "mac.png", "--precision", "f32")
    assert ran.out.startswith("mac.png: ")
    assert "; drawn by torch mps float16, now by " in ran.out


def test_weights_in_eight_bits_are_redrawn_as_such(sfumato: Any) -> None:
    words = ("generate", "a frog", "--model", "tiny", "--seed", "7", "--output", "packed.png")
    assert sfumato(*words, "--storage", "int8", "--offload", "component").code == 0
    assert read_metadata(Path("packed.png")).backend == "torch cpu float32 int8"
    ran = sfumato("verify", "packed.png", "--offload", "sequential")
    assert ran.out.startswith("packed.png: identical"), ran
    assert "now by torch cpu float32" in sfumato("verify", "packed.png", "--storage", "whole").out


def test_verify_finds_a_difference(frog: Path, sfumato: Any) -> None:
    rewritten(frog, "other.png", steps=3)
    ran = sfumato("verify", "other.png")
    assert ran.code == 1
    assert ran.out.startswith("other.png: different: largest difference")
    assert not sfumato("verify", "other.png", "--json").json["identical"]


def test_other_weights_are_noticed(frog: Path, sfumato: Any, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other" / "tiny", seed=1)
    ran = sfumato("verify", frog, "--model", other)
    assert ran.code == 1
    assert ran.err.startswith("error: model: has other weights")
    rewritten(frog, "old.png", model_digest="0" * 64)
    ran = sfumato("redo", "old.png")
    assert ran.code == 0
    assert ran.err.startswith("warning: the model tiny has other weights")


def test_show_prints_the_recipe(frog: Path, sfumato: Any) -> None:
    ran = sfumato("show", frog)
    assert ran.out.startswith("prompt    a frog\nnegative  snow\n")
    assert "drawn as  number 2 of 2, from seed 7" in ran.out
    assert "backend   torch cpu float32\n" in ran.out
    rewritten(frog, "old.png", backend="")
    assert "backend" not in sfumato("show", "old.png").out
    assert sfumato("show", frog, "--json").json["index"] == 1
    assert sfumato("show", frog, "--parameters").out.startswith("a frog\nNegative prompt: snow\n")


def test_show_escapes_what_would_steer_the_terminal(frog: Path, sfumato: Any) -> None:
    text = json.loads(read_metadata(frog).resolved_json)["parts"][0]
    rewritten(frog, "evil.png", parts=[{**text, "prompt": "\x1b[2Jfrog"}])
    ran = sfumato("show", "evil.png")
    assert ran.out.startswith("prompt    \\x1b[2Jfrog\n")


def test_show_reads_other_programs_too(sfumato: Any, here: Path, bad: Any) -> None:
    info = PngInfo()
    info.add_text("parameters", "a frog\nSteps: 20, Sampler: Euler a, CFG scale: 7")
    Image.new("RGB", (8, 8)).save("theirs.png", pnginfo=info)
    ran = sfumato("show", "theirs.png")
    assert ran.out.startswith("a frog\nSteps: 20")
    assert ran.err.startswith("No recipe, but the parameters of another program")
    assert "no Sfumato recipe" in bad("show", "theirs.png", "--json")


@pytest.mark.parametrize("command", ["redo", "verify", "show"])
def test_bad_pictures_are_refused(command: str, frog: Path, bad: Any, here: Path) -> None:
    Image.new("RGB", (8, 8)).save("bare.png")
    assert "no Sfumato recipe in this picture (got 'bare.png')" in bad(command, "bare.png")
    assert "no such file" in bad(command, "missing.png")
    shutil.copy(__file__, "text.png")
    assert "not a picture" in bad(command, "text.png")
    rewritten(frog, "newer.png", version=2)
    assert "made by a newer version of Sfumato (got 2)" in bad(command, "newer.png")
    rewritten(frog, "odd.png", steps=-1)
    assert "odd.png: steps: must be at least 1 (got -1). Give 1 to 1000." in bad(command, "odd.png")


def test_metadata_is_not_trusted(frog: Path, bad: Any) -> None:
    rewritten(frog, "huge.png", width=16000)
    rewritten(frog, "strange.png", sampler="os.system")
    for command in ("redo", "verify"):
        assert "size: the width must be between" in bad(command, "huge.png")
        assert "sampler: unknown" in bad(command, "strange.png")
    assert "huge.png: size: the width" in bad("verify", "huge.png")


def test_show_prints_one_form_at_a_time(frog: Path, bad: Any) -> None:
    assert "only one of" in bad("show", frog, "--json", "--toml")
    Image.new("RGB", (8, 8)).save("bare.png")
    assert "no parameters" in bad("show", "bare.png", "--parameters")


EDITS = {
    "image": ("--image", "photo.png", "--strength", "0.5"),
    "fitted": ("--image", "photo.png", "--fit", "fill", "--size", "64x96"),
    "mask": ("--image", "photo.png", "--mask", "mask.png", "--mask-feather", "3"),
    "masked-only": ("--image", "photo.png", "--mask", "8,8,20x20", "--masked-only"),
    "outpaint": ("--image", "photo.png", "--outpaint", "left=16"),
    "regions": ("--region", "a rocket@right", "--region", "snow@mask.png"),
}


@pytest.fixture
def edited(sfumato: Any, photo: Path, request: pytest.FixtureRequest) -> Path:
    """A picture drawn with the options of `EDITS` that the test is parametrised with."""
    Image.fromarray(np.eye(64, dtype=np.uint8).cumsum(axis=1).astype(np.uint8) * 255).save("mask.png")
    words = EDITS[request.param]
    ran = sfumato(
        *("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "2", "--count", "2"), *words
    )
    assert ran.code == 0, ran.err
    return Path("a-frog-8.png")


@pytest.mark.parametrize("edited", EDITS, indirect=True)
def test_an_edited_picture_verifies_and_redoes_without_its_files(edited: Path, sfumato: Any) -> None:
    Path("photo.png").unlink()
    Path("mask.png").unlink()
    ran = sfumato("verify", edited)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("a-frog-8.png: identical")
    assert sfumato("redo", edited, "--output", "again.png").code == 0
    assert np.abs(pixels(edited) - pixels("again.png")).max() <= 1
    Path("a.toml").write_text(sfumato("show", edited, "--toml").out, encoding="utf-8")
    assert sfumato("generate", "--recipe", "a.toml", "--output", "toml.png").code == 0
    assert np.abs(pixels(edited) - pixels("toml.png")).max() <= 1


@pytest.mark.parametrize("edited", ["mask"], indirect=True)
def test_a_picture_that_is_missing_is_named(edited: Path, sfumato: Any, bad: Any, tmp_path: Path) -> None:
    digests = {
        name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in ("photo.png", "mask.png")
    }
    kept = tmp_path / "home" / "inputs"
    assert {path.name for path in kept.iterdir()} == set(digests.values())
    shutil.rmtree(kept)
    assert sfumato("verify", edited).code == 0  # they still lie in this folder
    Path("elsewhere").mkdir()
    shutil.move(edited, "elsewhere/a.png")
    assert sfumato("redo", "elsewhere/a.png", "--output", "b.png").code == 0
    shutil.rmtree(kept)
    shutil.move("mask.png", "elsewhere/mask.png")
    assert sfumato("redo", "elsewhere/a.png", "--output", "c.png").code == 0  # beside the picture
    shutil.rmtree(kept)
    shutil.move("elsewhere/mask.png", "elsewhere/another.png")
    for command in ("redo", "verify"):
        said = bad(command, "elsewhere/a.png")
        assert said.startswith(
            "error: mask: a picture that this begins with is missing "
            f"(got 'mask.png, sha256 {digests['mask.png'][:12]}'). Put the file into this folder"
        )
    ran = sfumato("redo", "elsewhere/a.png", "--mask", "elsewhere/another.png", "--output", "d.png")
    assert ran.code == 0, ran.err
    assert np.array_equal(pixels("d.png"), pixels("c.png"))


@pytest.mark.parametrize("edited", ["mask"], indirect=True)
def test_an_edited_picture_is_shown_and_tells_no_paths(edited: Path, sfumato: Any, here: Path) -> None:
    said = sfumato("show", edited).out
    assert "image     photo.png (" in said
    assert "mask      mask.png; feather 3, filled with noise\n" in said
    assert str(here).encode() not in edited.read_bytes()


@pytest.mark.parametrize("edited", ["image"], indirect=True)
def test_an_edit_can_be_changed(edited: Path, sfumato: Any) -> None:
    words = ("--strength", "1", "--mask", "left", "--output", "b.png", "--json")
    parts = sfumato("redo", edited, *words).json["pictures"][0]["recipe"]["parts"]
    assert [part["kind"] for part in parts] == ["text", "image", "mask"]
    assert np.array_equal(pixels("b.png")[:, 32:], pixels("photo.png")[:, 32:])


@pytest.mark.parametrize("edited", ["image"], indirect=True)
@pytest.mark.parametrize("name", ["../photo.png", "/etc/passwd", "x" * 200, "a\x00b"])
def test_a_name_in_metadata_leads_nowhere(
    name: str, edited: Path, sfumato: Any, bad: Any, tmp_path: Path
) -> None:
    recipe = json.loads(read_metadata(edited).resolved_json)
    recipe["parts"][1]["source"]["name"] = name
    Path("inner").mkdir()
    rewritten(edited, "inner/evil.png", parts=recipe["parts"])
    assert sfumato("redo", "inner/evil.png", "--output", "b.png").code == 0  # the digest counts
    assert sfumato("show", "inner/evil.png").code == 0
    shutil.rmtree(tmp_path / "home" / "inputs")
    Path("photo.png").rename("inner/other.png")
    assert "image: a picture that this begins with is missing" in bad("redo", "inner/evil.png")


@pytest.mark.parametrize("edited", ["regions"], indirect=True)
@pytest.mark.parametrize("box", [[0, 0, 0, 1], [0.5, 0, 0.6, 1], [0, 0, 1], [0, 0, "a", 1]])
def test_a_place_in_metadata_is_not_trusted(box: list[Any], edited: Path, bad: Any) -> None:
    recipe = json.loads(read_metadata(edited).resolved_json)
    recipe["parts"][1]["regions"][0]["box"] = box
    rewritten(edited, "evil.png", parts=recipe["parts"])
    for command in ("redo", "verify", "show"):
        assert bad(command, "evil.png").startswith("error: evil.png: regions.regions[0]")

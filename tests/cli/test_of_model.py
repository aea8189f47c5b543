import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file, save_file

from sfumato.cli.flags import Flags
from sfumato.cli.of_model import warn_of_training, with_of_model
from sfumato.cli.recipes import trust_of, with_flags
from sfumato.errors import RecipeError
from sfumato.imaging.metadata import read_metadata
from sfumato.models.given import find_given
from sfumato.recipe.image import Recipe
from sfumato.recipe.of_model import SchedulePart, VaePart
from sfumato.recipe.parts import TextPart
from sfumato.settings import Settings
from tiny_models import tiny_folder

FROG = Recipe(parts=(TextPart(prompt="a frog"),))


@pytest.fixture
def soft(tmp_path: Path) -> Path:
    """Another autoencoder, where the library finds it."""
    folder = tmp_path / "home" / "vae" / "soft"
    shutil.copytree(tiny_folder() / "vae", folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    save_file({key: one * 1.05 for key, one in load_file(weights).items()}, weights)
    return folder


def test_every_flag_lands_in_its_field() -> None:
    recipe = with_flags(FROG, Flags(vae="soft", prediction=" V_Prediction", zero_snr=False))
    assert recipe.vae == VaePart(name="soft")
    assert recipe.schedule == SchedulePart(prediction="v", zero_snr=False)
    assert with_flags(recipe, Flags()) == recipe
    more = with_flags(recipe, Flags(prediction="noise", vae="own"))
    assert more.schedule == SchedulePart(prediction="eps", zero_snr=False)
    assert more.vae == VaePart(name="own")
    assert with_of_model({}, Flags()) == {}


def test_own_goes_with_its_model() -> None:
    recipe = with_flags(FROG, Flags(vae="own"))
    assert with_flags(recipe, Flags(model="another")).vae is None  # one may lie beside that
    assert with_flags(recipe, Flags(model="another", vae="own")).vae == VaePart(name="own")
    soft = with_flags(FROG, Flags(vae="soft"))
    assert with_flags(soft, Flags(model="another")).vae == VaePart(name="soft")


def test_what_is_wrong_names_the_option() -> None:
    with pytest.raises(RecipeError, match=r"^prediction: must be 'eps', 'v' or 'x0'"):
        with_flags(FROG, Flags(prediction="flow"))
    with pytest.raises(RecipeError, match=r"^vae: "):
        with_flags(FROG, Flags(vae=""))


def test_a_picture_opens_no_autoencoder_of_its_choice(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(picture)
    assert (trust_of(picture, Flags()).vae_paths, trust_of(picture, Flags()).beside) == (False, False)
    assert trust_of(picture, Flags(vae="x")).vae_paths
    assert trust_of(picture, Flags(model="x")).beside


def test_it_is_drawn_shown_verified_and_drawn_again(soft: Path, sfumato: Any, here: Path) -> None:
    generate = ("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "2", "--output", "a.png")
    ran = sfumato(*generate, "--vae", "soft", "--prediction", "v", "--no-zero-snr")
    assert ran.code == 0, ran.err
    shown = sfumato("show", "a.png").out
    assert "vae                soft (" in shown
    assert "predicts           the velocity" in shown
    assert "zero terminal SNR  no" in shown
    assert "VAE: soft.safetensors" in sfumato("show", "a.png", "--parameters").out
    assert sfumato("verify", "a.png").code == 0
    ran = sfumato("redo", "a.png", "--output", "b.png")
    assert ran.code == 0, ran.err
    assert read_metadata(here / "b.png").resolved_json == read_metadata(here / "a.png").resolved_json
    ran = sfumato("redo", "a.png", "--output", "c.png", "--vae", "own")
    assert ran.code == 0, ran.err
    assert '"vae"' not in read_metadata(here / "c.png").resolved_json
    soft.rename(soft.with_name("moved"))
    assert sfumato("verify", "a.png").code == 0  # by its digest
    shutil.rmtree(soft.with_name("moved"))
    ran = sfumato("verify", "a.png")
    assert ran.code == 2
    assert "the autoencoder that is asked for is not here" in ran.err


def test_another_programs_picture_is_drawn_without_an_autoencoder_that_is_not_here(
    soft: Path, sfumato: Any
) -> None:
    digest = find_given(VaePart(name="soft"), Settings(data_dir=soft.parents[1])).digest[:10]
    for written, vae in (
        (f"VAE hash: {digest}, VAE: soft.safetensors", "soft"),
        ("VAE: hard.safetensors", None),
        ("VAE hash: 735e4c3a44, VAE: soft.safetensors", None),
    ):
        info = PngInfo()
        numbers = "Steps: 2, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64, Model: tiny"
        info.add_text("parameters", f"a frog\n{numbers}, {written}")
        Image.new("RGB", (8, 8)).save("theirs.png", pnginfo=info)
        ran = sfumato("redo", "theirs.png", "--output", "again.png", "--json")
        assert ran.code == 0, ran.err
        (picture,) = ran.json["pictures"]
        names = [part["name"] for part in picture["recipe"]["parts"] if part["kind"] == "vae"]
        assert names == ([] if vae is None else [vae])
        assert ("the model draws with its own; --vae names another" in ran.err) is (vae is None)


def test_a_name_that_nobody_knows_is_one_line(sfumato: Any) -> None:
    ran = sfumato("generate", "a frog", "--model", "tiny", "--vae", "sotf")
    assert ran.code == 2
    assert ran.err.startswith("error: vae: unknown autoencoder")


def test_autoencoders_and_schedules_are_crossed(soft: Path, sfumato: Any, here: Path) -> None:
    common = ("--model", "tiny", "--steps", "2", "--seed", "7", "--output", "g", "--json")
    ran = sfumato("grid", "a frog", "--x", "vae=own,soft", "--y", "prediction=v,eps", *common)
    assert ran.code == 0, ran.err
    resolved = [
        json.loads(read_metadata(path).resolved_json)
        for path in sorted((here / "g").glob("*.png"))
        if path.name != "grid.png"
    ]
    kinds = {tuple(sorted(part["kind"] for part in one["parts"])) for one in resolved}
    assert kinds == {("schedule", "text"), ("schedule", "text", "vae")}
    for path in (here / "g").glob("*.png"):
        if path.name != "grid.png":
            assert sfumato("verify", path).code == 0


def test_what_was_said_of_one_model_is_not_said_of_another_in_silence(capsys: Any) -> None:
    said = with_flags(FROG, Flags(prediction="v"))
    for recipe, flags, warns in (
        (said, Flags(model="other"), True),
        (said, Flags(), False),
        (said, Flags(model="other", prediction="v"), False),
        (FROG, Flags(model="other"), False),
    ):
        warn_of_training(recipe, flags)
        assert ("goes for --model as well" in capsys.readouterr().err) is warns

"""Refiners and autoencoders that can be named, and what of a recipe from elsewhere is here."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.models.autoencoders import find_vae
from sfumato.models.converting import vae_to
from sfumato.models.given import find_given
from sfumato.models.load import find_model
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.of_model import SchedulePart, VaePart
from sfumato.recipe.parts import TextPart
from sfumato.recipe.refining import RefinePart
from sfumato.serving.studio.finer_forms import Finer
from sfumato.serving.studio.finer_library import here, present, refiners_of, vaes_of
from sfumato.settings import Settings
from tiny_models import tiny_folder, tiny_settings

TEXT = TextPart(prompt="a frog")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A library of a model, an autoencoder of its own, one loose among models, and what is none."""
    place = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_folder(), place / "tiny")
    (place / "vae").mkdir()
    vae_to(find_vae(tiny_folder() / "vae"), place / "vae" / "other.safetensors")
    vae_to(find_vae(tiny_folder() / "vae"), place / "loose.safetensors", "float16")
    (place / "broken.safetensors").write_bytes(b"no header")
    return replace(tiny_settings(place), data_dir=tmp_path_factory.mktemp("data"))


def test_models_may_refine_and_autoencoders_be_named(settings: Settings) -> None:
    assert {"bundled", "tiny"} <= set(refiners_of(settings))
    assert "broken" not in refiners_of(settings)
    assert sorted(vaes_of(settings)) == ["loose", "other"]
    for name in vaes_of(settings):
        find_given(VaePart(name=name), settings, paths=False)


def test_names_that_nothing_here_has_are_left_out(settings: Settings) -> None:
    there = Finer(refiner="tiny", refine_from=0.5, vae="other", pag=3.0)
    assert present(there, settings) == there
    assert present(Finer(vae="own"), settings) == Finer(vae="own")
    gone = Finer(refiner="/etc", refine_from=0.5, vae=str(tiny_folder() / "vae"), pag=3.0)
    assert present(gone, settings) == Finer(pag=3.0)


def test_what_is_here_stays(settings: Settings) -> None:
    digest = find_model("tiny", settings).defaults.digest
    refine = RefinePart(model="tiny", digest=digest[:10])
    recipe = Recipe(model="tiny", parts=(TEXT, VaePart(name="own"), refine, ExtrasPart(clip_skip=2)))
    assert here(recipe, settings) == (recipe, ())


def test_an_autoencoder_is_found_by_what_is_in_it(settings: Settings) -> None:
    digest = find_given(VaePart(name="other"), settings).digest
    recipe = Recipe(model="tiny", parts=(TEXT, VaePart(name="theirs", digest=digest[:10])))
    found, lost = here(recipe, settings)
    assert found.vae == VaePart(name="other", digest=digest[:10])
    assert lost == ()


def test_what_is_not_here_is_named(settings: Settings) -> None:
    parts = (TEXT, VaePart(name="<b>theirs"), RefinePart(model="gone"), ExtrasPart(pag=2.0))
    found, lost = here(Recipe(model="tiny", parts=parts), settings)
    assert found == Recipe(model="tiny", parts=(TEXT, ExtrasPart(pag=2.0)))
    assert lost == (("vae", "<b>theirs"), ("refine", "gone"))


def test_a_refiner_with_other_weights_is_another(settings: Settings) -> None:
    recipe = Recipe(model="tiny", parts=(TEXT, RefinePart(model="tiny", digest="0" * 10)))
    assert here(recipe, settings) == (Recipe(model="tiny", parts=(TEXT,)), (("refine", "tiny"),))


def test_what_belongs_to_a_model_goes_with_it(settings: Settings) -> None:
    belongs = (VaePart(name="other"), SchedulePart(prediction="v"), RefinePart(model="tiny"), MicroPart())
    extras = ExtrasPart(clip_skip=2, pag=2.0)
    recipe = Recipe(model="gone", image_guidance=2.0, parts=(TEXT, *belongs, extras))
    found, lost = here(recipe, settings)
    assert found == Recipe(model="gone", parts=(TEXT, ExtrasPart(pag=2.0)))
    unnamed = ("vae", "schedule", "refine", "micro", "clip_skip", "image_guidance")
    assert lost == (("model", "gone"), *((one, "") for one in unnamed))
    alone, _ = here(Recipe(model="gone", parts=(TEXT, ExtrasPart(clip_skip=2))), settings)
    assert alone.parts == (TEXT,)


def test_a_folder_of_an_autoencoder_is_found_by_its_name(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "more"
    shutil.copytree(tiny_folder() / "vae", place / "vae" / "folder")
    more = replace(settings, model_dirs=(*settings.model_dirs, place))
    assert "folder" in vaes_of(more)
    digest = find_given(VaePart(name="folder"), more).digest
    recipe = Recipe(model="tiny", parts=(TEXT, VaePart(name="folder", digest=digest)))
    assert here(recipe, more) == (recipe, ())

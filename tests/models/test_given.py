"""Autoencoders and schedules in the place of the model's own."""

import functools
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from family_models import family_folder
from family_parity import SCHEDULERS, pipeline, psnr, published
from sfumato.engine.events import Picture
from sfumato.engine.gathering import DISTRUSTED, NAMES_ONLY, TRUSTED, Trust, gather
from sfumato.engine.run import draw
from sfumato.errors import ModelFileError, RecipeError
from sfumato.models.autoencoders import find_vae
from sfumato.models.converting import vae_to
from sfumato.models.digests import digests_of
from sfumato.models.given import find_given, known_vaes
from sfumato.models.load import find_model, load
from sfumato.recipe.again import recipe_of
from sfumato.recipe.codec import from_toml, to_toml
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.of_model import OWN_VAE, SchedulePart, VaePart
from sfumato.recipe.parts import Part, TextPart
from sfumato.settings import Settings
from tiny_families import FAMILIES, write_family, write_original
from tiny_models import tiny_folder

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FROG = TextPart(prompt="a frog")


@pytest.fixture(scope="module")
def written() -> Iterator[Path]:
    """A folder with a model as a folder `sd15`, as a single file, the same without its autoencoder, and the
    single file of another autoencoder, `other`.
    """
    with tempfile.TemporaryDirectory() as name:
        place, tiny = Path(name), FAMILIES["sd15"]
        folder = write_family(place / "sd15", tiny, dtype=torch.float32)
        path = write_original(folder, place / "whole.safetensors", tiny)
        tensors = load_file(path)
        save_file(
            {key: one for key, one in tensors.items() if "first_stage" not in key}, place / "bare.safetensors"
        )
        shutil.copytree(folder / "vae", place / "other")
        weights = place / "other" / "diffusion_pytorch_model.safetensors"
        save_file({key: one * 1.1 for key, one in load_file(weights).items()}, weights)
        vae_to(find_vae(place / "other"), place / "other.safetensors")
        yield place


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    """A1111's folder, with these models and the autoencoder."""
    models = tmp_path / "webui" / "models"
    (models / "Stable-diffusion").mkdir(parents=True)
    (models / "VAE").mkdir()
    for name in ("whole", "bare"):
        (models / "Stable-diffusion" / f"{name}.safetensors").hardlink_to(written / f"{name}.safetensors")
    shutil.copy(written / "other.safetensors", models / "VAE")
    return models


@functools.cache
def settings_of(data: Path, root: Path, backend: str) -> Settings:
    return Settings(
        data_dir=data, model_dirs=(root,), backend=backend, device="cpu", dtype="float32", max_count=9
    )


def run_of(
    model: str, settings: Settings, *parts: Part, trust: Trust = TRUSTED
) -> tuple[Resolved, NDArray[np.uint8], tuple[str, ...]]:
    """Return the resolved recipe, the picture and the notes of a drawing."""
    recipe = Recipe(model=model, width=64, height=64, steps=2, seed=3, parts=(FROG, *parts))
    return drawn(recipe, settings, trust)


def drawn(
    recipe: Recipe, settings: Settings, trust: Trust = TRUSTED
) -> tuple[Resolved, NDArray[np.uint8], tuple[str, ...]]:
    gathered = gather(recipe, find_model(recipe.model, settings), settings, trust=trust)
    resolved = gathered.resolved(recipe, settings)
    bundle = gathered.load(resolved, settings)
    pictures = [one for one in draw(resolved, bundle) if isinstance(one, Picture)]
    return resolved, pictures[0].pixels, bundle.notes


@pytest.fixture
def settings(root: Path, tmp_path: Path) -> Settings:
    return settings_of(tmp_path / "data", root, "torch")


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_another_autoencoder_decodes_in_every_layout(
    backend: str, root: Path, written: Path, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "data", root, backend)
    z = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)

    def decoded(model: str, *parts: Part) -> NDArray[np.float32]:
        found = gather(Recipe(model=model, parts=parts), find_model(model, settings), settings).found
        backend = load(found, settings).backend
        return backend.decode(backend.asarray(z))

    # What is expected: the model whose own autoencoder this is.
    swapped = tmp_path / "swapped"
    shutil.copytree(written / "sd15", swapped)
    shutil.rmtree(swapped / "vae")
    shutil.copytree(written / "other", swapped / "vae")
    wanted, own = decoded(str(swapped)), decoded("whole")
    assert np.abs(wanted - own).max() > 0.05
    for model, vae in (
        ("whole", "other"),
        ("bare", "other"),
        ("whole", str(written / "other")),
        (str(written / "sd15"), str(written / "other.safetensors")),
    ):
        np.testing.assert_allclose(decoded(model, VaePart(name=vae)), wanted, atol=1e-5)


def test_the_recipe_holds_the_digest_and_draws_again(settings: Settings, root: Path) -> None:
    resolved, pixels, _ = run_of("whole", settings, VaePart(name="other"))
    path = root / "VAE" / "other.safetensors"
    assert resolved.vae is not None
    assert resolved.vae.digest == digests_of(path, settings).whole
    assert resolved.model_digest == run_of("whole", settings)[0].model_digest  # the model is the same
    path.rename(path.with_name("renamed.safetensors"))
    again, same, _ = drawn(recipe_of(resolved), settings, DISTRUSTED)
    np.testing.assert_array_equal(same, pixels)
    assert again == resolved
    shutil.copy(root / "VAE" / "renamed.safetensors", path)
    tensors = load_file(path)
    save_file({key: one * 2 for key, one in tensors.items()}, path)
    drawn(recipe_of(resolved), settings, DISTRUSTED)  # of that name is another, of the digest the right one
    (root / "VAE" / "renamed.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"has other contents here.*--vae own"):
        drawn(recipe_of(resolved), settings, DISTRUSTED)
    path.unlink()
    with pytest.raises(RecipeError, match="is not here"):
        drawn(recipe_of(resolved), settings, DISTRUSTED)


def test_a_file_without_an_autoencoder_needs_one(settings: Settings) -> None:
    for part in ((), (VaePart(name="own"),)):
        with pytest.raises(ModelFileError, match=r"no autoencoder.*--vae"):
            run_of("bare", settings, *part)


def test_that_beside_the_model_is_taken_and_said(settings: Settings, root: Path) -> None:
    place = root / "Stable-diffusion"
    shutil.copy(root / "VAE" / "other.safetensors", place / "whole.vae.safetensors")
    resolved, pixels, notes = run_of("whole", settings)
    assert resolved.vae is not None
    assert resolved.vae.name == "whole.vae"
    assert any("whole.vae.safetensors beside the model" in note for note in notes)
    np.testing.assert_array_equal(pixels, run_of("whole", settings, VaePart(name="other"))[1])
    own, plain = Recipe(model="whole", parts=(VaePart(name="own"),)), Recipe(model="whole")
    found = find_model("whole", settings)
    assert gather(own, found, settings).found is found
    # What is drawn again has what it had, and not what lies there by now.
    assert gather(plain, found, settings, trust=DISTRUSTED).found is found
    again, same, _ = drawn(recipe_of(resolved), settings, DISTRUSTED)
    np.testing.assert_array_equal(same, pixels)
    assert again == resolved
    with pytest.raises(RecipeError, match="unknown model"):
        find_model("whole.vae", settings)
    shutil.copy(root / "VAE" / "other.safetensors", place / "bare.vae.safetensors")
    bare = run_of("bare", settings)[1]
    assert np.abs(bare.astype(int) - pixels).max() <= 1  # elsewhere in its file, it may be rounded otherwise


def test_a_link_beside_the_model_leads_a_visitor_nowhere(
    settings: Settings, root: Path, written: Path
) -> None:
    beside = root / "Stable-diffusion" / "whole.vae.safetensors"
    found = find_model("whole", settings)
    for folder, inside in ((root / "VAE", True), (written, False)):
        beside.symlink_to(folder / "other.safetensors")
        mine = gather(Recipe(model="whole"), found, settings).found
        theirs = gather(Recipe(model="whole"), found, settings, trust=NAMES_ONLY).found
        assert mine.defaults.vae is not None
        assert mine.defaults.vae.name == "whole.vae"
        assert theirs.defaults.vae == (mine.defaults.vae if inside else OWN_VAE)
        assert any("leaves the folders of models" in note for note in theirs.notes) is not inside
        beside.unlink()


def test_a_picture_keeps_that_its_model_drew_with_its_own(settings: Settings, root: Path) -> None:
    place = root / "Stable-diffusion"
    shutil.copy(place / "whole.safetensors", place / "alone.safetensors")
    for parts in ((), (VaePart(name="own"),)):
        resolved, pixels, _ = run_of("alone", settings, *parts)
        assert resolved.vae == OWN_VAE
        beside = place / "alone.vae.safetensors"
        shutil.copy(root / "VAE" / "other.safetensors", beside)
        kept = from_toml(to_toml(recipe_of(resolved)), Recipe)
        again, same, notes = drawn(kept, settings)  # a recipe of a person's, who has one there by now
        np.testing.assert_array_equal(same, pixels)
        assert again == resolved
        assert not any("beside the model" in note for note in notes)
        assert np.abs(run_of("alone", settings)[1].astype(int) - pixels).max() > 1
        beside.unlink()


def test_a_file_may_be_called_own(settings: Settings, written: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    shutil.copy(written / "other.safetensors", path)
    resolved, pixels, _ = run_of("whole", settings, VaePart(name=str(path)))
    assert np.abs(pixels.astype(int) - run_of("whole", settings)[1]).max() > 1
    # Not the model's own: by its digest, the same is found under another name.
    np.testing.assert_array_equal(drawn(recipe_of(resolved), settings, DISTRUSTED)[1], pixels)


def test_names_from_pictures_open_no_paths(settings: Settings, written: Path) -> None:
    for name in (str(written / "other.safetensors"), str(written / "other"), "../VAE/other.safetensors/."):
        with pytest.raises(RecipeError, match="unknown autoencoder"):
            find_given(VaePart(name=name), settings, paths=False)
    assert find_given(VaePart(name="other.safetensors"), settings, paths=False).name == "other"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "~nobody/x.safetensors", "othre"])
def test_odd_names_are_unknown_autoencoders(name: str, settings: Settings) -> None:
    with pytest.raises(RecipeError, match="unknown autoencoder"):
        find_given(VaePart(name=name), settings)


def test_what_is_no_autoencoder_is_refused(settings: Settings, root: Path) -> None:
    (root / "VAE" / "page.safetensors").write_bytes(b"<html>")
    (root / "VAE" / "old.pt").write_bytes(b"\x80\x04}.")
    for name, words in (("page", "web page"), ("old", "is a pickle")):
        with pytest.raises(ModelFileError, match=f"^vae: .*{words}"):
            find_given(VaePart(name=name), settings)


def test_loose_files_are_found_by_name(settings: Settings, tmp_path: Path, written: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    shutil.copy(written / "other.safetensors", plain / "loose.safetensors")
    settings = replace(settings, model_dirs=(plain,))
    assert known_vaes(settings)["loose"].path == plain / "loose.safetensors"
    assert find_given(VaePart(name="loose"), settings).network.derived


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latent_channels": 16}, "latents of 16 channels, and the model draws latents of 4 channels"),
        ({"block_out_channels": [32] * 3}, "4 pixels a latent, and the model draws 8 pixels a latent"),
        ({"out_channels": 4}, "pictures of 4 channels"),
    ],
)
def test_one_of_another_shape_is_refused(
    changes: dict[str, Any], words: str, settings: Settings, written: Path, tmp_path: Path
) -> None:
    shutil.copytree(written / "other", tmp_path / "vae")
    config = tmp_path / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    for model in ("whole", "bare"):
        with pytest.raises(RecipeError, match=f"this autoencoder makes .*{words}"):
            run_of(model, settings, VaePart(name=str(tmp_path / "vae")))


def test_a_file_that_says_no_scale_has_the_models(settings: Settings, written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sd15"
    shutil.copytree(written / "sd15", folder)
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "scaling_factor": 0.13025}))
    recipe = Recipe(model=str(folder), parts=(VaePart(name="other"),))
    found = gather(recipe, find_model(recipe.model, settings), settings).found
    assert (found.files.vae.config["scaling_factor"], found.notes) == (0.13025, ())
    # A folder that says one has its own, which is told where it differs.
    part = VaePart(name=str(written / "other"))
    recipe = Recipe(model=str(folder), parts=(part,))
    found = gather(recipe, find_model(recipe.model, settings), settings).found
    assert found.files.vae.config["scaling_factor"] == 0.18215
    assert "scales latents by 0.18215, and the model's by 0.13025" in found.notes[0]


def test_what_is_compiled_is_kept_apart(settings: Settings) -> None:
    plain = find_model("whole", settings)
    recipe = Recipe(model="whole", parts=(VaePart(name="other"),))
    given = gather(recipe, plain, settings).found
    assert plain.files.drawn_digest() == plain.files.digest() == given.files.digest()
    assert given.files.drawn_digest() != plain.files.digest()


def test_a_person_says_how_a_model_was_trained(settings: Settings) -> None:
    plain, _, _ = run_of("whole", settings)
    part = SchedulePart(prediction="v", zero_snr=True)
    resolved, pixels, _ = run_of("whole", settings, part)
    assert resolved.schedule == part
    assert plain.text is not None
    assert resolved.text is not None
    assert (plain.text.guidance_rescale, resolved.text.guidance_rescale) == (0.0, 0.7)
    found = gather(Recipe(parts=(part,)), find_model("whole", settings), settings).found
    schedule = found.files.scheduler
    assert (schedule["prediction_type"], schedule["rescale_betas_zero_snr"]) == ("v_prediction", True)
    again, same, _ = drawn(recipe_of(resolved), settings, DISTRUSTED)
    np.testing.assert_array_equal(same, pixels)
    assert again == resolved


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "ddim"])
def test_velocity_and_zero_snr_said_by_hand_draw_as_in_diffusers(sampler: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data", tmp_path / "models", "torch")
    part = SchedulePart(prediction="v", zero_snr=True)
    shared: dict[str, Any] = {"width": 64, "height": 64, "steps": 6, "guidance": 5.0}
    text = TextPart(prompt=FROG.prompt, guidance_rescale=0.7)
    recipe = Recipe(
        model=str(family_folder("sdxl")),
        sampler=sampler,
        spacing="trailing",
        seed=7,
        parts=(text, part),
        **shared,
    )
    ours = drawn(recipe, settings)[1]
    said = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    pipe = pipeline("sdxl")
    before = pipe.scheduler
    kind = getattr(diffusers, SCHEDULERS[sampler])
    pipe.scheduler = kind.from_config({**published("sdxl"), **said, "set_alpha_to_one": True})
    generator = torch.Generator().manual_seed(7)
    made = pipe(
        FROG.prompt, num_inference_steps=6, guidance_scale=5.0, guidance_rescale=0.7, generator=generator
    )
    pipe.scheduler = before
    assert psnr(ours, np.asarray(made.images[0])) >= 45


def test_measured_levels_go_with_the_schedule_they_were_measured_on(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder(), folder)
    settings = settings_of(tmp_path / "data", tmp_path / "models", "torch")
    recipe = Recipe(model=str(folder), parts=(SchedulePart(zero_snr=False),))
    file = folder / "sfumato.json"
    defaults = json.loads(file.read_text())
    table = find_model(str(folder), settings).files
    assert table.scheduler["rescale_betas_zero_snr"] is True
    file.write_text(
        json.dumps({**defaults, "entropic_sigmas": [0.029167, 1.0, 4096.0], "spacing": "entropic"})
    )
    found = gather(recipe, find_model(str(folder), settings), settings).found
    assert found.defaults.spacing == "trailing"


def test_flows_are_told_nothing_of_the_kind(settings: Settings) -> None:
    found = find_model("whole", settings)
    files = replace(
        found.files, scheduler={**found.files.scheduler, "_class_name": "FlowMatchEulerDiscreteScheduler"}
    )
    recipe = Recipe(parts=(SchedulePart(prediction="v"),))
    with pytest.raises(RecipeError, match=r"^prediction: the noise levels of whole.safetensors are those"):
        gather(recipe, replace(found, files=files), settings)


def test_a_drawing_needs_what_its_recipe_was_resolved_with(settings: Settings) -> None:
    recipe = Recipe(model="whole", width=64, height=64, steps=1, seed=3, parts=(FROG, VaePart(name="other")))
    plain = find_model("whole", settings)
    gathered = gather(recipe, plain, settings)
    resolved = gathered.resolved(recipe, settings)
    with pytest.raises(RecipeError, match="this autoencoder was not found"):
        replace(gathered, found=plain).resolved(recipe, settings)
    bundle = replace(gathered, found=plain).load(resolved, settings)
    with pytest.raises(RecipeError, match="has not the autoencoder"):
        next(draw(resolved, bundle))

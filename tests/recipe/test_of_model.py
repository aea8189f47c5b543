"""What a recipe puts in the place of its model's own, in recipes and in A1111's text."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from recipe.strategies import DEFAULTS, quick
from sfumato.errors import RecipeError
from sfumato.recipe.again import recipe_of
from sfumato.recipe.codec import from_json, from_toml, to_json, to_toml
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.infotext import parse_parameters, to_parameters
from sfumato.recipe.of_model import OWN_VAE, ResolvedVae, SchedulePart, VaePart, brought, check_found
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve

DIGEST = "735e4c3a447a3255760d7f86845f09f937809baa529c17370d83e4c3758f3c75"
MSE = ResolvedVae(name="vae-ft-mse-840000-ema-pruned", digest=DIGEST)
schedules = st.builds(
    SchedulePart, prediction=st.sampled_from(["eps", "v", "x0"]), zero_snr=st.none() | st.booleans()
) | st.builds(SchedulePart, zero_snr=st.booleans())


def resolved_with(vae: ResolvedVae | None, schedule: SchedulePart | None) -> Resolved:
    recipe = Recipe(parts=(TextPart(prompt="a frog"),), seed=3)
    return resolve(recipe, replace(DEFAULTS, vae=vae, schedule=schedule))


@quick
@given(vae=st.sampled_from([None, MSE, OWN_VAE]), schedule=st.none() | schedules)
def test_they_go_through_every_form(vae: ResolvedVae | None, schedule: SchedulePart | None) -> None:
    resolved = resolved_with(vae, schedule)
    assert (resolved.vae, resolved.schedule) == (vae, schedule)
    assert from_json(to_json(resolved), Resolved) == resolved
    recipe = recipe_of(resolved)
    assert from_toml(to_toml(recipe), Recipe) == recipe
    assert recipe.schedule == schedule
    assert recipe.vae == (None if vae is None else VaePart(name=vae.name, digest=vae.digest))
    read = parse_parameters(to_parameters(resolved))
    assert read.vae == (VaePart(name=MSE.name, digest=DIGEST[:10]) if vae == MSE else None)
    if schedule is not None and (schedule.prediction is not None or schedule.zero_snr):
        assert read.schedule == schedule


def test_our_text_is_what_a1111_writes() -> None:
    text = to_parameters(resolved_with(MSE, SchedulePart(prediction="v", zero_snr=True)))
    assert "VAE hash: 735e4c3a44, VAE: vae-ft-mse-840000-ema-pruned.safetensors" in text
    assert "Noise Schedule: Zero Terminal SNR" in text


@pytest.mark.parametrize(
    ("written", "vae", "zero_snr"),
    [
        (
            "VAE hash: 735e4c3a44, VAE: vae-ft-mse-840000-ema-pruned.safetensors",
            VaePart(name=MSE.name, digest="735e4c3a44"),
            None,
        ),
        ("VAE: kl-f8.safetensors", VaePart(name="kl-f8"), None),
        ("VAE hash: xyz, VAE: kl-f8.vae.pt", VaePart(name="kl-f8.vae.pt"), None),
        ("VAE: Automatic", None, None),
        ("VAE: None, VAE hash: 735e4c3a44", None, None),
        ("Noise Schedule: Zero Terminal SNR", None, True),
        ("Noise Schedule: Default", None, None),
    ],
)
def test_a1111s_text_is_read(written: str, vae: VaePart | None, zero_snr: bool | None) -> None:
    recipe = parse_parameters(f"a frog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, {written}")
    assert recipe.vae == vae
    assert (None if recipe.schedule is None else recipe.schedule.zero_snr) is zero_snr


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (SchedulePart, {}, "what is predicted, or zero_snr"),
        (SchedulePart, {"prediction": "flow"}, "prediction"),
        (SchedulePart, {"zero_snr": 1}, "zero_snr"),
        (VaePart, {"name": ""}, "name"),
        (VaePart, {"name": "a", "digest": "12"}, "first digits"),
        (ResolvedVae, {"name": "a", "digest": "12345678"}, "sha256"),
        (ResolvedVae, {"name": "a"}, "not called own has a digest"),
    ],
)
def test_what_cannot_be_is_refused(kind: type[BaseModel], fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        kind(**fields)


def test_an_autoencoder_that_nobody_looked_for_is_an_error() -> None:
    check_found(VaePart(name="own"), None)
    check_found(None, None)
    with pytest.raises(RecipeError, match="was not found"):
        check_found(VaePart(name="other"), None)
    with pytest.raises(RecipeError, match="was not found"):
        check_found(VaePart(name="own", digest=DIGEST[:10]), OWN_VAE)  # a file that is called so


def test_the_models_own_is_in_the_place_of_nothing() -> None:
    assert (brought(OWN_VAE), brought(None), brought(MSE)) == (None, None, MSE)
    assert resolved_with(OWN_VAE, None).model_dump()["parts"][-1] == {"kind": "vae", "name": "own"}

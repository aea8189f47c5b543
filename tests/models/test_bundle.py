"""The bundle says what the engine needs, and is frozen."""

import dataclasses

import pytest

from tiny_models import tiny_bundle, tiny_folder


def test_the_tiny_bundle_is_what_its_folder_says() -> None:
    bundle = tiny_bundle()
    assert bundle.name == "tiny"
    assert bundle.folder == tiny_folder()
    assert (bundle.latent_channels, bundle.downsample) == (4, 8)
    assert bundle.schedule.prediction == "v"
    assert bundle.schedule.sigma_max == pytest.approx(4096, rel=1e-4)
    assert len(bundle.digest) == 64
    assert bundle.digest == bundle.defaults.digest
    assert bundle.max_latents is not None
    assert set(bundle.seconds) == {"import", "load"}


def test_a_bundle_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny_bundle().name = "other"  # type: ignore[misc]

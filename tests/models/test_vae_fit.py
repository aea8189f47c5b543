"""Whether an autoencoder can take the place of a model's."""

from typing import Any

import pytest

from sfumato.models.vae_fit import unfit_vae

OWN: dict[str, Any] = {
    "latent_channels": 4,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [128, 256, 512, 512],
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"block_out_channels": [32, 32, 64, 64]}, None),  # narrower, and of the same latents
        ({"latent_channels": 16}, "makes latents of 16 channels, and the model draws latents of 4 channels"),
        ({"in_channels": 1}, "makes pictures of 1 channels, and the model draws pictures of 3 channels"),
        ({"out_channels": 4}, "makes pictures of 4 channels"),
        ({"block_out_channels": [128, 256, 512]}, "makes 4 pixels a latent, and the model draws 8 pixels"),
        ({"block_out_channels": []}, "makes 0 pixels a latent"),
        ({"latent_channels": None}, None),
    ],
)
def test_what_must_be_the_same(changes: dict[str, Any], said: str | None) -> None:
    found = unfit_vae(OWN, {**OWN, **changes})
    assert found is None if said is None else said in str(found)


def test_what_nobody_says_fits() -> None:
    levels = {"block_out_channels": OWN["block_out_channels"]}
    assert unfit_vae(levels, OWN) is None
    assert unfit_vae(OWN, levels) is None

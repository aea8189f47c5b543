"""Whether an autoencoder can take the place of a model's: told from the configurations of both."""

from typing import Final

from sfumato.models.network_files import Config

#: What must be the same for the UNet to understand the latents, and for pictures to be pictures.
_SHAPE: Final = {
    "latent_channels": "latents of {} channels",
    "in_channels": "pictures of {} channels",
    "out_channels": "pictures of {} channels",
}
FITTING: Final = "Give one that was made for this family of models"  # a hint, or its beginning


def unfit_vae(own: Config, other: Config) -> str | None:
    """Return why an autoencoder with the configuration `other` cannot take the place of a model's `own`, as a
    sentence without a capital; None where it can. Where a configuration is silent, nothing speaks against it.
    """
    for key, about in _SHAPE.items():
        mine, theirs = own.get(key), other.get(key)
        if mine is not None and theirs is not None and mine != theirs:
            return _sentence(about.format(theirs), about.format(mine))
    mine, theirs = (_side(one) for one in (own, other))
    return None if mine == theirs else _sentence(f"{theirs} pixels a latent", f"{mine} pixels a latent")


def _sentence(theirs: str, mine: str) -> str:
    return f"this autoencoder makes {theirs}, and the model draws {mine}"


def _side(config: Config) -> int:
    """Return how many pixels a latent spans per side."""
    levels = len(config.get("block_out_channels") or ())
    return 2 ** (levels - 1) if levels else 0

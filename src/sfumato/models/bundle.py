"""A loaded model as one frozen value: networks, schedule, tokenizer and the settings it draws best with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sfumato.imaging.tiles import Tiling
from sfumato.models import tiling
from sfumato.models.backends.base import Backend
from sfumato.models.instructed import Shown
from sfumato.models.low_res import LowResNoise
from sfumato.models.text import TextTokenizer
from sfumato.models.text_pair import TextPair
from sfumato.recipe.adapters import ResolvedAdapters
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.samplers.schedule import Schedule
from sfumato.settings import Settings


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """Everything the engine needs of a model; drawing changes nothing in it.

    `latent_channels` is C of the latents `(B,C,h,w)`, `inpaints` says that the UNet takes a mask and a
    picture beside them, `downsample` how many pixels one latent spans per side.
    `seconds` says what loading cost: ``import`` of the libraries, ``load`` of the weights. `notes` are
    sentences for people, about a faster backend that could not be used. `max_latents` is how many latents
    (h * w) one call of the decoder may hold, beyond which pictures are decoded in tiles; None for no limit.
    `low_res` is there in models that make a small picture larger: how noise is put on it. `pair` reads the
    text of models that are told a pooled one, and `tokenizer` is then its first. `adapters` lie over the
    weights. `shown` is there in models that are edited by instructions: how they are shown a picture.
    `refiner` ends what this model begins, see `sfumato.engine.refining`.
    `settings` are those that it was loaded with, where less of it is kept than was asked for.
    `max_rows` may be in one call of the network where its memory ran out; None leaves it to the backend.
    """

    name: str
    folder: Path
    digest: str
    schedule: Schedule
    latent_channels: int
    downsample: int
    backend: Backend
    tokenizer: TextTokenizer
    defaults: ModelDefaults
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()
    max_latents: int | None = None
    inpaints: bool = False
    low_res: LowResNoise | None = None
    pair: TextPair | None = None
    adapters: ResolvedAdapters | None = None
    shown: Shown | None = None
    refiner: "ModelBundle | None" = None
    max_rows: int | None = None
    settings: Settings | None = None


def rows_within(bundle: ModelBundle, height: int, width: int) -> int:
    """Return how many rows of latents `height` x `width` one call of the network may hold, at least 1."""
    most = bundle.backend.max_rows(height, width)
    return most if bundle.max_rows is None else min(most, bundle.max_rows)


def tiles_alike(bundle: ModelBundle, height: int, width: int) -> Tiling:
    """Return the tiles in which pictures beyond the model's own size are encoded and decoded, over `height` x
    `width` latents: see `sfumato.models.tiling.tiles_alike`.
    """
    own = max(bundle.defaults.width, bundle.defaults.height) // bundle.downsample
    return tiling.tiles_alike(height, width, own, bundle.max_latents)

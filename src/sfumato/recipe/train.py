"""What to train: one TOML file per run, validated before anything is loaded.

A training recipe names a `stage` and holds every hyperparameter of it. The stages of the bundled model, in
order: `autoencoder`, `latents` (a cache), `text` (the tokenizer and a warm start of the text encoder),
`diffusion`; beside them `tiny-decoder`, for previews, `controlnet`, `judge`, the classifier that evaluation
uses, and `upscaler`, which makes pictures larger. A later stage names the runs of the earlier ones.

``python -m sfumato.recipe.train --schema`` prints the schema that is committed as `train.schema.json`.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from sfumato.errors import RecipeError
from sfumato.recipe.codec import from_toml
from sfumato.recipe.values import Seed

MAX_FILE_BYTES = 1_000_000

# Strict: "7" is no number, 20.0 no count, true no seed. A whole number is welcome where a float is asked for.
Fraction: TypeAlias = Annotated[float, Strict(), Field(ge=0.0, le=1.0)]
Decay: TypeAlias = Annotated[float, Strict(), Field(ge=0.0, lt=1.0)]
Positive: TypeAlias = Annotated[float, Strict(), Field(gt=0.0)]
NotNegative: TypeAlias = Annotated[float, Strict(), Field(ge=0.0)]
Count: TypeAlias = Annotated[int, Strict(), Field(ge=1)]
Natural: TypeAlias = Annotated[int, Strict(), Field(ge=0)]
Switch: TypeAlias = Annotated[bool, Strict()]
Widths: TypeAlias = Annotated[tuple[Count, ...], Field(min_length=1)]
RunName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Optimisation(_Section):
    """How the weights move: AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) or Muon, with warm-up and a
    decay by step."""

    optimizer: Literal["adamw", "muon"] = "adamw"
    steps: Count
    batch_size: Count
    learning_rate: Positive
    rates: dict[str, Positive] = Field(default_factory=dict)  # a network's share of the rate; 1 if not named
    warmup: Natural = 200
    decay: Literal["constant", "cosine", "linear"] = "cosine"
    decay_start: Fraction = 0.0  # share of the steps at the full rate before the decay begins
    final_rate: Fraction = 0.02  # share of the rate left at the end
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    weight_decay: NotNegative = 0.01
    clip: Positive = 1.0
    ema: Fraction = 0.9995
    precision: Literal["no", "bf16", "fp16"] = "no"
    compile: Switch = False


class Reporting(_Section):
    """How often a run speaks and saves, in steps. Samples are drawn from checkpoints, so `sample` is a
    multiple of `checkpoint`."""

    every: Count = 20
    checkpoint: Count = 500
    sample: Natural = 0  # 0: no sample grids
    keep: Count = 2

    @model_validator(mode="after")
    def _samples_at_checkpoints(self) -> Self:
        if self.sample % self.checkpoint:
            raise ValueError(f"sample {self.sample} must be a multiple of checkpoint {self.checkpoint}")
        return self


# Fields that came later: without a value they are left out, so that the digests of earlier runs hold.
_NewField = Field(exclude_if=lambda value: value == 0)
_NewName = Field(exclude_if=lambda value: value is None)


class SceneData(_Section):
    """How often each kind of scene is drawn; see `scenes.scene.SceneMix`."""

    size: Annotated[int, Strict(), Field(ge=16, le=1024)] = 128
    font: str | None = None
    pairs: Fraction = 0.25
    counts: Fraction = 0.06
    sizes: Fraction = 0.12
    plain_background: Fraction = 0.4
    unsaid_background: Fraction = 0.15
    other_time: Fraction = 0.3
    styled: Fraction = 0.35
    mixes: Annotated[Fraction, _NewField] = 0.0  # two objects made one

    @model_validator(mode="after")
    def _one_kind_each(self) -> Self:
        if self.pairs + self.counts + self.sizes + self.mixes > 1 + 1e-9:
            raise ValueError("pairs, counts, sizes and mixes exclude each other: together at most 1")
        return self


class AutoencoderStage(_Section):
    """Scenes to latents and back: AutoencoderKL (Rombach et al. 2022, arXiv 2112.10752) on random crops."""

    stage: Literal["autoencoder"]
    channels: Widths = (24, 48, 96, 128)
    layers: Count = 1
    latent_channels: Count = 8
    groups: Count = 8
    crop: Count = 64
    crops_per_scene: Count = 2
    square_weight: NotNegative = 1.0
    edge_weight: NotNegative = 0.5
    kl_weight: NotNegative = 1e-6

    @property
    def downsample(self) -> int:
        """How many pixels one latent spans per side."""
        return int(2 ** (len(self.channels) - 1))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _divides("groups", self.groups, self.channels)
        if self.crop % self.downsample:
            raise ValueError(f"crop {self.crop} must be a multiple of {self.downsample}, the downsampling")
        return self


class LatentStage(_Section):
    """A cache of encoded scenes: numbers `first` to `first + count` of the stream, in shards."""

    stage: Literal["latents"]
    autoencoder: RunName
    count: Count = 50_000
    shard: Count = 2_000
    first: Natural = 0


class TextStage(_Section):
    """The tokenizer, and a warm start of the text encoder: telling from a caption's last token what the scene
    shows."""

    stage: Literal["text"]
    vocabulary: Annotated[int, Strict(), Field(ge=520, le=60_000)] = 1400
    captions: Count = 40_000
    max_length: Annotated[int, Strict(), Field(ge=8, le=512)] = 40
    width: Count = 192
    layers: Count = 3
    heads: Count = 4

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _divides("heads", self.heads, (self.width,))
        return self


class DiffusionStage(_Section):
    """Text-conditional latent diffusion with v-prediction (Salimans and Ho 2022, arXiv 2202.00512), zero
    terminal SNR (Lin et al. 2023, arXiv 2305.08891) and min-SNR weights (Hang et al. 2023, arXiv
    2303.09556)."""

    stage: Literal["diffusion"]
    autoencoder: RunName
    latents: Annotated[tuple[RunName, ...], Field(min_length=1)]
    text: RunName
    start: RunName | None = None  # a diffusion run whose averaged weights this one begins with
    channels: Widths = (64, 128, 256)
    layers: Count = 1
    attention: tuple[Switch, ...] = (False, True, True)
    heads: Count = 8
    groups: Count = 16
    caption_dropout: Fraction = 0.1
    min_snr_gamma: Positive = 5.0
    weight_floor: Fraction = 0.25  # least weight of a step: min-SNR alone gives the noisiest ones none
    single_first: Fraction = 0.0  # share of the run that sees single objects only (a curriculum)
    # Share of the hybrids (data.mixes) told by the average of both captions, so that prompts mixed in
    # a ratio draw a hybrid.
    averaged: Annotated[Fraction, _NewField] = 0.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.attention) != len(self.channels):
            raise ValueError(
                f"attention needs one entry per level, {len(self.channels)}, and has {len(self.attention)}"
            )
        _divides("groups", self.groups, self.channels)
        attending = [w for w, attends in zip(self.channels, self.attention, strict=True) if attends]
        _divides("heads", self.heads, (*attending, self.channels[-1]))  # the middle always attends
        return self


class TinyDecoderStage(_Section):
    """A small decoder for previews, which learns from cached latents what an autoencoder's decoder makes of
    them: the decoder of diffusers' AutoencoderTiny. `blocks` counts its blocks per level, the latents' level
    first; the last `held_out` latents are kept for measuring; a share `blurred` is made like the predictions
    early in a drawing."""

    stage: Literal["tiny-decoder"]
    autoencoder: RunName
    latents: Annotated[tuple[RunName, ...], Field(min_length=1)]
    width: Count = 32
    blocks: Annotated[tuple[Natural, ...], Field(min_length=1)] = (5, 4, 2, 1)
    held_out: Count = 256
    blurred: Fraction = 0.25
    square_weight: NotNegative = 1.0
    edge_weight: NotNegative = 0.5


class ControlNetStage(_Section):
    """A ControlNet (Zhang et al. 2023, arXiv 2302.05543) for the finished `model` of a diffusion run: it
    learns to follow the edges of the scenes behind `latents`, whose recipe had the same section [data], the
    seed `latents_seed`, and began with scene `latents_first`. `hint_channels` are the widths of what makes a
    hint as small as the latents, halving it each time; the model's own layers decide the rest. A share
    `shifted` of the scenes is moved by up to a fifth of their size, so that outlines and not habit say where
    things are; a share `thick` of the hints has thick lines, a share `partial` lines in one place only."""

    stage: Literal["controlnet"]
    model: RunName
    latents: RunName
    latents_seed: Seed
    latents_first: Natural = 0
    start: Annotated[RunName | None, _NewName] = None  # a run whose ControlNet this one begins with
    hint_channels: Widths = (4, 16, 32, 64)
    middle_attention: Switch = True  # False: one layer in the middle, for a third fewer weights
    caption_dropout: Fraction = 0.3
    shifted: Fraction = 0.5
    thick: Fraction = 0.15
    partial: Fraction = 0.1
    min_snr_gamma: Positive = 5.0
    weight_floor: Fraction = 0.3


class UpscalerStage(_Section):
    """A network that makes pictures four times as wide and high, from scenes drawn at both sizes. A share
    `decoded` of the small pictures goes through the `autoencoder` first, a share `degraded` is blurred, noisy
    or saved as JPEG. It learns from crops of so many `scenes`, kept in memory (1.1 MB each at size 128), and
    is scored on `held_out` others of another stream."""

    stage: Literal["upscaler"]
    autoencoder: RunName
    width: Annotated[int, Strict(), Field(ge=1, le=512)] = 48
    blocks: Annotated[int, Strict(), Field(ge=1, le=40)] = 8
    crop: Count = 40  # of the small picture
    scenes: Count = 800
    decoded: Fraction = 0.3
    degraded: Fraction = 0.2
    held_out: Count = 100

    @model_validator(mode="after")
    def _one_kind_each(self) -> Self:
        if self.decoded + self.degraded > 1 + 1e-9:
            raise ValueError("decoded and degraded exclude each other: together at most 1")
        return self


class JudgeStage(_Section):
    """A classifier of freshly rendered scenes, which knows nothing of any generator.

    A share `shifted` of them is moved by up to an eighth of a side: things need not be in the middle.
    """

    stage: Literal["judge"]
    width: Annotated[int, Strict(), Field(ge=8, multiple_of=8)] = 32  # norms work on 8 groups
    noise: Fraction = 0.05
    blur: Fraction = 0.3
    shifted: Annotated[Fraction, _NewField] = 0.0
    start: Annotated[RunName | None, _NewName] = None  # a judge run whose weights this one begins with


Stage: TypeAlias = Annotated[
    AutoencoderStage
    | LatentStage
    | TextStage
    | DiffusionStage
    | TinyDecoderStage
    | ControlNetStage
    | JudgeStage
    | UpscalerStage,
    Field(discriminator="stage"),
]


class TrainRecipe(_Section):
    """One training run: its `name` (a folder under the runs folder), its stage and all of its
    hyperparameters.

    Every stage but `latents` learns, and so has a section `optimisation`.
    """

    version: Literal[1] = 1
    name: RunName
    seed: Seed = 0
    task: Stage
    optimisation: Optimisation | None = None
    reporting: Reporting = Reporting()
    data: SceneData = SceneData()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        task, size = self.task, self.data.size
        learns = not isinstance(task, LatentStage)
        if learns and self.optimisation is None:
            raise ValueError(f"the stage {task.stage} needs a section [optimisation]")
        if not learns and self.optimisation is not None:
            raise ValueError(f"the stage {task.stage} learns nothing: leave out the section [optimisation]")
        if isinstance(task, AutoencoderStage):
            if task.crop > size:
                raise ValueError(f"task.crop {task.crop} is more than data.size {size}")
            if size % task.downsample:
                raise ValueError(f"data.size {size} must be a multiple of {task.downsample}")
        if isinstance(task, UpscalerStage) and task.crop > size:
            raise ValueError(f"task.crop {task.crop} is more than data.size {size}")
        return self


def load_train_recipe(path: Path) -> TrainRecipe:
    """Read the TOML file `path`.

    Raises RecipeError, one line: no such file, not TOML, made by a newer version, a field that is not known,
    missing or not allowed.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RecipeError("is far too large for a recipe", field="recipe", value=str(path))
        data = path.read_bytes()
    except FileNotFoundError:
        raise RecipeError(
            "no such file",
            field="recipe",
            value=str(path),
            hint="The bundled model's are in recipes/train of the source.",
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        raise RecipeError(f"cannot be read: {error}", field="recipe", value=str(path)) from None
    return from_toml(data, TrainRecipe)


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of `TrainRecipe`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TrainRecipe.model_json_schema()}


def schema_text() -> str:
    """Return the schema as it is committed in `train.schema.json`."""
    return json.dumps(schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _divides(name: str, divisor: int, widths: tuple[int, ...]) -> None:
    for width in widths:
        if width % divisor:
            raise ValueError(
                f"{name} {divisor} must divide every width it applies to; it does not divide {width}"
            )


def _main(arguments: list[str]) -> int:
    if arguments != ["--schema"]:
        sys.stderr.write("usage: python -m sfumato.recipe.train --schema > train.schema.json\n")
        return 2
    sys.stdout.write(schema_text())
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))

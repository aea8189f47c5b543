"""What to train: one TOML file per run, validated before anything is loaded.

A training recipe names a `stage` and holds every hyperparameter of it. The stages of the bundled model, in order:
`autoencoder`, `latents` (a cache), `text` (the tokenizer and a warm start of the text encoder), `diffusion`; and `judge`, the
classifier that evaluation uses. A later stage names the runs of the earlier ones.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
RunName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Optimisation(_Section):
    """How the weights move: AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) or Muon, with warm-up and a decay by step."""

    optimizer: Literal["adamw", "muon"] = "adamw"
    steps: Count
    batch_size: Count
    learning_rate: Positive
    warmup: int = Field(default=200, ge=0)
    decay: Literal["constant", "cosine", "linear"] = "cosine"
    decay_start: Fraction = 0.0  # share of the steps at the full rate before the decay begins
    final_rate: Fraction = 0.02  # share of the rate left at the end
    betas: tuple[Fraction, Fraction] = (0.9, 0.99)
    weight_decay: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    clip: Positive = 1.0
    ema: Fraction = 0.9995
    precision: Literal["no", "bf16", "fp16"] = "no"
    compile: bool = False


class Reporting(_Section):
    """How often a run speaks and saves, in steps."""

    every: Count = 20
    checkpoint: Count = 500
    sample: int = Field(default=0, ge=0)  # 0: no sample grids
    keep: Count = 2


class SceneData(_Section):
    """How often each kind of scene is drawn; see `scenes.scene.SceneMix`."""

    size: int = Field(default=128, ge=16, le=1024)
    font: str | None = None
    pairs: Fraction = 0.25
    counts: Fraction = 0.06
    sizes: Fraction = 0.12
    plain_background: Fraction = 0.4
    unsaid_background: Fraction = 0.15
    other_time: Fraction = 0.3
    styled: Fraction = 0.35


class AutoencoderStage(_Section):
    """Scenes to latents and back: AutoencoderKL (Rombach et al. 2022, arXiv 2112.10752) on random crops."""

    stage: Literal["autoencoder"]
    channels: tuple[Count, ...] = (24, 48, 96, 128)
    layers: Count = 1
    latent_channels: Count = 8
    groups: Count = 8
    crop: Count = 64
    crops_per_scene: Count = 2
    square_weight: float = Field(default=1.0, ge=0)
    edge_weight: float = Field(default=0.5, ge=0)
    kl_weight: float = Field(default=1e-6, ge=0)


class LatentStage(_Section):
    """A cache of encoded scenes: numbers `first` to `first + count` of the stream, in shards."""

    stage: Literal["latents"]
    autoencoder: RunName
    count: Count = 50_000
    shard: Count = 2_000
    first: int = Field(default=0, ge=0)


class TextStage(_Section):
    """The tokenizer, and a warm start of the text encoder: telling from a caption's last token what the scene shows."""

    stage: Literal["text"]
    vocabulary: int = Field(default=1400, ge=520, le=60_000)
    captions: Count = 40_000
    max_length: int = Field(default=40, ge=8, le=512)
    width: Count = 192
    layers: Count = 3
    heads: Count = 4


class DiffusionStage(_Section):
    """Text-conditional latent diffusion with v-prediction (Salimans and Ho 2022, arXiv 2202.00512), zero terminal SNR
    (Lin et al. 2023, arXiv 2305.08891) and min-SNR weights (Hang et al. 2023, arXiv 2303.09556)."""

    stage: Literal["diffusion"]
    autoencoder: RunName
    latents: tuple[RunName, ...]
    text: RunName
    start: RunName | None = None  # a diffusion run whose averaged weights this one begins with
    channels: tuple[Count, ...] = (64, 128, 256)
    layers: Count = 1
    attention: tuple[bool, ...] = (False, True, True)
    heads: Count = 8
    groups: Count = 16
    caption_dropout: Fraction = 0.1
    min_snr_gamma: Positive = 5.0
    weight_floor: Fraction = 0.25  # least weight of a step: min-SNR alone gives the noisiest ones none
    single_first: Fraction = 0.0  # share of the run that sees single objects only (a curriculum)


class JudgeStage(_Section):
    """A classifier of freshly rendered scenes, which knows nothing of any generator."""

    stage: Literal["judge"]
    width: Count = 32
    noise: Fraction = 0.05
    blur: Fraction = 0.3


Stage: TypeAlias = Annotated[
    AutoencoderStage | LatentStage | TextStage | DiffusionStage | JudgeStage, Field(discriminator="stage")
]


class TrainRecipe(_Section):
    """One training run: its `name` (a folder under the runs folder), its stage and all of its hyperparameters."""

    version: Literal[1] = 1
    name: RunName
    seed: int = Field(default=0, ge=0, lt=2**63)
    task: Stage
    optimisation: Optimisation | None = None
    reporting: Reporting = Reporting()
    data: SceneData = SceneData()

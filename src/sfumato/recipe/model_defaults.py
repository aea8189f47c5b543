"""What a model says about itself: what resolving a recipe asks of it."""

from dataclasses import dataclass

from sfumato.recipe.micro import TOLD_NOTHING, Told
from sfumato.recipe.of_model import ResolvedVae, SchedulePart
from sfumato.recipe.parts import MixMode
from sfumato.recipe.values import MAX_STEPS


@dataclass(frozen=True)
class ModelDefaults:
    """What a model says about itself: its identity, the sizes it draws, and what it likes.

    Sizes are pixels: multiples of `multiple` in [`min_size`, `max_size`]. `samplers` and `spacings` are the
    names that can be asked for, `max_steps` the timesteps the model was trained on. `fast_...` is what a fast
    recipe means with this model. One that `upscales` so many times is shown a small picture, on which at most
    `max_noise_level` steps of noise were put; 0: it draws from words. `text_layers` is how many layers its
    text encoder has, and `middle_attends` tells whether the middle of its UNet attends to itself. `told` is
    what its UNet is told beside the text. A `joint` one is a transformer in the place of a UNet. An
    `instructed` one is shown a picture, and changes it as the prompt says. `vae` and `schedule` are what a
    recipe has put in the place of the model's own: see `sfumato.models.given`.
    """

    name: str
    digest: str
    width: int
    height: int
    multiple: int
    min_size: int
    max_size: int
    steps: int
    sampler: str
    spacing: str
    guidance: float
    guidance_rescale: float
    samplers: tuple[str, ...]
    spacings: tuple[str, ...]
    max_steps: int = MAX_STEPS
    fast_cache_interval: int = 3
    fast_guidance_start: float = 0.0
    fast_guidance_stop: float = 1.0
    mix_mode: MixMode = "branches"
    upscales: int = 0
    max_noise_level: int = 0
    text_layers: int = 12
    middle_attends: bool = True
    joint: bool = False
    told: Told = TOLD_NOTHING
    instructed: bool = False
    vae: ResolvedVae | None = None
    schedule: SchedulePart | None = None

"""What a run tells whoever iterates it: frozen values, in the order started, steps and pictures, done."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.loop import Step
from sfumato.recipe.image import Resolved


@dataclass(frozen=True)
class Started:
    """The first event. `indices` are the pictures to come, `total_steps` all steps of all their batches.

    `backend` says what will run; `warnings` are sentences about what cannot be done as asked.
    """

    resolved: Resolved
    indices: tuple[int, ...]
    total_steps: int
    backend: str
    warnings: tuple[str, ...]


class Surroundings(Protocol):
    """What lies around the window of the pictures that a step draws in, where that is not all of them."""

    def around(self, pixels: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Return whole pictures `(B,H,W,3)` in about [-1, 1] with what `pixels (B,h,w,3)` show of them."""
        ...


@dataclass(frozen=True, eq=False)
class StepDone:
    """One step of the pictures `indices`. `finished_steps` of the `total_steps` of the run are done.

    `preview (B,H,W,3)` uint8 is an approximate picture of each, on the steps it was asked for. `step` holds
    the backend's own arrays: look at them here, and send only the preview to another thread or process.
    `surroundings` says what is around the latents, where a picture is drawn window by window.
    """

    step: Step
    indices: tuple[int, ...]
    finished_steps: int
    total_steps: int
    preview: NDArray[np.uint8] | None
    surroundings: Surroundings | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A finished picture: `pixels (H,W,3)` uint8, and the `resolved` recipe that draws exactly it again."""

    index: int
    resolved: Resolved
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class SteppedDown:
    """Memory ran out, and the run goes on with less at a time: `warnings` say how. The pictures `indices` are
    those that are not finished; steps that were seen of them come again.
    """

    indices: tuple[int, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Done:
    """The last event. `seconds` by stage: import, load, encode, steps, preview, decode, and their total.

    `import` and `load` are zero when the model was loaded before the run. `warnings` are sentences about what
    came up after Started.
    """

    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()


Event: TypeAlias = Started | StepDone | Picture | SteppedDown | Done
Events: TypeAlias = Generator[Event, None, None]  # an Iterator[Event] that can be closed early

"""What a run does when memory runs out: it asks for less at a time, says so, and draws again what was begun.

Rungs, each taken once: half as many rows in one call of the network, then one; decoding in tiles, then in the
smallest; one network in memory at a time, then one layer. Only rungs that help what ran out are taken. Noise
belongs to a picture, whatever is drawn with it, so that pictures are the same, but for what tiles change, and
for the last digits of numbers that are added up in another order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from sfumato.engine.conditions import compile_plan
from sfumato.engine.events import Done, Event, Picture, Started, StepDone, SteppedDown
from sfumato.engine.preparing import batch_size, latent_shape, windows_for
from sfumato.errors import OutOfMemoryError
from sfumato.models.bundle import ModelBundle, rows_within
from sfumato.models.memory import DECODING, PREDICTING, give_back
from sfumato.models.tiling import SMALLEST
from sfumato.recipe.image import Resolved

#: A bundle that needs less memory, and what is different, as the end of a sentence.
Less: TypeAlias = tuple[ModelBundle, str]

SMALLER: Final = 4  # times: how much less is decoded at a time
LAST_HINT: Final = "Draw a smaller picture, close other programs, or use a model with fewer weights."


@dataclass(eq=False)
class Stairs:
    """What is left to draw of a run, and the `bundle` that draws it: the model, with less and less memory.

    `may_offload` is False where something else holds on to the networks.
    """

    resolved: Resolved
    bundle: ModelBundle
    left: tuple[int, ...]
    may_offload: bool = True
    _before: int = 0  # steps of the runs that did not end
    _finished: int = 0
    _started: bool = False

    def passed(self, event: Event) -> Event | None:
        """Return what the consumer of the run sees of an event of the run that draws now; None: nothing."""
        match event:
            case Started():
                first, self._started = not self._started, True
                return event if first else None
            case StepDone():
                self._finished = self._before + event.finished_steps
                if not self._before:
                    return event
                total = self._before + event.total_steps
                return replace(event, finished_steps=self._finished, total_steps=total)
            case Picture():
                self.left = tuple(index for index in self.left if index != event.index)
                return event
            case Done() | SteppedDown():
                return event

    def down(self, error: OutOfMemoryError) -> SteppedDown:
        """Take the next rung after `error`. Raises it, with what can be done, when there is none."""
        found = self._next(error.field)
        if found is None:
            said = f"{error.message}, and less cannot be asked for at a time"
            raise OutOfMemoryError(said, field=error.field, hint=LAST_HINT) from None
        import traceback  # not needed where memory suffices

        self.bundle, what = found
        self._before = self._finished
        traceback.clear_frames(error.__traceback__)  # the latents of what was begun
        give_back()
        begun = "" if not self._started else "; what was begun is drawn again"
        doing = error.field or "drawing"
        return SteppedDown(self.left, (f"The memory ran out while {doing}: {what}{begun}.",))

    def _next(self, doing: str | None) -> Less | None:
        rungs: list[Less | None] = []
        if doing == PREDICTING:
            rungs.append(_fewer_rows(self.resolved, self.bundle, self.left))
        if doing == DECODING:
            rungs.append(_smaller_tiles(self.resolved, self.bundle))
        if self.may_offload:
            rungs.append(_offloaded(self.bundle))
        return next((one for one in rungs if one is not None), None)


def _fewer_rows(resolved: Resolved, bundle: ModelBundle, left: Sequence[int]) -> Less | None:
    rows = _rows(resolved, bundle, len(left))
    if rows == 1:
        return None
    # Half as many the first time, and then one: a run shall not begin again six times.
    fewer = 1 if bundle.max_rows is not None else -(-rows // 2)
    return _with(bundle, max_rows=fewer), f"at most {fewer} of {rows} rows go through the network at a time"


def _rows(resolved: Resolved, bundle: ModelBundle, pictures: int) -> int:
    """Return how many rows one call of the network has at most."""
    windows, (height, width) = windows_for(resolved, bundle), latent_shape(resolved, bundle)[1:]
    seen = (height, width) if windows is None else windows.size(height, width)
    most, plan = rows_within(bundle, *seen), compile_plan(resolved)
    return min(most, plan.max_branches * min(pictures, batch_size(plan, most)))


def _smaller_tiles(resolved: Resolved, bundle: ModelBundle) -> Less | None:
    _, height, width = latent_shape(resolved, bundle)
    if resolved.hires is not None:
        width, height = (side // bundle.downsample for side in resolved.hires.sizes[-1])
    whole, least = height * width, SMALLEST * SMALLEST
    now = whole if bundle.max_latents is None else min(whole, bundle.max_latents)
    if now <= least:
        return None
    again = bundle.max_latents is not None and bundle.max_latents < whole
    fewer = least if again else max(least, now // SMALLER)
    what = "pictures are decoded in tiles, which may differ a little in tone"
    return _with(bundle, max_latents=fewer), what


def _offloaded(bundle: ModelBundle) -> Less | None:
    refiner = bundle.refiner
    try:
        leaner = bundle.backend.leaner()
        less = None if refiner is None else refiner.backend.leaner()
    except OutOfMemoryError:  # there is not even enough to change what is there
        return None
    if leaner is None and less is None:
        return None
    if refiner is not None:
        refiner = refiner if less is None else replace(refiner, backend=less)
    backend = bundle.backend if leaner is None else leaner
    return replace(bundle, backend=backend, refiner=refiner), "less of the model is in memory at a time"


def _with(bundle: ModelBundle, *, max_rows: int | None = None, max_latents: int | None = None) -> ModelBundle:
    """Return a bundle, and what is beside it, with other limits; None leaves one as it is."""
    refiner = bundle.refiner
    return replace(
        bundle,
        max_rows=bundle.max_rows if max_rows is None else max_rows,
        max_latents=bundle.max_latents if max_latents is None else max_latents,
        refiner=None if refiner is None else _with(refiner, max_rows=max_rows, max_latents=max_latents),
    )

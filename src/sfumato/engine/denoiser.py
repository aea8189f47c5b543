"""A plan and the networks, as the one function a solver needs: D(x, sigma) -> x0."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from sfumato.engine.features import Features, Known
from sfumato.engine.plan import Branch, Conditioning, Guided, Plan
from sfumato.engine.steering import Steering, steer
from sfumato.engine.texts import Added, Texts, added_to, for_each
from sfumato.engine.windows import Chunk, Windows, over_windows
from sfumato.models.backends.base import Array, Backend, Extra
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.schedule import Schedule, scale_in, to_x0


class Attending(Protocol):
    """Watches what the network attends to while it predicts."""

    def begin(self, batch: tuple[int, ...], /) -> None:
        """Be told that the pictures `batch` are drawn next."""
        ...

    def during(self, asked: Sequence[Conditioning], size: tuple[int, int], /) -> AbstractContextManager[None]:
        """Watch one evaluation: of every conditioning of `asked` a row for each picture of the batch, at
        latents of `size (h,w)`.
        """
        ...


@dataclass(frozen=True, eq=False)
class Denoiser:
    """Runs the branches of `plan` that are active at a step as one batch, and takes their weighted sum.

    `texts` holds the encoded text of every conditioning; `max_rows` bounds the rows of one network call, and
    with them its memory. `features` is for plans with steps that reuse: those must be taken in order, as a
    step that reuses needs the full one before it. `controls` are the ControlNets that steer it, and
    `attending` watches every evaluation. Latents larger than one of `windows` are predicted in windows, and
    `max_rows` is of those.
    """

    backend: Backend
    schedule: Schedule
    plan: Plan
    texts: Texts
    max_rows: int
    features: Features = field(default_factory=Features)
    controls: tuple[Steering, ...] = ()
    attending: Attending | None = None
    windows: Windows | None = None

    def at(self, step: int) -> Callable[[Array, float], Array]:
        """Return D for step `step`, which may call it several times (Heun) at levels of its own choice."""
        return partial(self._x0, step)

    def _x0(self, step: int, x: Array, sigma: float) -> Array:
        active = [branch for branch in self.plan.branches if step in branch.steps]
        for projection in self.plan.project:
            x = projection.before(x, sigma)
        asked = [branch.conditioning for branch in active]
        watching = self.attending is not None and self.attending.during(asked, tuple(x.shape[2:]))
        with watching or nullcontext():
            outputs = self._predicted(asked, step, x, sigma)
        # Weights sum to one and x0 is affine in the output, so summing outputs is summing x0, with one
        # conversion.
        output = _weighted([self._weight(branch, 0) for branch in active], outputs)
        reference = _weighted([self._weight(branch, 1) for branch in active], outputs)
        prediction = self.schedule.prediction
        guided = Guided(x, sigma, output, reference, prediction, step)
        for combine in self.plan.combine:
            guided = replace(guided, output=combine(guided))
        x0 = to_x0(guided.output, x, sigma, prediction)
        for projection in self.plan.project:
            x0 = projection.after(x0, guided)
        return x0

    def _weight(self, branch: Branch, which: int) -> Array:
        """Return a branch's weight (`which` 0) or reference (1): a number, or `(1,1,h,w)` with regions."""
        total = (branch.weight, branch.reference)[which]
        for number, weights in enumerate(branch.maps):
            if weights[which] != 0:
                assert self.plan.maps is not None  # made for every drawing with regions
                total = total + self.plan.maps[number] * weights[which]
        return total

    def _predicted(self, asked: Sequence[Conditioning], step: int, x: Array, sigma: float) -> list[Array]:
        """Return the network output `(B,C,h,w)` for every conditioning of `asked`."""
        told = self.plan.extra
        if self.plan.tiling is None and not any(one.perturbed for one in asked):
            return self._outputs(asked, step, x, sigma, told)
        from sfumato.engine.wrapping import around, margin_of, within  # few drawings have any of this

        margin = 0, 0
        if self.plan.tiling is not None:
            margin = margin_of(self.plan.tiling, *x.shape[2:])
            x = around(x, margin)
        made: dict[Conditioning, Array] = {}
        for perturbed in (False, True):
            some = [one for one in asked if one.perturbed is perturbed]
            if some:
                given = replace(told, perturbed=True) if perturbed else told
                made |= zip(some, self._outputs(some, step, x, sigma, given), strict=True)
        return [within(made[one], margin) for one in asked]

    def _outputs(
        self, asked: Sequence[Conditioning], step: int, x: Array, sigma: float, told: Extra
    ) -> list[Array]:
        """Return the network output `(B,C,h,w)` for every conditioning of `asked`, in calls that are `told`
        the same.
        """
        xp = array_namespace(x)
        told = told if self.plan.label is None else replace(told, label=self.plan.label)
        num_pictures = x.shape[0]
        t = self.schedule.t_of(sigma)
        latents = scale_in(x, sigma, self.schedule.prediction)
        if self.plan.channels is None:
            rows = xp.concat([latents] * len(asked), axis=0)
        else:
            from sfumato.engine.instructing import rows_of  # few networks are shown anything beside x

            rows = rows_of(latents, for_each(self.plan.channels, num_pictures), asked)
        steering = [one for one in self.controls if step in one.steps]
        steered = xp.concat([latents] * len(asked), axis=0) if steering else rows
        contexts = self.texts.contexts
        context = xp.concat([for_each(contexts[one], num_pictures) for one in asked], axis=0)
        added = added_to(self.plan, self.texts, asked, num_pictures, self.backend)
        if self.windows is not None and self.windows.needed(*x.shape[2:]):
            return self._windowed(asked, step, sigma, rows, steered, context, told, added)
        chunks = [slice(at, at + self.max_rows) for at in range(0, rows.shape[0], self.max_rows)]

        def by_branch(parts: Sequence[Array]) -> list[Array]:
            whole = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
            return [whole[k * num_pictures : (k + 1) * num_pictures] for k in range(len(asked))]

        def extra(chunk: slice) -> Extra:
            given = told if added is None else added.told(told, lambda whole: whole[chunk])
            return steer(steering, steered[chunk], t, context[chunk], given) if steering else given

        if not self.plan.reusing:
            parts = [self.backend.predict(rows[one], t, context[one], extra(one)) for one in chunks]
            return by_branch(parts)
        reuse = step in self.plan.reusing
        kept = xp.concat([self.features.at(one, sigma) for one in asked], axis=0) if reuse else None
        made = [
            self.backend.predict_reusing(
                rows[one], t, context[one], None if kept is None else kept[one], extra(one)
            )
            for one in chunks
        ]
        if not reuse:
            for one, features in zip(asked, by_branch([features for _, features in made]), strict=True):
                self.features.keep(one, Known(step, sigma, features))
        return by_branch([output for output, _ in made])

    def _windowed(
        self,
        asked: Sequence[Conditioning],
        step: int,
        sigma: float,
        rows: Array,
        steered: Array,
        context: Array,
        told: Extra,
        added: Added | None,
    ) -> list[Array]:
        """Return what `_outputs` does, predicted in windows: for each conditioning, as many of `rows
        (R,C,h,w)`. Deep features are blended as outputs are, and so fit the windows of the next step.
        """
        assert self.windows is not None
        downsample, t = self.windows.downsample, self.schedule.t_of(sigma)
        steering = [one for one in self.controls if step in one.steps]
        reuse = step in self.plan.reusing
        kept = None
        if reuse:
            kept = array_namespace(rows).concat([self.features.at(one, sigma) for one in asked], axis=0)

        def evaluate(chunk: Chunk) -> tuple[Array, ...]:
            texts = chunk.of_rows(context)
            extra = told if added is None else added.told(told, chunk.of_rows)
            if steering:
                shown = [replace(one, hint=chunk.cut_hint(one.hint, downsample)) for one in steering]
                extra = steer(shown, chunk.cut(steered), t, texts, extra)
            if not self.plan.reusing:
                return (self.backend.predict(chunk.cut(rows), t, texts, extra),)
            features = None if kept is None else chunk.cut(kept)
            output, features = self.backend.predict_reusing(chunk.cut(rows), t, texts, features, extra)
            return (output,) if reuse else (output, features)

        tiling = self.windows.at(step, *rows.shape[2:])
        made = over_windows(tiling, rows.shape[0], self.max_rows, evaluate, self.backend.asarray)
        each = rows.shape[0] // len(asked)

        def of(whole: Array, number: int) -> Array:
            return whole[number * each : (number + 1) * each]

        for features in made[1:]:
            for number, one in enumerate(asked):
                self.features.keep(one, Known(step, sigma, of(features, number)))
        return [of(next(iter(made)), number) for number in range(len(asked))]


def _weighted(weights: Sequence[Array], outputs: Sequence[Array]) -> Array:
    total = outputs[0] * weights[0]
    for weight, output in zip(weights[1:], outputs[1:], strict=True):
        total = total + output * weight
    return total

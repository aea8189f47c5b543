"""Conditions compile to a plan: frozen data that says what the network is asked at every step.

Each part of a recipe is one function `part, plan, context -> plan`, folded in a fixed order. The plan before
any part draws unconditionally. Guidance, AND and mix are all weights on branches, and the weights of a step
sum to one, so they nest freely: a mix of guided prompts is the weighted sum of their branches, with equal
branches evaluated once.

Guidance is `uncond + s * (cond - uncond)` (Ho and Salimans 2022, arXiv 2207.12598, Eq. 6), for several
prompts joined by AND `uncond + s * sum(w * (cond - uncond))` (Liu et al. 2022, arXiv 2206.01714, Eq. 11).
Guidance by a picture, of models that are shown one, is a third branch: see `sfumato.engine.instructing`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from sfumato.engine.plan import UNCONDITIONAL, Branch, Conditioning, Context, Guided, Plan
from sfumato.models.backends.base import Array
from sfumato.recipe.adapters import ResolvedAdapters
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import ResolvedHires, ResolvedWindows
from sfumato.recipe.image import Resolved
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.of_model import ResolvedVae, SchedulePart
from sfumato.recipe.prompt import Prompt, compile_prompt
from sfumato.recipe.refining import ResolvedRefine
from sfumato.recipe.resolved_parts import (
    ResolvedControls,
    ResolvedExtend,
    ResolvedImage,
    ResolvedLowRes,
    ResolvedMask,
    ResolvedMix,
    ResolvedPart,
    ResolvedRegions,
    ResolvedText,
    ResolvedVariation,
)
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.schedule import to_x0

EVERYWHERE = 0.2  # of a prompt's share of a mix in bands is the same at every place
NOTHING = 1e-12  # a weight below this is the rounding of a sum that should be zero


@dataclass(frozen=True)
class GuidanceRescale:
    """Scale the guided output back towards the contrast it has without guidance, by `share` in [0, 1].

    Lin et al. 2023 (arXiv 2305.08891) Section 3.4, Eq. 14 to 16: strong guidance inflates the standard
    deviation over a picture, which zero terminal SNR turns into blown-out colours.
    """

    share: float

    def before(self, x: Array, sigma: float) -> Array:
        return x

    def after(self, x0: Array, guided: Guided) -> Array:
        xp = array_namespace(x0)
        over = tuple(range(1, x0.ndim))
        wanted = xp.std(guided.reference, axis=over, correction=1, keepdims=True)
        actual = xp.std(guided.output, axis=over, correction=1, keepdims=True)
        one = xp.ones_like(actual)
        ratio = xp.where(actual > 0, wanted / xp.where(actual > 0, actual, one), one)
        output = guided.output * (ratio * self.share + (1 - self.share))
        return to_x0(output, guided.x, guided.sigma, guided.prediction)


def compile_plan(resolved: Resolved, first: int | None = None) -> Plan:
    """Return the plan of a recipe; without parts it draws unconditionally. It begins at step `first`, or
    where its image says.
    """
    rescaled = resolved.text is not None and resolved.text.guidance_rescale > 0
    referring = rescaled or (resolved.extras is not None and resolved.extras.refers)
    micro = resolved.micro
    sizes = None if micro is None else micro.ids(resolved.width, resolved.height)
    # A network that is told the guidance predicts what guidance would make of two predictions.
    guidance = 1.0 if resolved.embedded else resolved.guidance
    sided = sizes is not None and sizes[0] != sizes[1]
    picture = 1.0 if resolved.image_guidance is None else resolved.image_guidance
    context = Context(resolved.steps, guidance, resolved.text, referring, sided, picture)
    plan = Plan(_unguided(context), sizes=sizes)
    if resolved.embedded:
        plan = replace(plan, extra=replace(plan.extra, guidance=resolved.guidance))
    for part in resolved.parts:  # in the fixed order of PART_ORDER
        plan = apply(part, plan, context)
    plan = replace(plan, start=resolved.first_step if first is None else first)
    return replace(plan, reusing=reusing_steps(plan, resolved.steps, resolved.cache_interval))


def apply(part: ResolvedPart, plan: Plan, context: Context) -> Plan:
    """Return `plan` with `part` added to it.

    ControlNets, an image, a mask, an extension and a small picture add arrays, which
    `sfumato.engine.controls`, `edits` and `low_res` make.
    """
    match part:
        case ResolvedText():
            return _text(part, plan, context)
        case ResolvedMix():
            return _mix(part, plan, context)
        case ResolvedRegions():
            return _regions(part, plan, context)
        case ResolvedControls() | ResolvedImage() | ResolvedMask() | ResolvedExtend() | ResolvedVariation():
            return plan
        case ResolvedWindows() | ResolvedHires() | ResolvedLowRes() | MicroPart() | ResolvedAdapters():
            return plan
        case ResolvedVae() | SchedulePart():  # the model has them: see `sfumato.models.given`
            return plan
        case ResolvedRefine():  # the end of it is another plan: see `sfumato.engine.refining`
            return plan
        case ExtrasPart():
            from sfumato.engine.extras import add_extras  # most drawings have none

            return add_extras(part, plan, context)


def reusing_steps(plan: Plan, num_steps: int, interval: int) -> frozenset[int]:
    """Return the steps at which every active branch has features less than `interval` steps old.

    With branches that last, every `interval`-th step from the first runs in full. A conditioning that was not
    there before, or not for long, has no features to reuse, so the step at which it comes runs in full as
    well, for all branches.
    """
    made: dict[Conditioning, int] = {}
    reusing: set[int] = set()
    for step in range(plan.start, num_steps):
        active = {branch.conditioning for branch in plan.branches if step in branch.steps}
        if all(one in made and step - made[one] < interval for one in active):
            reusing.add(step)
        else:
            made |= dict.fromkeys(active, step)
    return frozenset(reusing)


Reading: TypeAlias = tuple[tuple[float, Conditioning], ...]  # what AND joins, with weights


@dataclass(frozen=True)
class _Readings:
    """A prompt over a run: `variants[order[step]]` is what it says at `step`."""

    variants: tuple[Reading, ...]
    order: tuple[int, ...]


def _text(part: ResolvedText, plan: Plan, context: Context) -> Plan:
    branches = _guided(_read(part.prompt, context.num_steps), context)
    rescale = part.guidance_rescale
    project = (*plan.project, GuidanceRescale(rescale)) if rescale > 0 else plan.project
    return replace(plan, branches=branches, project=project)


def _mix(part: ResolvedMix, plan: Plan, context: Context) -> Plan:
    added = [(one.ratio, _read(one.prompt, context.num_steps)) for one in part.prompts]
    if part.mode == "embeddings":
        main = _read("" if context.text is None else context.text.prompt, context.num_steps)
        return replace(plan, branches=_guided(_blend([(part.ratio, main), *added]), context))
    guided = [(share, _guided(readings, context)) for share, readings in added]
    mixed = [(part.ratio, plan.branches), *guided]
    if part.mode == "bands":
        return replace(plan, branches=_merge_shares(_in_bands(mixed), context.references))
    return replace(plan, branches=_merge(mixed))


def _in_bands(mixed: Sequence[tuple[float, tuple[Branch, ...]]]) -> Iterator["_Weighted"]:
    """Give each prompt its band's share of the picture, and a little of it everywhere: parts of one thing
    should know of each other.
    """
    for number, (share, branches) in enumerate(mixed):
        bands = tuple((1 - EVERYWHERE) * (other == number) for other in range(len(mixed)))
        yield EVERYWHERE * share, bands, branches


def _regions(part: ResolvedRegions, plan: Plan, context: Context) -> Plan:
    """Give each region its map's share of the picture, and what was there the rest: `(1 - sum(m)) b + sum(m
    r)` for branches b that were there, maps m and the branches r of the regions. Maps that b has already are
    zero where regions are, see `sfumato.engine.regions.share_maps`.
    """
    count = len(part.regions)
    parts: list[_Weighted] = [(1.0, (-1.0,) * count, plan.branches)]
    for number, region in enumerate(part.regions):
        share = tuple(float(other == number) for other in range(count))
        parts.append((0.0, share, _guided(_read(region.prompt, context.num_steps), context)))
    return replace(plan, branches=_merge_shares(parts, context.references))


def _unguided(context: Context) -> tuple[Branch, ...]:
    """Return the branches of a drawing without a prompt."""
    steps = frozenset(range(context.num_steps))
    seeing = Branch(UNCONDITIONAL, context.picture, 1.0, steps)
    blind = Branch(replace(UNCONDITIONAL, blind=True), 1.0 - context.picture, 0.0, steps)
    return _merge([(1.0, (seeing, blind))])


def _guided(positive: _Readings, context: Context) -> tuple[Branch, ...]:
    """Return the branches of a prompt with guidance, inside and outside the guidance window."""
    text = context.text
    negative = _read("" if text is None else text.negative, context.num_steps)
    if context.sided:
        negative = replace(negative, variants=tuple(map(_negative, negative.variants)))
    steps: dict[tuple[int, int, bool], set[int]] = {}
    for step in range(context.num_steps):
        key = positive.order[step], negative.order[step], _in_window(step, context)
        steps.setdefault(key, set()).add(step)
    parts: list[tuple[float, tuple[Branch, ...]]] = []
    for (plus, minus, inside), when in steps.items():
        for conditioning, weight, reference in _weights(
            positive.variants[plus],
            negative.variants[minus],
            context.guidance if inside else None,
            context.picture if inside else 1.0,
        ):
            parts.append((1.0, (Branch(conditioning, weight, reference, frozenset(when)),)))
    return _merge(parts, context.references)


def _weights(
    positive: Reading, negative: Reading, guidance: float | None, picture: float
) -> Iterable[tuple[Conditioning, float, float]]:
    """Yield `(conditioning, weight, reference)` of one step; `guidance` None outside the window. `picture`
    is the guidance by a picture, 1 without any.
    """
    total = sum(weight for weight, _ in positive)
    if guidance is None and total > 0:
        # No unconditional prediction here, so the weights of AND must make one by themselves.
        for weight, conditioning in positive:
            yield conditioning, weight / total, weight / total
        return
    scale = 1.0 if guidance is None else guidance
    for weight, conditioning in positive:
        yield conditioning, scale * weight, weight
    for share, conditioning in _normalised(negative):
        yield conditioning, share * (picture - scale * total), share * (1 - total)
        yield replace(conditioning, blind=True), share * (1 - picture), 0.0


def _merge(
    parts: Iterable[tuple[float, tuple[Branch, ...]]], keep_references: bool = True
) -> tuple[Branch, ...]:
    """Return the weighted sum of branches: equal conditionings become one, and those that add nothing go."""
    return _merge_shares([(share, (), branches) for share, branches in parts], keep_references)


_Weighted: TypeAlias = tuple[float, tuple[float, ...], tuple[Branch, ...]]  # a share, and one of each map


def _merge_shares(parts: Iterable[_Weighted], keep_references: bool) -> tuple[Branch, ...]:
    """Return the sum of branches, each weighted by a share of the whole picture and one of each map. The maps
    that branches have already come before these.
    """
    parts = tuple(parts)
    known = max((len(branch.maps) for _, _, branches in parts for branch in branches), default=0)
    sums: dict[Conditioning, dict[int, list[tuple[float, float]]]] = {}
    for share, maps, branches in parts:
        for branch in branches:
            at = sums.setdefault(branch.conditioning, {})
            whole = branch.weight, branch.reference
            own = branch.maps or ((0.0, 0.0),) * known
            adds = [
                *((share * one[0], share * one[1]) for one in (whole, *own)),
                *((one * whole[0], one * whole[1]) for one in maps),
            ]
            for step in branch.steps:
                before = at.get(step, [(0.0, 0.0)] * len(adds))
                at[step] = [
                    (weight + more[0], reference + more[1])
                    for (weight, reference), more in zip(before, adds, strict=True)
                ]
    merged: list[Branch] = []
    for conditioning, at in sums.items():
        groups: dict[tuple[tuple[float, float], ...], set[int]] = {}
        for step, weights in at.items():
            if any(abs(w) > NOTHING or (keep_references and abs(r) > NOTHING) for w, r in weights):
                groups.setdefault(tuple(weights), set()).add(step)
        for weights, when in groups.items():
            (weight, reference), *rest = weights
            merged.append(Branch(conditioning, weight, reference, frozenset(when), _kept(rest)))
    return tuple(merged)


def _kept(maps: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return the weights of maps without what rounding left; empty when nothing is left at all."""
    clean = tuple((w if abs(w) > NOTHING else 0.0, r if abs(r) > NOTHING else 0.0) for w, r in maps)
    return clean if any(w != 0 or r != 0 for w, r in clean) else ()


def _read(prompt: str, num_steps: int) -> _Readings:
    compiled = compile_prompt(prompt, num_steps)
    variants = tuple(
        tuple((weight, Conditioning(((1.0, text),))) for weight, text in composite)
        for composite in compiled.variants
    )
    return _Readings(variants, tuple(compiled.index_at(step) for step in range(num_steps)))


def _blend(mixed: Sequence[tuple[float, _Readings]]) -> _Readings:
    """Return prompts blended as encoded text. What AND joins is blended by its weights as well."""
    variants: dict[Reading, int] = {}
    order: list[int] = []
    seen: dict[tuple[int, ...], int] = {}
    for key in zip(*(readings.order for _, readings in mixed), strict=True):
        if key not in seen:
            shares: dict[Prompt, float] = {}
            for (share, readings), index in zip(mixed, key, strict=True):
                for part, conditioning in _normalised(readings.variants[index]):
                    for inner, prompt in conditioning.blend:
                        shares[prompt] = shares.get(prompt, 0.0) + share * part * inner
            blend = tuple((share, prompt) for prompt, share in shares.items() if abs(share) > NOTHING)
            seen[key] = variants.setdefault(((1.0, Conditioning(blend)),), len(variants))
        order.append(seen[key])
    return _Readings(tuple(variants), tuple(order))


def _negative(reading: Reading) -> Reading:
    return tuple((weight, replace(conditioning, negative=True)) for weight, conditioning in reading)


def _normalised(reading: Reading) -> Reading:
    total = sum(weight for weight, _ in reading)
    if total > 0:
        return tuple((weight / total, conditioning) for weight, conditioning in reading)
    return tuple((1 / len(reading), conditioning) for _, conditioning in reading)


def _in_window(step: int, context: Context) -> bool:
    text = context.text
    return text is None or text.guidance_start <= step / context.num_steps < text.guidance_stop

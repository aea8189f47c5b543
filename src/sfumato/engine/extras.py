"""The extras of a recipe, added to a plan: each effect has a file of its own."""

from collections import Counter
from dataclasses import replace

from sfumato.engine.apg import Projected
from sfumato.engine.perturbing import with_perturbed
from sfumato.engine.plan import Context, Plan
from sfumato.engine.thresholding import DynamicThreshold
from sfumato.models.backends.base import FreeU, Work
from sfumato.recipe.extras import ExtrasPart


def add_extras(part: ExtrasPart, plan: Plan, context: Context) -> Plan:
    """Return `plan` with the effects of `part` but clip skip, which belongs to how text is encoded.

    Branches are perturbed as they are at the end, so the part comes after all that make branches.
    """
    pag = 0.0 if part.pag is None else part.pag
    if pag > 0:
        plan = with_perturbed(plan, pag)
    if part.apg is not None:
        scale = abs(context.guidance - 1) + (context.picture - 1) + pag
        projected = Projected(part.apg.eta, part.apg.norm, part.apg.momentum, scale)
        plan = replace(plan, combine=(*plan.combine, projected))
    if part.threshold is not None:
        plan = replace(plan, project=(*plan.project, DynamicThreshold(part.threshold)))
    if part.freeu is not None:
        factors = FreeU(part.freeu.b1, part.freeu.b2, part.freeu.s1, part.freeu.s2)
        plan = replace(plan, extra=replace(plan.extra, freeu=factors))
    return replace(plan, tiling=part.tiling)


def extra_work(work: Work, plan: Plan, skipped: int) -> Work:
    """Return `work`, of which `rows` counts all branches of `plan`, with perturbed branches counted apart and
    so many of the text encoder's layers `skipped`.
    """
    pictures = max(1, work.rows // plan.max_branches)
    steps = Counter(step for one in plan.branches if one.conditioning.perturbed for step in one.steps)
    perturbed = max(steps.values(), default=0)
    return replace(
        work,
        rows=work.rows - perturbed * pictures,
        perturbed=perturbed * pictures,
        skipped=skipped,
        freeu=plan.extra.freeu is not None,
    )

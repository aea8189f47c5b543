"""Perturbed-attention guidance: away from what the network predicts when it cannot see structure.

Ahn et al. 2024 (arXiv 2403.17377), Equation 13: the network is asked once more with the self-attention of its
middle replaced by the identity map, and the prediction goes `scale` times as far from that one. Unlike
guidance by the prompt it also works without a prompt.
"""

from dataclasses import replace

from sfumato.engine.plan import Branch, Plan


def with_perturbed(plan: Plan, scale: float) -> Plan:
    """Return `plan` with a perturbed branch beside every branch that draws without guidance: at every step
    and place, `scale * (c - p)` is added for their weighted sum c and the perturbed one p.

    The references, and so rescaled guidance, do not change.
    """
    branches: list[Branch] = []
    perturbed: list[Branch] = []
    for one in plan.branches:
        if one.reference == 0 and all(reference == 0 for _, reference in one.maps):
            branches.append(one)
            continue
        more = tuple((weight + scale * reference, reference) for weight, reference in one.maps)
        branches.append(replace(one, weight=one.weight + scale * one.reference, maps=more))
        less = tuple((-scale * reference, 0.0) for _, reference in one.maps)
        perturbed.append(
            Branch(replace(one.conditioning, perturbed=True), -scale * one.reference, 0.0, one.steps, less)
        )
    return replace(plan, branches=(*branches, *perturbed))

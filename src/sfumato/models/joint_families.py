"""Families of models whose network is a transformer (Stable Diffusion 3 and 3.5), told by the shapes of their
tensors in diffusers' layout: a sibling of `sfumato.models.families`, as levels of a UNet fit none of them.

The numbers of parameters are the published ones; the table of places (`pos_embed`), which is not trained,
is not among them. Large and Turbo of 3.5 have the same network.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sfumato.models.original.parts import Shape, numbered

_LAYER: Final = "transformer_blocks.{}.attn.to_q.weight"
_TWICE: Final = "transformer_blocks.{}.attn2.to_q.weight"
MAX_LAYERS: Final = 200


@dataclass(frozen=True)
class Joint:
    """The shape of a transformer: so many `layers` of `width`, the first `twice` of which attend twice, with
    norms of queries and keys (`normed`) or without, and a table of `places` a side; it attends to `context`
    numbers per token, and is told a text of `pooled` numbers.
    """

    layers: int
    width: int
    normed: bool
    twice: int
    places: int
    context: int = 4096
    pooled: int = 2048
    channels: int = 16


@dataclass(frozen=True)
class JointFamily:
    """A family: its `name` in commands, its `title` for people, its shape, and its parameters."""

    name: str
    title: str
    joint: Joint
    parameters: int


FAMILIES: Final = (
    JointFamily("sd3-medium", "Stable Diffusion 3 medium", Joint(24, 1536, False, 0, 192), 2_028_328_000),
    JointFamily("sd3.5-medium", "Stable Diffusion 3.5 medium", Joint(24, 1536, True, 13, 384), 2_243_171_520),
    JointFamily(
        "sd3.5-large", "Stable Diffusion 3.5 large or Turbo", Joint(38, 2432, True, 0, 192), 8_056_627_520
    ),
)


def joint_of_diffusers(shapes: Mapping[str, Shape]) -> Joint | None:
    """Return the shape of a transformer in diffusers' layout, from the `shapes` of its tensors; None where
    they make none.
    """
    layers = numbered(shapes, _LAYER, MAX_LAYERS)
    first, table = shapes.get("pos_embed.proj.weight", ()), shapes.get("pos_embed.pos_embed", ())
    context = shapes.get("context_embedder.weight", ())
    pooled = shapes.get("time_text_embed.text_embedder.linear_1.weight", ())
    if not layers or (len(first), len(table), len(context), len(pooled)) != (4, 3, 2, 2):
        return None
    return Joint(
        layers=layers,
        width=first[0],
        normed="transformer_blocks.0.attn.norm_q.weight" in shapes,
        twice=numbered(shapes, _TWICE, MAX_LAYERS),
        places=math.isqrt(table[1]),
        context=context[1],
        pooled=pooled[1],
        channels=first[1],
    )


def joint_family_of(joint: Joint) -> JointFamily | None:
    """Return the family of a transformer; None for a stranger."""
    return next((one for one in FAMILIES if one.joint == joint), None)


def seen(joint: Joint) -> str:
    """Return what a transformer of no known family looks like, for people."""
    norms = "with norms of queries and keys" if joint.normed else "without norms of queries and keys"
    return f"a transformer of {joint.layers} layers of {joint.width} channels, {joint.twice} twice, {norms}"

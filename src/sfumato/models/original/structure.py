"""What a UNet in the original layout looks like, read from the names and shapes of its tensors alone.

Files say little about themselves, and their names lie: one that calls itself XL may be half as deep. What a
tensor measures cannot lie, so every number that the weights decide is derived from them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

#: Channels of an attention head since Stable Diffusion 2. The first one, whose transformers are entered by
#: convolutions, has 8 heads everywhere.
HEAD: Final = 64
UPSCALER_CHANNELS: Final = 7  # 4 of the latents and 3 of the small picture
MAX_LEVELS: Final = 8
MAX_DEPTH: Final = 64


@dataclass(frozen=True)
class Level:
    """One resolution: its `width` in channels, and how many transformer layers follow each of its residual
    blocks on the way `down` and `up`, 0 for none.
    """

    width: int
    down: tuple[int, ...]
    up: tuple[int, ...]


@dataclass(frozen=True)
class UNetStructure:
    """A `UNet2DConditionModel` as its weights show it.

    `middle` is the number of transformer layers in the middle, 0 for a residual block alone, None for no
    middle. `context` are the numbers per token; `pooled` is the width of what SDXL adds to the time (None
    without); `classes` the rows of the class embedding of upscalers; `guidance` the width of the embedded
    guidance scale of latent consistency models. `linear` is whether transformers are entered by a matrix
    instead of a 1x1 convolution, `crossing` whether the first attention of a level looks at the text, too.
    """

    levels: tuple[Level, ...]
    middle: int | None
    context: int
    in_channels: int
    out_channels: int
    linear: bool
    crossing: tuple[bool, ...]
    pooled: int | None = None
    classes: int | None = None
    guidance: int | None = None

    @property
    def layers(self) -> int:
        """Residual blocks of a level on the way down; one more on the way up."""
        return len(self.levels[0].down)

    def config(self) -> dict[str, Any]:
        """Return what a diffusers `config.json` says of it: everything that weights decide."""
        widths = [level.width for level in self.levels]
        attends = [any(level.down) for level in self.levels]
        rises = [any(level.up) for level in reversed(self.levels)]
        old = not self.linear or self.in_channels == UPSCALER_CHANNELS
        found: dict[str, Any] = {
            "_class_name": "UNet2DConditionModel",
            "attention_head_dim": 8 if old else [width // HEAD for width in widths],
            "block_out_channels": widths,
            "cross_attention_dim": self.context,
            "down_block_types": ["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends],
            "up_block_types": ["CrossAttnUpBlock2D" if one else "UpBlock2D" for one in rises],
            "mid_block_type": self._middle_type(),
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "layers_per_block": self.layers,
            "use_linear_projection": self.linear,
            **self._depths(),
        }
        if any(self.crossing):
            found["only_cross_attention"] = list(self.crossing)
        if self.pooled is not None:
            found |= {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": self.pooled,
            }
        if self.classes is not None:
            found["num_class_embeds"] = self.classes
        if self.guidance is not None:
            found["time_cond_proj_dim"] = self.guidance
        return found

    def _middle_type(self) -> str | None:
        if self.middle is None:
            return None
        return "UNetMidBlock2DCrossAttn" if self.middle else "UNetMidBlock2D"

    def _depths(self) -> dict[str, Any]:
        """Return how deep transformers are, in diffusers' two lists; the second only where it is needed."""
        # Where a level does not attend its number is not read, but for the last one's: that is the middle's.
        down = [_one_or_many(level.down) if any(level.down) else 1 for level in self.levels]
        if self.middle and not any(self.levels[-1].down):
            down[-1] = self.middle
        mirrored = all(
            level.up == (level.down[0],) * len(level.up) and len(set(level.down)) == 1
            for level in self.levels
        )
        if mirrored:
            read = {level.down[0] for level in self.levels if any(level.down)}
            read |= {self.middle} if self.middle else set()
            return {"transformer_layers_per_block": read.pop() if len(read) == 1 else down}
        up = [list(level.up) if any(level.up) else 1 for level in reversed(self.levels)]
        listed = [list(level.down) if any(level.down) else 1 for level in self.levels]
        return {"transformer_layers_per_block": listed, "reverse_transformer_layers_per_block": up}


def _one_or_many(depths: Sequence[int]) -> int | list[int]:
    return depths[0] if len(set(depths)) == 1 else list(depths)


def structure_of(shapes: Shapes, path: Path) -> UNetStructure:
    """Return what the UNet in `path` is, from the `shapes` of its tensors in the original layout, named
    without "model.diffusion_model.".

    Raises ModelFileError, saying what was seen, for anything that is no such UNet: names that are missing,
    numbers that contradict each other, depths no one has built.
    """

    def refuse(what: str) -> ModelFileError:
        return ModelFileError(
            f"this is no UNet that is known: {what}",
            field="model",
            value=str(path),
            hint="Only Stable Diffusion 1, 2 and XL, and networks cut out of them, are drawn with.",
        )

    def shape(name: str, size: int) -> Shape:
        found = shapes.get(name)
        if found is None:
            raise refuse(f"it has no {name}")
        if len(found) != size or min(found) < 1:
            raise refuse(f"{name} is {'x'.join(map(str, found))}")
        return found

    down = _levels_down(shapes, shape, refuse)
    up = _levels_up(shapes, [len(depths) for _, depths in down], refuse)
    levels = tuple(Level(width, depths, risen) for (width, depths), risen in zip(down, up, strict=True))
    first = next(
        (name for name in sorted(shapes) if name.endswith("transformer_blocks.0.attn2.to_k.weight")), None
    )
    if first is None:
        raise refuse("nothing in it attends to a text")
    block = first.removesuffix("transformer_blocks.0.attn2.to_k.weight")
    context = shape(first, 2)[1]
    entered = shapes.get(f"{block}proj_in.weight", ())
    if len(entered) not in (2, 4):
        raise refuse(f"{block}proj_in.weight is {'x'.join(map(str, entered)) or 'not there'}")
    pooled = shape("label_emb.0.0.weight", 2)[1] if "label_emb.0.0.weight" in shapes else None
    classes = shape("label_emb.weight", 2)[0] if "label_emb.weight" in shapes else None
    guidance = "time_embed.cond_proj.weight"
    return UNetStructure(
        levels=levels,
        middle=_middle(shapes),
        context=context,
        in_channels=shape("input_blocks.0.0.weight", 4)[1],
        out_channels=shape("out.2.weight", 4)[0],
        linear=len(entered) == 2,
        crossing=_crossing(shapes, down, context),
        pooled=pooled,
        classes=classes,
        guidance=shape(guidance, 2)[1] if guidance in shapes else None,
    )


def depth_of(shapes: Shapes, block: str) -> int:
    """Return how many transformer layers the block called `block` has: 0 where it does not attend."""
    depth = 0
    while depth < MAX_DEPTH and f"{block}.transformer_blocks.{depth}.norm1.weight" in shapes:
        depth += 1
    return depth


Refuse = Callable[[str], ModelFileError]


def _levels_down(
    shapes: Shapes, shape: Callable[[str, int], Shape], refuse: Refuse
) -> list[tuple[int, tuple[int, ...]]]:
    """Return the width of every level and the depths after each of its residual blocks."""
    levels: list[tuple[int, tuple[int, ...]]] = []
    depths: list[int] = []
    width = shape("input_blocks.0.0.weight", 4)[0]
    number = 1
    while len(levels) < MAX_LEVELS:
        block = f"input_blocks.{number}"
        if f"{block}.0.out_layers.3.weight" in shapes:
            made = shape(f"{block}.0.out_layers.3.weight", 4)[0]
            if depths and made != width:
                raise refuse(f"{block} has {made} channels in a level of {width}")
            width = made
            depths.append(depth_of(shapes, f"{block}.1"))
        elif depths:
            levels.append((width, tuple(depths)))
            depths = []
            if f"{block}.0.op.weight" not in shapes:
                break
        else:
            raise refuse(f"it has no {block}.0.out_layers.3.weight")
        number += 1
    if len({len(depths) for _, depths in levels}) != 1:
        counts = ", ".join(str(len(depths)) for _, depths in levels)
        raise refuse(f"its levels have {counts} residual blocks")
    return levels


def _levels_up(shapes: Shapes, counts: Sequence[int], refuse: Refuse) -> list[tuple[int, ...]]:
    """Return the depths after each residual block on the way up, by level, the finest level first."""
    risen: list[tuple[int, ...]] = []
    number = 0
    for count in reversed(counts):
        depths: list[int] = []
        for _ in range(count + 1):
            if f"output_blocks.{number}.0.out_layers.3.weight" not in shapes:
                raise refuse(f"it has no output_blocks.{number}.0.out_layers.3.weight")
            depths.append(depth_of(shapes, f"output_blocks.{number}.1"))
            number += 1
        risen.append(tuple(depths))
    if f"output_blocks.{number}.0.out_layers.3.weight" in shapes:
        raise refuse(f"it has an output_blocks.{number} more than its way down")
    return risen[::-1]


def _middle(shapes: Shapes) -> int | None:
    if "middle_block.0.out_layers.3.weight" not in shapes:
        return None
    return depth_of(shapes, "middle_block.1")


def _crossing(shapes: Shapes, down: Sequence[tuple[int, tuple[int, ...]]], context: int) -> tuple[bool, ...]:
    """Tell of every level whether the first attention of its transformers looks at the text."""
    found: list[bool] = []
    number = 1
    for width, depths in down:
        # A level that does not attend goes with its neighbours: configurations say so, and nothing reads it.
        looks = True
        for place, depth in enumerate(depths):
            name = f"input_blocks.{number + place}.1.transformer_blocks.0.attn1.to_k.weight"
            if depth:
                looks = looks and width != context and shapes.get(name, ())[-1:] == (context,)
        found.append(looks)
        number += len(depths) + 1
    attends = [any(depths) for _, depths in down]
    some = any(one for one, there in zip(found, attends, strict=True) if there)
    return tuple(found) if some else (False,) * len(found)

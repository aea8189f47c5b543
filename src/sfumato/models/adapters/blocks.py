"""The blocks of a UNet as people number them, after the original layout: IN00 to IN11, MID, OUT00 to OUT11.

BASE is all that lies in none of them: the text encoders, the time embedding and the last layers.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from sfumato.models.original.names import unet_modules
from sfumato.models.original.structure import Level, UNetStructure

BASE: Final = "BASE"
_MIDDLE: Final = "MID"
_SIDES: Final = {"input_blocks": "IN", "output_blocks": "OUT"}


def original_modules(modules: Iterable[str]) -> dict[str, str]:
    """Return the original name of every module of a UNet, given the names of those that hold tensors in
    diffusers: `down_blocks.0.attentions.0.proj_in` is `input_blocks.1.1.proj_in`.
    """
    names = set(modules)
    table = unet_modules(_structure(names))
    found: dict[str, str] = {}
    for module in names:
        whole = module
        while whole and whole not in table:
            whole = whole.rpartition(".")[0]
        if whole:
            found[module] = table[whole] + module[len(whole) :]
    return found


def block_of(original: str) -> str:
    """Return the block that a module lies in, by its original name."""
    first, _, rest = original.partition(".")
    if first == "middle_block":
        return _MIDDLE
    side = _SIDES.get(first)
    return BASE if side is None else f"{side}{int(rest.partition('.')[0]):02}"


def factor_of(block: str, blocks: Mapping[str, float]) -> float:
    """Return what the weight of an adapter is multiplied by in `block`; 1 where nothing is said."""
    return blocks.get(block, 1.0)


def _structure(names: set[str]) -> UNetStructure:
    """Return what decides how blocks are numbered; the rest is as good as any."""
    levels: list[Level] = []
    count = _count(names, "down_blocks.{}.resnets.0.conv1")
    for at in range(count):
        down = _depths(names, f"down_blocks.{at}")
        up = _depths(names, f"up_blocks.{count - 1 - at}")
        levels.append(Level(1, down, up))
    middle = None
    if "mid_block.resnets.0.conv1" in names:
        middle = _depth(names, "mid_block.attentions.0")
    return UNetStructure(
        levels=tuple(levels),
        middle=middle,
        context=1,
        in_channels=1,
        out_channels=1,
        linear=True,
        crossing=(),
        pooled=1 if "add_embedding.linear_1" in names else None,
        classes=1 if "class_embedding" in names else None,
        guidance=1 if "time_embedding.cond_proj" in names else None,
    )


def _depths(names: set[str], block: str) -> tuple[int, ...]:
    layers = _count(names, f"{block}.resnets.{{}}.conv1")
    return tuple(_depth(names, f"{block}.attentions.{at}") for at in range(layers))


def _depth(names: set[str], attention: str) -> int:
    return _count(names, f"{attention}.transformer_blocks.{{}}.norm1")


def _count(names: set[str], pattern: str) -> int:
    number = 0
    while pattern.format(number) in names:
        number += 1
    return number

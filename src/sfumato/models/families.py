"""Families of models by the shape of their UNet: what has no name of its own here is told apart by what was
seen, and never guessed.

Every row is what `sfumato.models.original.structure` derives from the weights of the published model; the
numbers of parameters are the published ones, or for BK-SDM v2 and KOALA what such a network has. What shapes
cannot show (Stable Diffusion 2 predicts noise or velocity with the same network) is told from what the file
says of itself, or left open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sfumato.models.original.parts import side
from sfumato.models.original.says import EPSILON, V
from sfumato.models.original.structure import Level, Shape, UNetStructure, depth_of

LATENTS: Final = 4
MAX_BLOCKS: Final = 8


@dataclass(frozen=True)
class Family:
    """A family: its `name` in commands, its `title` for people, and its UNet. `parameters` are those of the
    UNet that takes nothing but its own latents.
    """

    name: str
    title: str
    levels: tuple[Level, ...]
    middle: int | None
    context: int
    parameters: int
    pooled: int | None = None
    classes: int | None = None
    channels: int = LATENTS

    def fits(self, unet: UNetStructure) -> bool:
        """Tell whether `unet` is of this family, whatever it takes beside the latents."""
        mine = self.levels, self.middle, self.context, self.pooled, self.classes
        return mine == (unet.levels, unet.middle, unet.context, unet.pooled, unet.classes)


def _even(widths: Sequence[int], depths: Sequence[int], layers: int = 2) -> tuple[Level, ...]:
    """Return levels whose blocks are all alike."""
    pairs = zip(widths, depths, strict=True)
    return tuple(Level(width, (depth,) * layers, (depth,) * (layers + 1)) for width, depth in pairs)


def _cut(down: Sequence[int], up: Sequence[tuple[int, ...]]) -> tuple[Level, ...]:
    """Return the levels of a network cut out of Stable Diffusion XL, the finest first."""
    rows = zip((320, 640, 1280), down, up, strict=True)
    return tuple(Level(width, (depth,) * 2, risen) for width, depth, risen in rows)


_WIDE: Final = (320, 640, 1280, 1280)
_FLAT: Final = (0, 0, 0)

FAMILIES: Final[tuple[Family, ...]] = (
    Family("sd1", "Stable Diffusion 1", _even(_WIDE, (1, 1, 1, 0)), 1, 768, 859_520_964),
    Family("small-sd", "Segmind small-sd, BK-SDM Base", _even(_WIDE, (1, 1, 1, 0), 1), 1, 768, 579_384_964),
    Family("bk-sdm-small", "BK-SDM Small", _even(_WIDE, (1, 1, 1, 0), 1), None, 768, 482_346_884),
    Family("tiny-sd", "Segmind tiny-sd, BK-SDM Tiny", _even(_WIDE[:3], (1, 1, 1), 1), None, 768, 323_384_964),
    Family("sd2", "Stable Diffusion 2", _even(_WIDE, (1, 1, 1, 0)), 1, 1024, 865_910_724),
    Family("bk-sdm-v2-base", "BK-SDM v2 Base", _even(_WIDE, (1, 1, 1, 0), 1), 1, 1024, 583_480_964),
    Family("bk-sdm-v2-small", "BK-SDM v2 Small", _even(_WIDE, (1, 1, 1, 0), 1), None, 1024, 485_787_524),
    Family("bk-sdm-v2-tiny", "BK-SDM v2 Tiny", _even(_WIDE[:3], (1, 1, 1), 1), None, 1024, 326_825_604),
    Family(
        name="x4-upscaler",
        title="Stable Diffusion 2 x4 upscaler",
        levels=_even((256, 512, 512, 1024), (0, 1, 1, 1)),
        middle=1,
        context=1024,
        parameters=473_398_020,
        classes=1000,
        channels=7,
    ),
    Family("sdxl", "Stable Diffusion XL", _even(_WIDE[:3], (0, 2, 10)), 10, 2048, 2_567_463_684, 2816),
    Family(
        name="sdxl-refiner",
        title="Stable Diffusion XL refiner",
        levels=_even((384, 768, 1536, 1536), (0, 4, 4, 0)),
        middle=4,
        context=1280,
        parameters=2_259_526_660,
        pooled=2560,
    ),
    Family(
        name="ssd-1b",
        title="Segmind SSD-1B",
        levels=_cut((0, 2, 4), (_FLAT, (2, 1, 1), (4, 4, 10))),
        middle=0,
        context=2048,
        parameters=1_331_334_404,
        pooled=2816,
    ),
    Family(
        name="vega",
        title="Segmind Vega",
        levels=_cut((0, 1, 2), (_FLAT, (1, 1, 1), (2, 2, 2))),
        middle=0,
        context=2048,
        parameters=745_225_604,
        pooled=2816,
    ),
    Family("koala-1b", "KOALA-1B", _even(_WIDE[:3], (0, 2, 6), 1), 6, 2048, 1_161_184_324, 2816),
    Family("koala-700m", "KOALA-700M", _even(_WIDE[:3], (0, 2, 5), 1), None, 2048, 782_822_724, 2816),
)

#: The network of the bundled model, and of those that the recipes in `recipes/train` make.
OWN: Final = Family(
    name="sfumato",
    title="Sfumato's own, of captioned scenes",
    levels=_even((64, 128, 256), (0, 1, 1), 1),
    middle=1,
    context=192,
    parameters=16_665_032,
    channels=8,
)

#: What a UNet takes beside its latents, and what that makes of the family: a picture, or one with a mask.
VARIANTS: Final[Mapping[int, tuple[str, str]]] = {
    0: ("", ""),
    LATENTS: ("-pix2pix", ", edited by instructions"),
    LATENTS + 1: ("-inpaint", ", inpainting"),
}
#: Families by the numbers per token that a part attends to, where nothing else of the network is there.
BY_CONTEXT: Final[Mapping[int, str]] = {768: "sd1", 1024: "sd2", 1280: "sdxl-refiner", 2048: "sdxl"}


@dataclass(frozen=True)
class Known:
    """What a UNet is: the `family` with its variant, as `name` and `title`."""

    family: Family
    name: str
    title: str


def family_of(unet: UNetStructure, prediction: str | None = None) -> Known | None:
    """Return what `unet` is, whose file says that it predicts `prediction`; None for a stranger."""
    if OWN.fits(unet) and unet.in_channels == unet.out_channels == OWN.channels:
        return Known(OWN, OWN.name, OWN.title)
    family = next((one for one in FAMILIES if one.fits(unet)), None)
    variant = None if family is None else VARIANTS.get(unet.in_channels - family.channels)
    if family is None or variant is None or unet.out_channels != LATENTS:
        return None
    suffix, about = variant
    if unet.guidance is not None:
        suffix, about = f"{suffix}-lcm", f"{about}, latent consistency"
    if family.name == "sd2" and not suffix:
        suffix, about = _SECOND.get(prediction, ("", ", for noise or velocity: the file does not say"))
    return Known(family, family.name + suffix, family.title + about)


_SECOND: Final[Mapping[str | None, tuple[str, str]]] = {
    EPSILON: ("-base", ", for noise (base)"),
    V: ("-v", ", for velocity (768-v)"),
}


def seen(unet: UNetStructure) -> str:
    """Return what a network of no known family looks like, for people."""
    widths = ", ".join(str(level.width) for level in unet.levels)
    middle = "no middle" if unet.middle is None else f"{unet.middle} transformers in the middle"
    return (
        f"levels of {widths} channels, {middle}, {unet.context} numbers per token, "
        f"{unet.in_channels} channels of input"
    )


def structure_of_diffusers(shapes: Mapping[str, Shape]) -> UNetStructure | None:
    """Return the structure of a UNet in diffusers' layout, from the `shapes` of its tensors; None where they
    make none.
    """
    down = [_level(shapes, f"down_blocks.{number}") for number in _numbers(shapes, "down_blocks.{}")]
    up = [_level(shapes, f"up_blocks.{number}") for number in _numbers(shapes, "up_blocks.{}")]
    first = next((name for name in shapes if name.endswith("transformer_blocks.0.attn2.to_k.weight")), None)
    sides = {name: shapes.get(name, ()) for name in ("conv_in.weight", "conv_out.weight")}
    complete = down and len(down) == len(up) and all(len(one) == 4 for one in sides.values())
    if first is None or not complete or len(shapes[first]) != 2:
        return None
    levels = tuple(
        Level(width, depths, risen) for (width, depths), (_, risen) in zip(down, reversed(up), strict=True)
    )
    entered = first.removesuffix("transformer_blocks.0.attn2.to_k.weight") + "proj_in.weight"
    middle = (
        depth_of(shapes, "mid_block.attentions.0") if "mid_block.resnets.0.conv1.weight" in shapes else None
    )
    return UNetStructure(
        levels=levels,
        middle=middle,
        context=shapes[first][1],
        in_channels=sides["conv_in.weight"][1],
        out_channels=sides["conv_out.weight"][0],
        linear=len(shapes.get(entered, ())) == 2,
        crossing=(False,) * len(levels),
        pooled=side(shapes, "add_embedding.linear_1.weight", 1),
        classes=side(shapes, "class_embedding.weight", 0),
        guidance=side(shapes, "time_embedding.cond_proj.weight", 1),
    )


def _level(shapes: Mapping[str, Shape], block: str) -> tuple[int, tuple[int, ...]]:
    """Return the width of a block in diffusers' layout and the depth after each of its residual blocks."""
    there = _numbers(shapes, block + ".resnets.{}")
    width = side(shapes, f"{block}.resnets.0.conv1.weight", 0) or 0
    return width, tuple(depth_of(shapes, f"{block}.attentions.{number}") for number in there)


def _numbers(shapes: Mapping[str, Shape], block: str) -> range:
    """Return how far blocks called so are numbered."""
    conv = "{}.conv1.weight" if "resnets" in block else "{}.resnets.0.conv1.weight"
    count = 0
    while count < MAX_BLOCKS and conv.format(block.format(count)) in shapes:
        count += 1
    return range(count)

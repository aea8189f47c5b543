"""A T2I-Adapter in one safetensors file (Mou et al. 2023, arXiv 2302.08453), in its authors' layout or in
diffusers': what it is, and where its tensors lie, from the header alone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sfumato.models.original.controlnet import Unfit, check_shapes, convolution, side_of
from sfumato.models.original.names import inverse, rename
from sfumato.models.original.parts import Part, Shape, Shapes, Source, num_bytes

CLASS: Final = "T2IAdapter"
FULL, LARGE, LIGHT = "full_adapter", "full_adapter_xl", "light_adapter"
#: Before the names of all tensors in diffusers, and of some files of the authors.
PREFIX: Final = "adapter."
#: A picture is folded so many times before the first convolution: sides become so much shorter, and the
#: square of that times as many channels come of each.
FOLDED: Final[Mapping[str, int]] = {FULL: 8, LIGHT: 8, LARGE: 16}
CHANNELS: Final = (1, 3)  # of a hint: grey, or red, green and blue
MAX_BLOCKS: Final = 64
_BLOCKS_EACH: Final = 2  # residual blocks of a level, in all that were published


def t2i_adapter_of(source: Source) -> Part:
    """Return the adapter whose tensors are those of `source`, with the configuration that they decide. Raises
    `Unfit` for tensors that are missing, unknown or of another shape.
    """
    bare = {key: key.removeprefix(PREFIX) for key in source.shapes}
    if len(set(bare.values())) != len(bare):
        raise Unfit("it has tensors of one name twice")
    shapes = {bare[key]: shape for key, shape in source.shapes.items()}
    known = rename(shapes, inverse(_modules(shapes)))
    names = {key: PREFIX + known.get(one, one) for key, one in bare.items()}
    shapes = {names[key]: shape for key, shape in source.shapes.items()}
    config = _config(shapes)
    check_shapes(shapes, expected_of(config), {ours: key for key, ours in names.items()})
    stored = {ours: source.stored(key) for key, ours in names.items()}
    return Part("adapter", CLASS, config, stored, num_bytes(source.header, stored))


def expected_of(config: Mapping[str, Any]) -> dict[str, Shape]:
    """Return the shape of every tensor of a T2IAdapter of diffusers with this (whole) configuration."""
    light = config["adapter_type"] == LIGHT
    return {PREFIX + name: shape for name, shape in (_light(config) if light else _full(config))}


def _modules(shapes: Shapes) -> dict[str, str]:
    """Return the name that the authors give to every module that there is, by its name in diffusers; of a
    file in diffusers' layout, none.
    """
    if "body.0.body.0.block1.weight" in shapes:
        places = [
            (at, place)
            for at in range(MAX_BLOCKS)
            for place in range(MAX_BLOCKS)
            if f"body.{at}.body.{place}.block1.weight" in shapes
        ]
        return {f"body.{at}.resnets.{place}": f"body.{at}.body.{place}" for at, place in places}
    if "body.0.block1.weight" not in shapes:
        return {}
    # The blocks of all levels are numbered in one row; a level of another width begins with one that says so.
    begins = (at for at in range(1, MAX_BLOCKS) if f"body.{at}.in_conv.weight" in shapes)
    each = next(begins, _BLOCKS_EACH)
    names: dict[str, str] = {}
    for at in range(MAX_BLOCKS):
        for part in ("block1", "block2"):
            names[f"body.{at // each}.resnets.{at % each}.{part}"] = f"body.{at}.{part}"
        if at % each == 0:
            names[f"body.{at // each}.in_conv"] = f"body.{at}.in_conv"
    return names


def _config(shapes: Shapes) -> dict[str, Any]:
    """Return the configuration of a T2IAdapter with tensors of these `shapes`, named as in diffusers."""
    light = f"{PREFIX}conv_in.weight" not in shapes
    resnet = f"{PREFIX}body.{{}}.resnets.0.block1.weight"
    count = next((at for at in range(MAX_BLOCKS) if resnet.format(at) not in shapes), MAX_BLOCKS)
    if not count:
        raise Unfit(f"it lacks {resnet.format(0)}")
    first = f"{PREFIX}body.0.in_conv.weight" if light else f"{PREFIX}conv_in.weight"
    taken = side_of(shapes, first, 1, 4)
    kinds = (LIGHT,) if light else (FULL, LARGE)
    found = [(kind, taken // FOLDED[kind] ** 2) for kind in kinds if taken % FOLDED[kind] ** 2 == 0]
    kind, channels = next((one for one in found if one[1] in CHANNELS), (None, 0))
    if kind is None:
        raise Unfit(f"its {first} takes {taken} channels: pictures have 1 or 3, folded 8 or 16 times")
    wide = f"{PREFIX}body.{{}}.out_conv.weight" if light else resnet
    widths = [side_of(shapes, wide.format(at), 0, 4) for at in range(count)]
    each = range(MAX_BLOCKS)
    return {
        "_class_name": CLASS,
        "adapter_type": kind,
        # Of a light one diffusers leaves out the last, which is that before it once more.
        "channels": widths[:-1] if light else widths,
        "downscale_factor": FOLDED[kind],
        "in_channels": channels,
        "num_res_blocks": next(
            (at for at in each if f"{PREFIX}body.0.resnets.{at}.block1.weight" not in shapes), MAX_BLOCKS
        ),
    }


def _full(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    widths: list[int] = config["channels"]
    before = widths[0]
    yield from convolution("conv_in", config["in_channels"] * config["downscale_factor"] ** 2, before)
    for at, width in enumerate(widths):
        # Of the large one only the second and third may change the width: see diffusers' FullAdapterXL.
        before = before if config["adapter_type"] == FULL or at in (1, 2) else width
        if before != width:
            yield from convolution(f"body.{at}.in_conv", before, width, 1)
        for place in range(config["num_res_blocks"]):
            yield from convolution(f"body.{at}.resnets.{place}.block1", width, width)
            yield from convolution(f"body.{at}.resnets.{place}.block2", width, width, 1)
        before = width


def _light(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    before = config["in_channels"] * config["downscale_factor"] ** 2
    widths: list[int] = config["channels"]
    for at, width in enumerate([*widths, widths[-1]]):
        narrow = width // 4
        yield from convolution(f"body.{at}.in_conv", before, narrow, 1)
        for place in range(config["num_res_blocks"]):
            yield from convolution(f"body.{at}.resnets.{place}.block1", narrow, narrow)
            yield from convolution(f"body.{at}.resnets.{place}.block2", narrow, narrow)
        yield from convolution(f"body.{at}.out_conv", narrow, width, 1)
        before = width

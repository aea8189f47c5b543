"""A ControlNet in one safetensors file (Zhang et al. 2023, arXiv 2302.05543), in the original layout or in
diffusers': what it is, and where its tensors lie, from the header alone.

Files say nothing about themselves, so everything is derived from names and shapes, and every tensor is
accounted for: one that is missing, unknown or of another shape is found before anything is loaded.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from sfumato.models.original.names import inverse, rename, resnet_modules
from sfumato.models.original.parts import Part, Shape, Shapes, Source, num_bytes, numbered, sides
from sfumato.models.original.structure import HEAD, MAX_LEVELS, depth_of

#: Where the original code has it; files that were made smaller leave it out.
PREFIX: Final = "control_model."
CLASS: Final = "ControlNetModel"
MAX_BLOCKS: Final = 64
MAX_LAYERS: Final = 16
_HINT: Final = "controlnet_cond_embedding"
_OLD_HEADS: Final = 8  # of every attention of Stable Diffusion 1
_SIZES: Final = 256  # numbers for each of the six sizes that SDXL is told
_MIDDLE: Final = "mid_block.attentions.0"


class Unfit(Exception):
    """What is wrong with the tensors of a file, as a clause that begins with "it" or "its"."""


def controlnet_of(source: Source) -> Part:
    """Return the ControlNet whose tensors are those of `source`, with the configuration that they decide.

    Raises Unfit for tensors that are missing, unknown or of another shape.
    """
    original = "input_blocks.0.0.weight" in source.shapes
    names = {name: name for name in source.shapes}
    if original:
        # By their names in the file; what has none in diffusers keeps its own, and is found to be unknown.
        names |= rename(source.shapes, inverse(_modules(source.shapes)))
    shapes = {names[key]: shape for key, shape in source.shapes.items()}
    config = _config(shapes)
    check_shapes(shapes, dict(_expected(config)), {ours: key for key, ours in names.items()})
    stored = {ours: source.stored(key) for key, ours in names.items()}
    return Part("controlnet", CLASS, config, stored, num_bytes(source.header, stored))


def check_shapes(shapes: Shapes, expected: Shapes, called: Mapping[str, str]) -> None:
    """Raise Unfit where `shapes` are not those `expected`, both by their names in diffusers; `called` are the
    names that people find in their file.
    """
    surplus = sorted(called[name] for name in shapes.keys() - expected.keys())
    missing = sorted(expected.keys() - shapes.keys())
    if surplus or missing:
        what = f"it lacks {missing[0]}" if missing else f"it has {surplus[0]}, which is not known"
        raise Unfit(f"{what} ({len(missing)} tensors missing, {len(surplus)} unknown)")
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise Unfit(f"its {called[name]} is {sides(shapes[name])}, not {sides(shape)}")


def side_of(shapes: Shapes, name: str, side: int, num_sides: int) -> int:
    """Return one side of the tensor `name`; raises Unfit where it is missing or has not `num_sides`."""
    shape = shapes.get(name)
    if shape is None:
        raise Unfit(f"it lacks {name}")
    if len(shape) != num_sides or min(shape) < 1:
        raise Unfit(f"its {name} is {sides(shape)}")
    return shape[side]


def _modules(shapes: Shapes) -> dict[str, str]:
    """Return the original name of every module that there is, by its name in diffusers."""
    names = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "controlnet_mid_block": "middle_block_out.0",
        _MIDDLE: "middle_block.1",
    }
    names |= dict(resnet_modules("mid_block.resnets.0", "middle_block.0"))
    names |= dict(resnet_modules("mid_block.resnets.1", "middle_block.2"))
    level = place = 0
    number = 1
    while number < MAX_BLOCKS:
        block = f"input_blocks.{number}"
        if f"{block}.0.op.weight" in shapes:
            names[f"down_blocks.{level}.downsamplers.0.conv"] = f"{block}.0.op"
            level, place = level + 1, 0
        elif f"{block}.0.in_layers.2.weight" in shapes:
            names |= dict(resnet_modules(f"down_blocks.{level}.resnets.{place}", f"{block}.0"))
            names[f"down_blocks.{level}.attentions.{place}"] = f"{block}.1"
            place += 1
        else:
            break
        number += 1
    names |= {f"controlnet_down_blocks.{at}": f"zero_convs.{at}.0" for at in range(number)}
    # Activations stand between the convolutions of the hint, and take a number as well.
    hints = [at for at in range(0, MAX_BLOCKS, 2) if f"input_hint_block.{at}.weight" in shapes]
    called = ["conv_in", *(f"blocks.{at}" for at in range(len(hints) - 2)), "conv_out"]
    for name, at in zip(called, hints, strict=False):
        names[f"{_HINT}.{name}"] = f"input_hint_block.{at}"
    return names


def _config(shapes: Shapes) -> dict[str, Any]:
    """Return the configuration of a ControlNetModel with tensors of these `shapes`, named as in diffusers."""
    count = numbered(shapes, "down_blocks.{}.resnets.0.conv1.weight", MAX_LEVELS)
    if not count:
        raise Unfit("it lacks down_blocks.0.resnets.0.conv1.weight")
    widths = [side_of(shapes, f"down_blocks.{at}.resnets.0.conv1.weight", 0, 4) for at in range(count)]
    attends = [f"down_blocks.{at}.attentions.0.norm.weight" in shapes for at in range(count)]
    depths = [depth_of(shapes, f"down_blocks.{at}.attentions.0") for at in range(count)]
    middle = f"{_MIDDLE}.norm.weight" in shapes
    if middle:
        deep = depth_of(shapes, _MIDDLE)
        if attends[-1] and depths[-1] != deep:
            raise Unfit(f"its middle has {deep} transformers, and the level before it {depths[-1]}")
        depths[-1] = deep  # the number of the last level is the middle's
    entered = next((shape for name, shape in shapes.items() if name.endswith(".proj_in.weight")), ())
    linear = len(entered) == 2
    config: dict[str, Any] = {
        "_class_name": CLASS,
        "attention_head_dim": [max(1, one // HEAD) for one in widths] if linear else _OLD_HEADS,
        "block_out_channels": widths,
        "conditioning_channels": side_of(shapes, f"{_HINT}.conv_in.weight", 1, 4),
        "conditioning_embedding_out_channels": _hint_widths(shapes),
        "down_block_types": ["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends],
        "in_channels": side_of(shapes, "conv_in.weight", 1, 4),
        "layers_per_block": numbered(shapes, "down_blocks.0.resnets.{}.conv1.weight", MAX_LAYERS),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": depths,
        "use_linear_projection": linear,
    }
    attended = next((name for name in shapes if name.endswith("attn2.to_k.weight")), None)
    if attended is not None:  # small ones look at no text
        config["cross_attention_dim"] = side_of(shapes, attended, 1, 2)
    if "add_embedding.linear_1.weight" in shapes:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": _SIZES,
            "projection_class_embeddings_input_dim": side_of(shapes, "add_embedding.linear_1.weight", 1, 2),
        }
    return config


def _hint_widths(shapes: Shapes) -> list[int]:
    halved = numbered(shapes, f"{_HINT}.blocks.{{}}.weight", 2 * MAX_LEVELS) // 2
    widths = [side_of(shapes, f"{_HINT}.conv_in.weight", 0, 4)]
    return widths + [side_of(shapes, f"{_HINT}.blocks.{2 * at + 1}.weight", 0, 4) for at in range(halved)]


def _expected(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    """Yield name and shape of every tensor of a ControlNetModel of this configuration."""
    widths: list[int] = config["block_out_channels"]
    layers: int = config["layers_per_block"]
    depths: list[int] = config["transformer_layers_per_block"]
    first, times, text = widths[0], 4 * widths[0], config.get("cross_attention_dim", 0)
    linear: bool = config["use_linear_projection"]
    yield from convolution("conv_in", config["in_channels"], first)
    yield from _matrix("time_embedding.linear_1", first, times)
    yield from _matrix("time_embedding.linear_2", times, times)
    if "projection_class_embeddings_input_dim" in config:
        yield from _matrix("add_embedding.linear_1", config["projection_class_embeddings_input_dim"], times)
        yield from _matrix("add_embedding.linear_2", times, times)
    yield from _hint(config)
    yield from convolution("controlnet_down_blocks.0", first, first, 1)
    before, number = first, 1
    for at, (width, kind) in enumerate(zip(widths, config["down_block_types"], strict=True)):
        block = f"down_blocks.{at}"
        for place in range(layers):
            yield from _resnet(f"{block}.resnets.{place}", before, width, times)
            if kind == "CrossAttnDownBlock2D":
                yield from _transformer(f"{block}.attentions.{place}", width, depths[at], text, linear)
            before = width
        if at < len(widths) - 1:
            yield from convolution(f"{block}.downsamplers.0.conv", width, width)
        for _ in range(layers + (at < len(widths) - 1)):
            yield from convolution(f"controlnet_down_blocks.{number}", width, width, 1)
            number += 1
    yield from _resnet("mid_block.resnets.0", before, before, times)
    if config["mid_block_type"] == "UNetMidBlock2DCrossAttn":
        yield from _transformer(_MIDDLE, before, depths[-1], text, linear)
        yield from _resnet("mid_block.resnets.1", before, before, times)
    yield from convolution("controlnet_mid_block", before, before, 1)


def _hint(config: Mapping[str, Any]) -> Iterator[tuple[str, Shape]]:
    widths: list[int] = config["conditioning_embedding_out_channels"]
    yield from convolution(f"{_HINT}.conv_in", config["conditioning_channels"], widths[0])
    for at, (width, wider) in enumerate(pairwise(widths)):
        yield from convolution(f"{_HINT}.blocks.{2 * at}", width, width)
        yield from convolution(f"{_HINT}.blocks.{2 * at + 1}", width, wider)
    yield from convolution(f"{_HINT}.conv_out", widths[-1], config["block_out_channels"][0])


def _resnet(name: str, before: int, width: int, times: int) -> Iterator[tuple[str, Shape]]:
    yield from _norm(f"{name}.norm1", before)
    yield from convolution(f"{name}.conv1", before, width)
    yield from _matrix(f"{name}.time_emb_proj", times, width)
    yield from _norm(f"{name}.norm2", width)
    yield from convolution(f"{name}.conv2", width, width)
    if before != width:
        yield from convolution(f"{name}.conv_shortcut", before, width, 1)


def _transformer(name: str, width: int, depth: int, text: int, linear: bool) -> Iterator[tuple[str, Shape]]:
    yield from _norm(f"{name}.norm", width)
    for side in (f"{name}.proj_in", f"{name}.proj_out"):
        yield from _matrix(side, width, width) if linear else convolution(side, width, width, 1)
    for at in range(depth):
        block = f"{name}.transformer_blocks.{at}"
        for norm in ("norm1", "norm2", "norm3"):
            yield from _norm(f"{block}.{norm}", width)
        for attention, seen in (("attn1", width), ("attn2", text)):
            yield f"{block}.{attention}.to_q.weight", (width, width)
            yield f"{block}.{attention}.to_k.weight", (width, seen)
            yield f"{block}.{attention}.to_v.weight", (width, seen)
            yield from _matrix(f"{block}.{attention}.to_out.0", width, width)
        yield from _matrix(f"{block}.ff.net.0.proj", width, 8 * width)
        yield from _matrix(f"{block}.ff.net.2", 4 * width, width)


def convolution(name: str, before: int, width: int, kernel: int = 3) -> Iterator[tuple[str, Shape]]:
    """Yield the names and shapes of the tensors of a convolution."""
    yield f"{name}.weight", (width, before, kernel, kernel)
    yield f"{name}.bias", (width,)


def _matrix(name: str, before: int, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width, before)
    yield f"{name}.bias", (width,)


def _norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)

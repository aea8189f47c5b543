"""From a diffusers folder to the original layout: what each tensor is called there, and how it is stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from sfumato.models.original.names import (
    PACKED,
    VAE_MATRICES,
    open_clip_modules,
    rename,
    unet_modules,
    vae_modules,
)
from sfumato.models.original.parts import Shape, Shapes, refused, side
from sfumato.models.original.single import FIRST_TEXTS, LARGE_TEXTS, PROJECTING, UNET, VAE
from sfumato.models.original.structure import MAX_DEPTH, MAX_LEVELS, Level, UNetStructure
from sfumato.models.original.text import POSITIONS, PROJECTION

#: What makes a tensor the file's: the two sides of a 1x1 convolution, or rows and columns exchanged.
Back: TypeAlias = Literal["convolution", "transposed"] | None


@dataclass(frozen=True)
class Target:
    """A tensor of an original file: of which tensors of the network it is made (one, or three that are joined
    along the first side), and how each of them is changed.
    """

    name: str
    sources: tuple[str, ...]
    back: Back = None


def changed_back(shape: Shape, back: Back) -> Shape:
    """Return the shape in the file of a tensor of `shape`."""
    if back == "convolution":
        return (*shape, 1, 1)
    return shape[::-1] if back == "transposed" else shape


def unet_targets(shapes: Shapes, path: Path) -> tuple[Target, ...]:
    """Return the tensors of a file that holds a UNet whose tensors have these `shapes`, by their names in
    diffusers. Raises ModelFileError for names that are not known.
    """
    names = rename(shapes, unet_modules(diffusers_structure(shapes)))
    _check_named(shapes, names, path)
    return tuple(Target(UNET + name, (ours,)) for ours, name in names.items())


def vae_targets(shapes: Shapes, path: Path, prefix: str = VAE) -> tuple[Target, ...]:
    """Return the tensors of a file that holds an autoencoder, as `unet_targets` does of a UNet."""
    levels = _count(lambda at: f"encoder.down_blocks.{at}.resnets.0.conv1.weight", shapes)
    layers = _count(lambda at: f"encoder.down_blocks.0.resnets.{at}.conv1.weight", shapes)
    names = rename(shapes, vae_modules(levels, layers))
    _check_named(shapes, names, path)
    return tuple(
        Target(prefix + name, (ours,), "convolution" if _is_matrix(ours, shapes) else None)
        for ours, name in names.items()
    )


def text_targets(shapes: Shapes, path: Path, prefix: str, *, packed: bool) -> tuple[Target, ...]:
    """Return the tensors of a file that holds a text encoder at `prefix`, as open_clip has it where it is
    `packed`, else as transformers does. `shapes` are by the names of today's transformers.
    """
    if not packed:
        return tuple(Target(f"{prefix}text_model.{name}", (name,)) for name in shapes)
    layers = _count(lambda at: f"encoder.layers.{at}.layer_norm1.weight", shapes)
    names = rename(shapes, open_clip_modules(layers))
    targets = [Target(prefix + name, (ours,)) for ours, name in names.items()]
    targets.append(Target(prefix + POSITIONS, ("embeddings.position_embedding.weight",)))
    for number in range(layers):
        for kind in ("weight", "bias"):
            sources = tuple(f"encoder.layers.{number}.self_attn.{part}.{kind}" for part in PACKED)
            targets.append(Target(f"{prefix}transformer.resblocks.{number}.attn.in_proj_{kind}", sources))
    if f"{PROJECTION}.weight" in shapes:
        targets.append(Target(prefix + PROJECTION, (f"{PROJECTION}.weight",), "transposed"))
    _check_named(shapes, {one: one for target in targets for one in target.sources}, path)
    return tuple(targets)


def text_places(unet: UNetStructure, classes: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Return the prefix of each text encoder of a model, and whether open_clip's layout is its, by the
    `classes` that diffusers gives them.
    """
    clip, packed = FIRST_TEXTS
    if unet.pooled is None:
        return (packed if unet.linear else clip,)
    first, alone, second = LARGE_TEXTS
    return (alone,) if classes == (PROJECTING,) else (first, second)


def diffusers_structure(shapes: Shapes) -> UNetStructure:
    """Return what a UNet in diffusers' layout is, as far as names of its tensors depend on it."""
    levels: list[Level] = []
    count = _count(lambda at: f"down_blocks.{at}.resnets.0.conv1.weight", shapes)
    for at in range(count):
        down = _depths(shapes, f"down_blocks.{at}")
        up = _depths(shapes, f"up_blocks.{count - 1 - at}")
        width = shapes[f"down_blocks.{at}.resnets.0.conv1.weight"][0]
        levels.append(Level(width, down, up))
    middle = None
    if "mid_block.resnets.0.conv1.weight" in shapes:
        middle = _depth(shapes, "mid_block.attentions.0")
    entries = (shape for name, shape in shapes.items() if name.endswith(".proj_in.weight"))
    context = (shape for name, shape in shapes.items() if name.endswith("attn2.to_k.weight"))
    conv_in = shapes.get("conv_in.weight", (0, 0))
    return UNetStructure(
        levels=tuple(levels),
        middle=middle,
        context=next(context, (0,))[-1],
        in_channels=conv_in[1] if len(conv_in) > 1 else 0,
        out_channels=shapes.get("conv_out.weight", (0,))[0],
        linear=len(next(entries, ())) == 2,
        crossing=(False,) * count,
        pooled=side(shapes, "add_embedding.linear_1.weight", 1),
        classes=side(shapes, "class_embedding.weight", 0),
        guidance=side(shapes, "time_embedding.cond_proj.weight", 1),
    )


def _depths(shapes: Shapes, block: str) -> tuple[int, ...]:
    """Return the transformer layers behind each residual block of `block`."""
    layers = _count(lambda at: f"{block}.resnets.{at}.conv1.weight", shapes)
    return tuple(_depth(shapes, f"{block}.attentions.{at}") for at in range(layers))


def _depth(shapes: Shapes, block: str) -> int:
    return _count(lambda at: f"{block}.transformer_blocks.{at}.norm1.weight", shapes)


def _count(name: Callable[[int], str], shapes: Shapes) -> int:
    most = max(MAX_LEVELS, MAX_DEPTH)
    return next((at for at in range(most) if name(at) not in shapes), most)


def _is_matrix(name: str, shapes: Shapes) -> bool:
    return name.endswith(tuple(VAE_MATRICES)) and len(shapes[name]) == 2


def _check_named(shapes: Shapes, names: Mapping[str, str], path: Path) -> None:
    strangers = sorted(shapes.keys() - names.keys())
    if strangers:
        raise refused(path, f"it has {len(strangers)} tensors of no known place, the first {strangers[0]}")

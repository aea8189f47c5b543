"""UNets read from the shapes of their tensors: what is derived equals what they were built from."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel

from sfumato.errors import ModelFileError
from sfumato.models.original.names import inverse, rename, unet_modules
from sfumato.models.original.structure import Shape, UNetStructure, depth_of, structure_of

NOWHERE = Path("model.safetensors")
FIRST: dict[str, Any] = {"attention_head_dim": 8, "cross_attention_dim": 768, "in_channels": 4}
ATTENDS = ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
RISES = ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3
XL: dict[str, Any] = {
    "attention_head_dim": [5, 10, 20],
    "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "transformer_layers_per_block": [1, 2, 10],
}
SECOND: dict[str, Any] = {
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
}
HALF: dict[str, Any] = {
    **XL,
    "mid_block_type": "UNetMidBlock2D",
    "transformer_layers_per_block": [1, [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 1],
}
TINY: dict[str, Any] = {
    **FIRST,
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3,
    "up_block_types": ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 1,
    "mid_block_type": None,
}
#: Configuration and published number of parameters.
FAMILIES: dict[str, tuple[dict[str, Any], int]] = {
    "sd15": (FIRST, 859_520_964),
    "sd15 inpainting": ({**FIRST, "in_channels": 9}, 859_535_364),
    "sd15 lcm": ({**FIRST, "time_cond_proj_dim": 256}, 859_602_884),
    "sd2": (SECOND, 865_910_724),
    "small-sd": ({**FIRST, "layers_per_block": 1}, 579_384_964),
    "bk-sdm small": ({**FIRST, "layers_per_block": 1, "mid_block_type": None}, 482_346_884),
    "tiny-sd": (TINY, 323_384_964),
    "sdxl": (XL, 2_567_463_684),
    "sdxl inpainting": ({**XL, "in_channels": 9}, 2_567_478_084),
    "ssd-1b": (HALF, 1_331_334_404),
    "ssd-1b lcm": ({**HALF, "time_cond_proj_dim": 256}, 1_331_416_324),
    "vega": (
        {
            **HALF,
            "transformer_layers_per_block": [1, [1, 1], [2, 2]],
            "reverse_transformer_layers_per_block": [[2, 2, 2], [1, 1, 1], 1],
        },
        745_225_604,
    ),
    "sdxl refiner": (
        {
            **XL,
            "attention_head_dim": [6, 12, 24, 24],
            "block_out_channels": [384, 768, 1536, 1536],
            "cross_attention_dim": 1280,
            "down_block_types": [
                "DownBlock2D",
                "CrossAttnDownBlock2D",
                "CrossAttnDownBlock2D",
                "DownBlock2D",
            ],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "projection_class_embeddings_input_dim": 2560,
            "transformer_layers_per_block": 4,
        },
        2_259_526_660,
    ),
    "x4 upscaler": (
        {
            "attention_head_dim": 8,
            "block_out_channels": [256, 512, 512, 1024],
            "cross_attention_dim": 1024,
            "down_block_types": ATTENDS[::-1],
            "up_block_types": RISES[::-1],
            "in_channels": 7,
            "num_class_embeds": 1000,
            "only_cross_attention": [True, True, True, False],
            "use_linear_projection": True,
        },
        473_398_020,
    ),
}


def shapes_of(config: dict[str, Any]) -> dict[str, Shape]:
    with torch.device("meta"):
        net = UNet2DConditionModel.from_config(config)
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def as_original(shapes: dict[str, Shape], unet: UNetStructure) -> dict[str, Shape]:
    names = rename(shapes, unet_modules(unet))
    assert names.keys() == shapes.keys()
    assert len(set(names.values())) == len(names)
    return {names[name]: shape for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def small() -> dict[str, Shape]:
    """Stable Diffusion 1's tensors in the original layout."""
    return as_original(shapes_of(FIRST), SMALL)


def _first() -> UNetStructure:
    from sfumato.models.original.structure import Level

    levels = tuple(Level(w, (1, 1), (1, 1, 1)) for w in (320, 640, 1280))
    last = Level(1280, (0, 0), (0, 0, 0))
    return UNetStructure((*levels, last), 1, 768, 4, 4, False, (False,) * 4)


SMALL = _first()


def test_stable_diffusion_1_is_read_from_names_it_is_known_by(small: dict[str, Shape]) -> None:
    """A few names of the published file, so that the maps are not only the inverse of each other."""
    assert small["input_blocks.0.0.weight"] == (320, 4, 3, 3)
    assert small["input_blocks.3.0.op.weight"] == (320, 320, 3, 3)
    assert small["input_blocks.4.0.skip_connection.weight"] == (640, 320, 1, 1)
    assert small["input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight"] == (1280, 768)
    assert small["middle_block.1.proj_in.weight"] == (1280, 1280, 1, 1)
    assert small["output_blocks.2.1.conv.weight"] == (1280, 1280, 3, 3)
    assert small["output_blocks.5.2.conv.weight"] == (1280, 1280, 3, 3)
    assert small["output_blocks.11.1.transformer_blocks.0.ff.net.0.proj.weight"] == (2560, 320)
    assert small["time_embed.0.weight"] == (1280, 320)
    assert small["out.2.bias"] == (4,)
    assert len(small) == 686
    assert structure_of(small, NOWHERE) == SMALL


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_derived_from_its_shapes(name: str) -> None:
    config, parameters = FAMILIES[name]
    shapes = shapes_of(config)
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == parameters
    # The maps need a structure, and the structure the maps: it is found by reading its own configuration's.
    unet = structure_of(as_original(shapes, read_from(config)), NOWHERE)
    assert unet == read_from(config)
    assert shapes_of(unet.config()) == shapes
    for key in ("block_out_channels", "attention_head_dim", "only_cross_attention", "in_channels"):
        if key in config:
            assert unet.config()[key] == config[key]
    names = rename(as_original(shapes, unet), inverse(unet_modules(unet)))
    assert set(names.values()) == set(shapes)


def read_from(config: dict[str, Any]) -> UNetStructure:
    """What a configuration says, as a structure."""
    from sfumato.models.original.structure import Level

    widths = config.get("block_out_channels", [320, 640, 1280, 1280])
    count, layers = len(widths), config.get("layers_per_block", 2)
    depths = config.get("transformer_layers_per_block", 1)
    depths = [depths] * count if isinstance(depths, int) else depths
    up = config.get("reverse_transformer_layers_per_block", depths[::-1])[::-1]
    attends = ["Cross" in kind for kind in config.get("down_block_types", ATTENDS)]
    rises = ["Cross" in kind for kind in config.get("up_block_types", RISES)][::-1]

    def each(depth: int | list[int], times: int, there: bool) -> tuple[int, ...]:
        return (0,) * times if not there else (depth,) * times if isinstance(depth, int) else tuple(depth)

    levels = tuple(
        Level(width, each(depths[at], layers, attends[at]), each(up[at], layers + 1, rises[at]))
        for at, width in enumerate(widths)
    )
    kind = config.get("mid_block_type", "UNetMidBlock2DCrossAttn")
    middle = {"UNetMidBlock2DCrossAttn": depths[-1], "UNetMidBlock2D": 0, None: None}[kind]
    return UNetStructure(
        levels,
        middle,
        config["cross_attention_dim"],
        config.get("in_channels", 4),
        4,
        config.get("use_linear_projection", False),
        tuple(config.get("only_cross_attention", [False] * count)),
        config.get("projection_class_embeddings_input_dim"),
        config.get("num_class_embeds"),
        config.get("time_cond_proj_dim"),
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_blocks.0.0.weight": None}, r"it has no input_blocks\.0\.0\.weight"),
        ({"input_blocks.0.0.weight": (320,)}, r"input_blocks\.0\.0\.weight is 320"),
        ({"out.2.weight": None}, r"it has no out\.2\.weight"),
        ({"input_blocks.2.0.out_layers.3.weight": (640, 640, 3, 3)}, "640 channels in a level of 320"),
        ({"input_blocks.5.0.out_layers.3.weight": None}, "residual blocks"),
        ({"output_blocks.7.0.out_layers.3.weight": None}, r"it has no output_blocks\.7"),
        ({"output_blocks.12.0.out_layers.3.weight": (4, 4, 3, 3)}, r"an output_blocks\.12 more"),
        ({"input_blocks.1.1.proj_in.weight": (320,)}, r"proj_in\.weight is 320"),
    ],
)
def test_what_contradicts_itself_is_refused_with_what_was_seen(
    small: dict[str, Shape], change: dict[str, Shape | None], words: str
) -> None:
    damaged = {name: shape for name, shape in {**small, **change}.items() if shape is not None}
    with pytest.raises(ModelFileError, match=words) as caught:
        structure_of(damaged, NOWHERE)
    assert caught.value.value == str(NOWHERE)
    assert "\n" not in str(caught.value)


def test_something_else_is_refused() -> None:
    with pytest.raises(ModelFileError, match="this is no UNet that is known"):
        structure_of({"transformer.wte.weight": (50257, 768)}, NOWHERE)
    with pytest.raises(ModelFileError, match="it has no"):
        structure_of({}, NOWHERE)


def test_depths_are_counted(small: dict[str, Shape]) -> None:
    assert depth_of(small, "input_blocks.1.1") == 1
    assert depth_of(small, "input_blocks.10.1") == 0

"""What a model is expected to take, from headers alone: exact where weights are counted, near measured peaks
where activations are guessed (tests/memory_peaks.py measures; docs/how-to/memory.md has the figures).
"""

import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.models.estimate import (
    LIBRARIES,
    Drawing,
    Estimate,
    Way,
    decode_bytes,
    estimate,
    step_bytes,
    together,
)
from sfumato.models.files import ModelFiles, locate
from sfumato.models.safetensors_header import read_header
from sparse_models import write_sparse
from tiny_models import tiny_folder

TORCH = Way("torch", "float32")
SMALL = Drawing(64, 64)
SD15 = {
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "layers_per_block": 2,
    "num_attention_heads": None,
}
XL = {
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
}
VAE = {"block_out_channels": [128, 256, 512, 512]}


@pytest.fixture(scope="module")
def files() -> ModelFiles:
    return locate(tiny_folder())


def numbers(files: ModelFiles) -> Iterator[tuple[str, int]]:
    for one in files.networks:
        yield one.name, sum(math.prod(tensor.shape) for tensor in read_header(one.weights).tensors.values())


def test_weights_are_counted_exactly(files: ModelFiles) -> None:
    each = dict(numbers(files))
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        made = estimate(files, Way("torch", dtype), SMALL)
        assert made.loaded == LIBRARIES["torch"] + size * sum(each.values())
    half = estimate(files, Way("torch", "float16"), SMALL)  # whose autoencoder is in float32
    assert half.loaded == LIBRARIES["torch"] + 2 * sum(each.values()) + 2 * each["vae"]


def test_loading_has_the_file_of_one_network_beside(files: ModelFiles) -> None:
    made = estimate(files, TORCH, SMALL)
    each = dict(numbers(files))
    so_far = 4 * (each["unet"] + each["vae"])
    most = max(8 * each["unet"], so_far + 4 * each["vae"], 4 * sum(each.values()) + 4 * each["text_encoder"])
    assert made.loading == LIBRARIES["torch"] + most
    # The file in other bits counts with its own.
    assert estimate(files, Way("torch", "bfloat16"), SMALL).loading > made.loading // 2


def test_less_is_less(files: ModelFiles) -> None:
    """What is in memory at a time, from the most to the least."""
    large = Drawing(512, 512)
    ways = [
        TORCH,
        replace(TORCH, storage="int8"),
        replace(TORCH, offload="component", storage="int8"),
        replace(TORCH, offload="sequential"),
    ]
    loaded = [estimate(files, way, large).loaded for way in ways]
    # The matrices of the tiny model are too small to be worth eight bits.
    assert loaded[0] == loaded[1] > loaded[2] == loaded[3] == LIBRARIES["torch"]
    drawn = [estimate(files, way, large).draw for way in ways]
    assert drawn[0] == drawn[1] > drawn[2]
    whole = estimate(files, TORCH, large)
    assert estimate(files, TORCH, replace(large, max_latents=256)).draw < whole.draw
    assert estimate(files, TORCH, replace(large, rows=16)).draw > whole.draw


def test_eight_bits_of_a_large_layer(files: ModelFiles, tmp_path: Path) -> None:
    sparse = write_sparse(tmp_path / "x.safetensors", {"a.weight": (1024, 1024), "a.bias": (1024,)})
    unet = replace(files.unet, weights=sparse)
    whole, small = (
        estimate(replace(files, unet=unet), replace(TORCH, storage=storage), SMALL).loaded
        for storage in ("whole", "int8")
    )
    saved = 1024 * 1024 * (4 - 1 - 2 / 64)
    assert whole - small == pytest.approx(saved, rel=1e-3)


def test_a_gpu_holds_no_libraries(files: ModelFiles) -> None:
    made = estimate(files, Way("torch", "float16", "cuda"), SMALL)
    assert made.libraries == 0
    assert made.loading == made.loaded


def test_openvino_keeps_the_file_mapped(files: ModelFiles) -> None:
    made = estimate(files, Way("openvino", "float32"), SMALL)
    stored = sum(4 * count for _, count in numbers(files))
    assert made.files == stored
    assert made.needed == made.draw - stored - made.libraries
    assert estimate(files, Way("openvino", "int8"), SMALL).draw < made.draw


@pytest.mark.parametrize(
    ("unet", "way", "side", "rows", "measured"),
    [  # MB beside the weights while a step was predicted
        (SD15, Way("torch", "bfloat16"), 256, 2, 121),
        (SD15, Way("torch", "bfloat16"), 512, 2, 206),
        (SD15, Way("torch", "bfloat16"), 768, 2, 412),
        (SD15, Way("torch", "float32"), 512, 2, 451),
        (SD15, Way("openvino", "bfloat16"), 512, 2, 503),
        (SD15, Way("openvino", "float32"), 512, 2, 804),
        (XL, Way("torch", "bfloat16"), 512, 2, 154),
    ],
)
def test_steps_as_measured(unet: dict[str, object], way: Way, side: int, rows: int, measured: int) -> None:
    made = step_bytes(unet, VAE, way, Drawing(side, side, rows))
    assert made / 1e6 == pytest.approx(measured, rel=0.25)


@pytest.mark.parametrize(
    ("way", "side", "measured"),
    [  # MB beside the weights while a picture was decoded
        (Way("torch", "bfloat16"), 256, 171),
        (Way("torch", "bfloat16"), 512, 540),
        (Way("torch", "bfloat16"), 768, 1051),
        (Way("torch", "float32"), 512, 1090),
    ],
)
def test_decoding_as_measured(way: Way, side: int, measured: int) -> None:
    assert decode_bytes(VAE, way, Drawing(side, side)) / 1e6 == pytest.approx(measured, rel=0.25)


def test_networks_of_other_kinds() -> None:
    """A transformer has no levels; what a configuration leaves out is as diffusers has it."""
    joint = {"num_attention_heads": 24, "attention_head_dim": 64, "patch_size": 2}
    small, large = (step_bytes(joint, VAE, TORCH, Drawing(side, side)) for side in (512, 1024))
    assert small < large
    silent = {"block_out_channels": [320, 640, 1280, 1280]}
    assert step_bytes(silent, VAE, TORCH, SMALL) == step_bytes(SD15, VAE, TORCH, SMALL)


def test_the_estimate_is_a_value() -> None:
    assert Estimate(10, 50, 90, 120, 30).needed == 80
    assert Estimate(10, 50, 90, 60, 30).needed == 40


def test_two_that_draw_in_turn() -> None:
    base, second = Estimate(10, 50, 90, 120), Estimate(10, 30, 70, 150)
    whole = together((base, second), all_stays=False)
    assert whole == Estimate(10, 70, 110, 190)  # what the second needs, with what stays of the first
    assert whole.needed == 180
    graphs = together((Estimate(10, 10, 10, 60, 20), Estimate(10, 10, 10, 80, 30)), all_stays=True)
    assert graphs.needed == 50 + 70 - 20 - 30  # each keeps what it drew with
    assert together((base,), all_stays=False) == base


def test_nothing_heavy_is_imported(files: ModelFiles) -> None:
    program = f"""
import sys
from pathlib import Path
from sfumato.models.estimate import Drawing, Way, estimate
from sfumato.models.files import locate
estimate(locate(Path({str(tiny_folder())!r})), Way("torch", "float32"), Drawing(64, 64))
heavy = {{"torch", "diffusers", "transformers", "openvino", "numpy"}} & sys.modules.keys()
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path.cwd())

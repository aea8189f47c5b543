"""A diffusers folder with random weights of a given architecture, written without torch.

How fast a network runs does not depend on what its weights say, as long as all numbers stay finite and none
becomes so small that processors slow down.
"""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import OutputError
from sfumato.evaluation.speed.layers import Layer, Part, decoder, encoder, text_encoder, unet
from sfumato.evaluation.speed.sd15 import Architecture

_POOL: Final = 1 << 20  # random numbers that all tensors are cut from
_SPARE: Final = 60_000_000  # bytes beside the weights: configurations, and what else writes meanwhile

Floats = NDArray[np.float16]


def num_weights(architecture: Architecture) -> int:
    """Return how many numbers the three networks hold."""
    return sum(math.prod(shape) for parts in _networks(architecture).values() for _, shape in _tensors(parts))


def check_space(folder: Path, architecture: Architecture) -> None:
    """Raise OutputError when the disk that holds `folder` has no room for the weights in float16."""
    needed = 2 * num_weights(architecture) + _SPARE
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{architecture.name} with random weights needs {needed / 1e9:.1f} GB for a while, and "
            f"{free / 1e9:.1f} GB are free",
            field="temporary folder",
            value=str(folder),
            hint="Free some space, set TMPDIR to a folder on another disk, or measure cold and warm only.",
        )


def write_random_model(folder: Path, architecture: Architecture) -> None:
    """Write a whole diffusers folder with float16 weights; its tokenizer knows no words.

    Matrices get numbers of variance one over their inputs, norms ones, biases zeros: activations then stay
    near one. Raises OutputError when the disk is full.
    """
    try:
        _write(folder, architecture)
    except OSError as error:
        raise OutputError(
            f"the random weights cannot be written: {error.strerror}",
            field="temporary folder",
            value=str(folder),
            hint="Free some space, or set TMPDIR to a folder on another disk.",
        ) from error


def _write(folder: Path, architecture: Architecture) -> None:
    configs = {
        "unet": (architecture.unet, "diffusion_pytorch_model"),
        "vae": (architecture.vae, "diffusion_pytorch_model"),
        "text_encoder": (architecture.text_encoder, "model"),
    }
    pool = np.random.default_rng(0).standard_normal(_POOL, np.float32).astype(np.float16)
    for name, parts in _networks(architecture).items():
        config, stem = configs[name]
        _write_json(folder / name / "config.json", config)
        with (folder / name / f"{stem}.safetensors").open("wb") as file:
            _write_safetensors(file, parts, pool)
    classes = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "scheduler": "DDIMScheduler"}
    index: dict[str, Any] = {name: ["diffusers", kind] for name, kind in classes.items()}
    index |= {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
    }
    _write_json(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline", **index})
    _write_json(
        folder / "scheduler" / "scheduler_config.json",
        {
            "_class_name": "DDIMScheduler",
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "beta_start": 0.00085,
            "num_train_timesteps": 1000,
        },
    )
    tokens = architecture.text_encoder["vocab_size"]
    _write_json(folder / "tokenizer" / "tokenizer_config.json", {"model_max_length": architecture.tokens})
    marks = {"<|startoftext|>": tokens - 2, "<|endoftext|>": tokens - 1}
    _write_json(folder / "tokenizer" / "vocab.json", marks)
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


def _networks(architecture: Architecture) -> dict[str, list[Part]]:
    return {
        "unet": list(unet(architecture.unet)),
        "vae": [*encoder(architecture.vae), *decoder(architecture.vae)],
        "text_encoder": list(text_encoder(architecture.text_encoder)),
    }


def _tensors(parts: list[Part]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in parts:
        if isinstance(part, Layer):
            yield f"{part.name}.weight", part.shape
            if part.bias:
                yield f"{part.name}.bias", part.shape[:1]


def _write_safetensors(file: BinaryIO, parts: list[Part], pool: Floats) -> None:
    # By hand, as the library wants all tensors in memory at once. The format: eight bytes with the length of
    # a JSON header, the header, and the tensors one after the other.
    header: dict[str, Any] = {}
    at = 0
    for key, shape in _tensors(parts):
        end = at + 2 * math.prod(shape)
        header[key] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode("ascii")
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for key, shape in _tensors(parts):
        for block in _values(key, shape, pool):
            file.write(block.data)


def _values(key: str, shape: tuple[int, ...], pool: Floats) -> Iterator[Floats]:
    """Yield the numbers of one tensor, in pieces."""
    if len(shape) == 1:
        yield np.full(shape, 0 if key.endswith("bias") else 1, np.float16)
        return
    scaled = pool * np.float16(1 / math.sqrt(math.prod(shape[1:])))
    left = math.prod(shape)
    while left > 0:
        yield scaled[:left]
        left -= len(scaled)


def _write_json(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2), encoding="utf-8")

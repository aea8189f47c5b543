"""How much memory a model takes, told from headers and configurations before anything of it is loaded.

Weights are counted exactly: every tensor of every network, in what the backend keeps it in. What drawing
takes beside them follows from the shapes of the networks, with factors that were fitted to measured peaks of
full-size models (tests/memory_peaks.py; the errors are in docs/how-to/memory.md). Imports nothing heavy.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sfumato.models.files import ModelFiles
from sfumato.models.network_files import NetworkFiles
from sfumato.models.safetensors_header import BITS, Header, read_header
from sfumato.models.stored import changed_shape

#: Resident memory of a process that has imported a backend, and nothing else: measured.
LIBRARIES: Final[Mapping[str, int]] = {"torch": 500_000_000, "openvino": 110_000_000}
BYTES: Final[Mapping[str, int]] = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 2, "int8-full": 2}
LEAST_IN_8_BITS: Final = 64 * 1024  # numbers of a matrix that is worth it
SCALES: Final = 1 + 2 / 64  # bytes of a number in 8 bits, with the steps of groups of 64

# What a step takes beside its activations: encoded texts, buffers of matrix products.
STEP_BYTES: Final[Mapping[str, int]] = {"torch": 100_000_000, "openvino": 195_000_000}
# Activations of a UNet, in the numbers that `_step_numbers` counts. What openvino computes with is not freed
# from one call to the next, and its attention holds more at once.
STEP_FACTORS: Final[Mapping[str, float]] = {"torch float32": 1.4, "torch": 0.95, "openvino": 2.55}
# Numbers of a decoder for each pixel and channel of its second level, the widest thing at full size.
DECODE_FACTOR: Final[Mapping[str, float]] = {"torch": 3.7, "openvino": 5.0}
DECODE_NUMBERS: Final[Mapping[str, int]] = {"torch": 24_000_000, "openvino": 0}  # whatever the size


@dataclass(frozen=True)
class Way:
    """How a model is run: the `backend` ("torch" or "openvino"), the `dtype` that it computes in (a name of
    `sfumato.settings.DTYPES` but "auto"), the kind of `device` ("cpu", "cuda", "mps"), and what
    `Settings.offload` and `Settings.storage` say, but "auto".
    """

    backend: str
    dtype: str
    device: str = "cpu"
    offload: str = "none"
    storage: str = "whole"


@dataclass(frozen=True)
class Drawing:
    """What is drawn: pictures of `width` x `height` pixels, with `rows` of them in one call of the network
    (two for one picture with guidance). `max_latents` are decoded at a time, None for all of a picture.
    """

    width: int
    height: int
    rows: int = 2
    max_latents: int | None = None


@dataclass(frozen=True)
class Estimate:
    """Bytes of the memory of the device that draws. `libraries` are there before a model is, and on a GPU
    not counted. `loaded` is what is taken when a model is ready, libraries and all, `draw` the most while it
    draws, and `loading` the most while it is loaded: the pages of its files as well. Of `draw`, so many are
    pages of `files` that are not needed again, which the system takes back when memory gets short.
    """

    libraries: int
    loaded: int
    loading: int
    draw: int
    files: int = 0

    @property
    def needed(self) -> int:
        """What must be free before the model is loaded, where the libraries are there."""
        return max(self.loaded, self.draw - self.files) - self.libraries


@dataclass(frozen=True)
class _Network:
    """Numbers of a network: in `matrices` and `kernels` of convolutions that are worth eight bits, in the
    largest of these, in all `others`; and its bytes in the file.
    """

    matrices: int
    kernels: int
    others: int
    largest: int
    stored: int

    @property
    def stored_each(self) -> float:
        """The bytes of a number in the file."""
        return self.stored / max(1, self.matrices + self.kernels + self.others)

    def kept(self, each: int, packed: Literal["nothing", "matrices", "all"] = "nothing") -> int:
        """Return the bytes that the weights take with `each` of a number, but of what is `packed`."""
        small = 0 if packed == "nothing" else self.matrices
        small += self.kernels if packed == "all" else 0
        return int(small * SCALES) + (self.matrices + self.kernels + self.others - small) * each


def estimate(files: ModelFiles, way: Way, drawing: Drawing) -> Estimate:
    """Return what loading a model and drawing with it takes. Raises ModelFileError for a file that cannot be
    read. Configurations are those of a model that `sfumato.models.load.find_model` has checked.
    """
    headers = {path: read_header(path) for one in files.networks for path in one.paths}
    networks = [_counted(one, headers) for one in files.networks]
    each = BYTES[way.dtype]
    packed: Literal["nothing", "matrices", "all"] = "nothing"
    if way.backend == "openvino":
        packed = "matrices" if way.dtype == "int8" else "nothing"
    elif way.storage not in ("whole", "auto"):
        packed = "all"
    unet, vae, *texts = networks
    decoder = vae.kept(4 if way.backend == "torch" and way.dtype == "float16" else each)
    kept = [unet.kept(each, packed), decoder, *(one.kept(each, packed) for one in texts)]
    step = step_bytes(files.unet.config, files.vae.config, way, drawing)
    decode = decode_bytes(files.vae.config, way, drawing)
    libraries = LIBRARIES[way.backend] if way.device == "cpu" else 0
    if way.backend == "openvino":
        # Graphs are compiled when they are first needed, and keep the file mapped that they were made of.
        mapped = sum(one.stored for one in networks)
        draw = libraries + sum(kept) + step + decode + mapped
        return Estimate(libraries, libraries, libraries, draw, mapped)
    stays, step_weights, decode_weights = _resident(kept, networks, way)
    loaded = libraries + stays
    draw = libraries + max(step_weights + step, decode_weights + decode, stays)
    return Estimate(libraries, loaded, max(loaded, libraries + _loading(kept, networks, way)), draw)


def together(made: Sequence[Estimate], *, all_stays: bool) -> Estimate:
    """Return what several models take that draw in turn, from the estimates of each, run in the same way.
    `all_stays`: what one of them took for a drawing is there while the others draw, as with openvino; else
    only what it has loaded.
    """
    libraries = made[0].libraries
    stays = [(one.draw if all_stays else one.loaded) - libraries for one in made]
    before = [libraries + sum(stays[:at]) for at in range(len(made))]
    return Estimate(
        libraries=libraries,
        loaded=libraries + sum(one.loaded - libraries for one in made),
        loading=max(there + one.loading - libraries for there, one in zip(before, made, strict=True)),
        draw=sum(stays) + max(one.draw - mine for one, mine in zip(made, stays, strict=True)),
        files=sum(one.files for one in made),
    )


def step_bytes(unet: Mapping[str, Any], vae: Mapping[str, Any], way: Way, drawing: Drawing) -> int:
    """Return the bytes that predicting a step takes beside the weights."""
    side = 2 ** (len(vae["block_out_channels"]) - 1)
    latents = math.ceil(drawing.width / side) * math.ceil(drawing.height / side)
    factor = STEP_FACTORS.get(f"{way.backend} {way.dtype}", STEP_FACTORS[way.backend])
    numbers = drawing.rows * latents * _step_numbers(unet) * factor
    return int(numbers * BYTES[way.dtype]) + STEP_BYTES[way.backend]


def decode_bytes(vae: Mapping[str, Any], way: Way, drawing: Drawing) -> int:
    """Return the bytes that decoding one picture takes beside the weights."""
    widths = vae["block_out_channels"]
    pixels = 4 ** (len(widths) - 1)
    side = 2 ** (len(widths) - 1)
    latents = math.ceil(drawing.width / side) * math.ceil(drawing.height / side)
    if drawing.max_latents is not None:
        latents = min(latents, drawing.max_latents)
    each = 4 if way.dtype == "float16" else BYTES[way.dtype]
    numbers = latents * pixels * widths[min(1, len(widths) - 1)] * DECODE_FACTOR[way.backend]
    numbers += DECODE_NUMBERS[way.backend]
    picture = drawing.width * drawing.height * 3 * 5  # as float32, and as bytes
    return int(numbers * each) + picture


def _step_numbers(network: Mapping[str, Any]) -> float:
    """Return how many numbers a network has in memory at once for each latent. A UNet: the skip connections
    that wait for the way up, and the layer that takes most, the feed-forward layer of a transformer (18 times
    its width) or a convolution of what is joined. A transformer: 24 times its width for each patch.
    """
    if "block_out_channels" not in network:
        width = network.get("num_attention_heads", 24) * network.get("attention_head_dim", 64)
        return 24 * width / network.get("patch_size", 2) ** 2
    widths: Sequence[int] = network["block_out_channels"]
    kinds = network.get("down_block_types", (*("CrossAttnDownBlock2D",) * (len(widths) - 1), "DownBlock2D"))
    layers = network.get("layers_per_block", 2)
    each = [layers] * len(widths) if isinstance(layers, int) else list(layers)
    waiting, working = float(widths[0]), 0.0
    for level, (width, kind, depth) in enumerate(zip(widths, kinds, each, strict=False)):
        share = 0.25**level
        waiting += width * depth * share + (width * share / 4 if level < len(widths) - 1 else 0)
        wider = widths[min(level + 1, len(widths) - 1)]
        working = max(working, share * (18 * width if "Attn" in kind else 2 * (width + wider) + 2 * width))
    return waiting + working


def _resident(kept: Sequence[int], networks: Sequence[_Network], way: Way) -> tuple[int, int, int]:
    """Return the bytes of weights that are in memory between drawings, during a step, and during decoding."""
    unet, vae, *texts = kept
    if way.offload == "component":
        return 0, max(unet, sum(texts)), vae
    if way.offload == "sequential":
        # A layer as it is in the file, and as it is computed with; of tables only some rows are read.
        largest = max(one.largest * (one.stored_each + BYTES[way.dtype]) for one in networks)
        return 0, int(largest), int(largest)
    return sum(kept), sum(kept), sum(kept)


def _loading(kept: Sequence[int], networks: Sequence[_Network], way: Way) -> int:
    """Return the most that is in memory while weights are read: those so far, and the file of this one."""
    if way.device != "cpu" or way.offload != "none" or way.storage not in ("whole", "auto"):
        return 0  # layers are read one by one, and their pages let go of
    most = so_far = 0
    for mine, network in zip(kept, networks, strict=True):
        so_far += mine
        most = max(most, so_far + network.stored)
    return most


def _counted(network: NetworkFiles, headers: Mapping[Path, Header]) -> _Network:
    counts = {"matrices": 0, "kernels": 0, "others": 0}
    largest = stored = 0
    for name, shape, bits in _tensors(network, headers):
        numbers = math.prod(shape)
        stored += numbers * bits // 8
        worth = len(shape) in (2, 4) and numbers >= LEAST_IN_8_BITS and "embedding" not in name
        largest = max(largest, numbers if worth else 0)
        counts[("matrices" if len(shape) == 2 else "kernels") if worth else "others"] += numbers
    return _Network(**counts, largest=largest, stored=stored)


def _tensors(
    network: NetworkFiles, headers: Mapping[Path, Header]
) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Yield name and shape of every tensor, and how many bits a number of it has in the file."""
    if network.stored is None:
        for name, tensor in headers[network.weights].tensors.items():
            if not name.endswith("position_ids"):
                yield name, tensor.shape, BITS[tensor.dtype]
        return
    for name, one in network.stored.items():
        tensor = headers[one.path].tensors[one.key]
        yield name, changed_shape(tensor.shape, one.change), BITS[tensor.dtype]

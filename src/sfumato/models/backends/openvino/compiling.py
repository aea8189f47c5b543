"""Compile the graphs that drawing begins with, and store those whose storing makes the next process faster.

Measured on two cores: reading the bundled UNet back takes about half as long as compiling it. At the size of
Stable Diffusion 1.5 reading back saves nothing, for 1.7 GB per graph; but with weights of eight bits, which
have to be made first, it takes 5 s instead of 7, for 1.7 GB in all; in int8-full 3 s instead of 7, for 1 GB.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.backends.openvino.backend import OpenVinoBackend
from sfumato.models.backends.openvino.networks import is_small
from sfumato.models.backends.openvino.ranges import INT8_FULL
from sfumato.models.files import ModelFiles
from sfumato.models.network_files import NetworkFiles

_TIME: Final = 500.0  # any will do: graphs take it as an input
_SIDE: Final = 8  # of the latents that a graph of any size is tried with

# The networks whose weights a precision rounds to eight bits; others have nothing that is not in their file.
_MADE_ANEW: Final[Mapping[str, tuple[str, ...]]] = {"int8": ("text_encoder", "unet"), INT8_FULL: ("unet",)}

What = Literal["text encoder", "unet", "unet with features reused", "decoder"]


@dataclass(frozen=True)
class Usual:
    """What a model draws when nothing is asked for: the `tokens` of a chunk of text, and the `channels`,
    `height` and `width` of its latents.
    """

    tokens: int
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Job:
    """Graphs to compile together: `what`, and for how many `rows`."""

    what: What
    rows: int


@dataclass(frozen=True)
class GraphsStored:
    """`job`, number `finished` of `total`, was done; since the beginning, `num_graphs` files of `num_bytes`
    were written.
    """

    job: Job
    finished: int
    total: int
    num_graphs: int
    num_bytes: int


def worth_storing(network: NetworkFiles, dtype: str) -> bool:
    """Tell whether a stored graph of this network is read faster than a new one is made."""
    return is_small(network) or network.name in _MADE_ANEW.get(dtype, ())


def omitted(files: ModelFiles, dtype: str) -> tuple[str, ...]:
    """Return the names of the networks that are not worth storing."""
    networks = (("text encoder", files.text_encoder), ("unet", files.unet), ("decoder", files.vae))
    return tuple(name for name, network in networks if not worth_storing(network, dtype))


def jobs_of(files: ModelFiles, dtype: str) -> tuple[Job, ...]:
    """Return what is worth storing of a model in the precision `dtype`.

    Of small networks these are the graphs of one picture of the usual size: with guidance (two rows) and
    without, whole and with features reused. Of large ones it is one graph of any size.
    """
    jobs: list[Job] = []
    if worth_storing(files.text_encoder, dtype):
        jobs.append(Job("text encoder", 1))
    if worth_storing(files.unet, dtype):
        jobs.append(Job("unet", 2))
    if is_small(files.unet):
        jobs += [Job("unet", 1), Job("unet with features reused", 2), Job("unet with features reused", 1)]
    if worth_storing(files.vae, dtype):
        jobs.append(Job("decoder", 1))
    return tuple(jobs)


def compile_graphs(backend: OpenVinoBackend, usual: Usual) -> Generator[GraphsStored, None, None]:
    """Compile and store what `jobs_of` says with a backend whose cache is storing; in the end, remove what
    was stored before.

    Raises OutputError when a graph cannot be written, ModelFileError when weights do not fit.
    """
    cache = backend.cache
    if cache is None or not cache.storing:
        raise ValueError("this backend stores nothing")
    jobs = jobs_of(backend.files, backend.dtype)
    for finished, job in enumerate(jobs, start=1):
        _run(backend, usual, job)
        written = cache.written.values()
        yield GraphsStored(job, finished, len(jobs), len(written), sum(written))
    cache.keep_written()


def _run(backend: OpenVinoBackend, usual: Usual, job: Job) -> None:
    """Call the network of `job` as the engine does; what it needs is compiled and stored on the way."""
    files = backend.files
    if job.what == "text encoder":
        backend.encode_text(np.zeros((job.rows, usual.tokens), np.int64))
        return
    small = is_small(files.vae if job.what == "decoder" else files.unet)
    height, width = (usual.height, usual.width) if small else (_SIDE, _SIDE)
    x = np.zeros((job.rows, usual.channels, height, width), np.float32)
    if job.what == "decoder":
        backend.decode(x)
        return
    dimension = files.text_encoder.config.get("hidden_size", 512)  # transformers' default
    context = np.zeros((job.rows, usual.tokens, dimension), np.float32)
    guided = files.unet.config.get("time_cond_proj_dim") is not None
    extra = Extra(guidance=1.0) if guided else NOTHING
    if job.what == "unet":
        backend.predict(x, _TIME, context, extra)
    else:
        _, features = backend.predict_reusing(x, _TIME, context, None, extra)
        backend.predict_reusing(x, _TIME, context, features, extra)

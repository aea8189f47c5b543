"""A worker's player for Sfumato: a whole model through the engine, or its networks through the backend."""

import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.run import draw
from sfumato.evaluation.speed.turns import Job, Task, Turn, Unavailable
from sfumato.models.backends.base import Backend
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import ModelFiles, locate
from sfumato.models.load import find_model, make_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings

MIDDLE = 500.0  # a timestep


@dataclass(frozen=True, eq=False)
class SfumatoPlayer:
    """`bundle` is None where the networks alone were asked for."""

    job: Job
    files: ModelFiles
    backend: Backend
    bundle: ModelBundle | None

    def task(self, turn: Turn) -> Task:
        backend, guidance = self.backend, self.job.guidance
        tokens, words = text_size(self.files)
        rng = np.random.default_rng(0)
        if turn.task in ("pictures", "fast") and self.bundle is not None:
            return self._pictures(self.bundle, turn.batch, fast=turn.task == "fast")
        if turn.task == "encode":
            ids = rng.integers(0, words, (2, tokens))
            return lambda: backend.encode_text(ids)
        latents = backend.asarray(normal(rng, turn.batch, self._channels("in_channels"), turn))
        if turn.task == "decode":
            return lambda: backend.decode(latents)
        if turn.task == "step":
            x = backend.asarray(normal(rng, 2 * turn.batch, self._channels("in_channels"), turn))
            width = self.files.unet.config["cross_attention_dim"]
            context = backend.asarray(rng.standard_normal((2 * turn.batch, tokens, width)).astype(np.float32))

            def step() -> object:
                output = backend.predict(x, MIDDLE, context)
                without, with_text = output[: turn.batch], output[turn.batch :]
                return without + guidance * (with_text - without)

            return step
        raise ValueError(f"there is no task {turn.task}")

    def _channels(self, key: str) -> int:
        return self.files.unet.config[key]

    def _pictures(self, bundle: ModelBundle, count: int, *, fast: bool) -> Task:
        job = self.job
        recipe = Recipe(
            model=bundle.name,
            parts=(TextPart(prompt=job.prompt, guidance_rescale=job.guidance_rescale),),
            width=job.width,
            height=job.height,
            steps=job.steps,
            sampler="ddim",
            spacing="trailing",
            guidance=job.guidance,
            seed=job.seed,
            count=count,
            fast=fast,
        )
        resolved = resolve(recipe, bundle.defaults)

        def pictures() -> object:
            with closing(draw(resolved, bundle)) as events:
                return list(events)

        return pictures


def load_sfumato(job: Job) -> SfumatoPlayer:
    """Load the networks of the folder of a job, on the processor. Raises Unavailable."""
    found = None
    if job.whole:
        settings = replace(Settings.from_environment(os.environ), model_dirs=())
        found = find_model(job.folder, settings)
    files = locate(Path(job.folder)) if found is None else found.files
    backend = _openvino(files, job) if job.library == "openvino" else _torch(files, job)
    return SfumatoPlayer(job, files, backend, None if found is None else make_bundle(found, backend, {}))


def text_size(files: ModelFiles) -> tuple[int, int]:
    """Return how many tokens a text of this model has, and how many different ones there are."""
    config = files.text_encoder.config
    return config.get("max_position_embeddings", 77), config["vocab_size"]


def normal(rng: np.random.Generator, rows: int, channels: int, turn: Turn) -> NDArray[np.float32]:
    """Return random latents `(rows,channels,h,w)` of the size of a turn."""
    return rng.standard_normal((rows, channels, turn.height, turn.width)).astype(np.float32)


def _openvino(files: ModelFiles, job: Job) -> Backend:
    from sfumato.models.backends.openvino.support import unsupported

    reason = unsupported(files)
    if reason is not None:
        raise Unavailable(reason)
    from sfumato.models.backends.openvino.backend import load_openvino
    from sfumato.models.backends.openvino.cache import CachePlace
    from sfumato.models.backends.openvino.calibration import channels_of_ranges
    from sfumato.models.backends.openvino.networks import has_bfloat16, has_int8, shared_core
    from sfumato.models.backends.openvino.ranges import INT8_FULL, RANGES_FILE, write_ranges

    if job.precision == "bfloat16" and not has_bfloat16(shared_core()):
        raise Unavailable("this processor does not multiply bfloat16 numbers")
    if job.precision != INT8_FULL:
        return load_openvino(files, job.precision)
    if not has_int8(shared_core()):
        raise Unavailable("this processor does not multiply 8-bit numbers")
    # What the ranges are changes pictures, and not the time they take: any will do here.
    place = CachePlace(Path(job.scratch), files.digest())
    folder = place.of_precision(INT8_FULL)
    folder.mkdir(parents=True, exist_ok=True)
    ranges = {
        name: np.repeat(np.array([[-3], [3]], np.float32), channels, axis=1)
        for name, channels in channels_of_ranges(files).items()
    }
    write_ranges(folder / RANGES_FILE, ranges, place.digest)
    return load_openvino(files, INT8_FULL, place)


def _torch(files: ModelFiles, job: Job) -> Backend:
    from sfumato.models.backends.torch import load_torch

    return load_torch(files, "cpu", job.precision)

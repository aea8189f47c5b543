"""How far a backend computes from another one: the error of every network, and the PSNR of pictures.

`observe` two bundles of one model, and `compare` what they gave. The report is stored beside the compiled
graphs it speaks of, and `stored_parities` finds it there.
"""

import math
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from sfumato import __version__
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.errors import NumericalError, SfumatoError
from sfumato.imaging.writing import write_file
from sfumato.models.backends.openvino.cache import builder_version
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import ModelFiles, locate
from sfumato.models.text import tokenise
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import PRECISIONS

PARITY_FILE: Final = "parity.json"
#: What is drawn, in turn, then again in each of the styles; every picture has a seed of its own.
PROMPTS: Final = (
    "a frog on a beach",
    "a red car on a blue background",
    "an astronaut riding a horse",
    "a house in the snow at night",
    "pencil sketch of a black cat",
    "two penguins on a green background",
    "a sailboat on the sea at sunset",
    "oil painting of a sunflower",
)
STYLES: Final = ("", "photo of ", "watercolour of ", "pixel art of ")
FIRST_SEED: Final = 1
_TIMES: Final = (0.9, 0.5, 0.1)  # of the timesteps that the model was trained on
_PEAK: Final = 255.0

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Observed:
    """Number `finished` of `total` calls and pictures is done."""

    finished: int
    total: int


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a bundle gave: the output of every network by name, the `contexts (N,T,D)` that the UNet was
    given, and `pictures (H,W,3)` uint8.
    """

    backend: str
    networks: Mapping[str, Floats]
    contexts: Floats
    pictures: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True)
class Differences:
    """`errors` of every network: the Euclidean length of the difference of two outputs, relative to that of
    the reference's; and the PSNR of every picture in dB, infinite for equal ones.
    """

    errors: Mapping[str, float]
    psnr: tuple[float, ...]


class Parity(BaseModel):
    """How far `backend` computes from `reference`, as it is stored: `Differences`, and of what.

    The median and the lowest PSNR are None (null) when they are infinite or there is no picture. `folder` and
    `files` (bytes and time of change) are of the model that was compared; the versions are those it was
    compared with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    model: str
    digest: str
    backend: str
    reference: str
    precision: str
    errors: dict[str, float]
    pictures: int
    identical: int
    median_psnr: float | None
    lowest_psnr: float | None
    width: int
    height: int
    steps: int
    sampler: str
    sfumato: str
    builder: str
    openvino: str
    folder: str
    files: dict[str, tuple[int, int]]

    @property
    def stale(self) -> bool:
        """Whether openvino, or what builds graphs for it, is another one since."""
        return (self.openvino, self.builder) != (_openvino(), builder_version())

    def text(self) -> str:
        """Say all of it in a few words: the precision, and how near the pictures are."""
        short = next(
            (short for short, dtype in PRECISIONS.items() if dtype == self.precision), self.precision
        )
        return f"{short} {'is stale' if self.stale else self.pictures_text()}"

    def pictures_text(self) -> str:
        """Say how near the pictures are, in a few words."""
        if self.pictures == 0:
            return "without pictures"
        if self.identical == self.pictures:
            return "identical pictures"
        if self.median_psnr is None:  # half of them are
            return f"{self.lowest_psnr:.1f} dB or more"
        return f"{self.median_psnr:.1f} dB"


def observe(
    bundle: ModelBundle, num_pictures: int, like: Outputs | None = None
) -> Generator[Observed | Outputs, None, None]:
    """Run every network of `bundle` once or more, draw `num_pictures` of the usual size, and yield the
    Outputs last.

    Inputs are the same for every bundle of a model: the texts of `PROMPTS`, noise of unit variance, and for
    the UNet the contexts of `like`, so that each error is a network's own. Raises NumericalError when an
    output is not finite.
    """
    backend, defaults = bundle.backend, bundle.defaults
    total = 2 + len(_TIMES) + num_pictures
    # The first chunk alone: a tokenizer of few words may need more.
    ids = [tokenise(bundle.tokenizer, (((text, 1.0),),)).ids[:1] for text in (*PROMPTS, "")]
    contexts = np.concatenate([backend.to_numpy(backend.encode_text(one)) for one in ids])
    networks = {"text encoder": contexts}
    yield Observed(1, total)

    given = contexts if like is None else like.contexts
    pair = backend.asarray(np.stack([given[0], given[-1]]))
    rng = np.random.default_rng(FIRST_SEED)
    sides = (defaults.height // bundle.downsample, defaults.width // bundle.downsample)
    noise = rng.standard_normal((2, bundle.latent_channels, *sides)).astype(np.float32)
    latents = backend.asarray(noise)
    for number, share in enumerate(_TIMES, start=2):
        t = float(round(share * (len(bundle.schedule.alphas_cumprod) - 1)))
        networks[f"unet, t = {t:.0f}"] = backend.to_numpy(backend.predict(latents, t, pair))
        yield Observed(number, total)
    networks["decoder"] = backend.decode(latents[:1])
    yield Observed(total - num_pictures, total)
    for name, output in networks.items():
        if not np.isfinite(output).all():
            raise NumericalError(
                f"the output of the {name} is not finite", field="backend", value=backend.name
            )

    pictures: list[NDArray[np.uint8]] = []
    for index in range(num_pictures):
        pictures.append(_drawn(bundle, index))
        yield Observed(total - num_pictures + index + 1, total)
    yield Outputs(backend.name, networks, contexts, tuple(pictures))


def compare(reference: Outputs, outputs: Outputs) -> Differences:
    """Return how far `outputs` are from those of the `reference`."""
    return Differences(
        {name: relative_error(outputs.networks[name], one) for name, one in reference.networks.items()},
        tuple(psnr(*pair) for pair in zip(outputs.pictures, reference.pictures, strict=True)),
    )


def relative_error(a: Floats, reference: Floats) -> float:
    """Return |a - reference| / |reference|, in Euclidean lengths; of a reference of zeros, |a|."""
    wanted = reference.astype(np.float64)
    length = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(a - wanted)) / (length if length > 0 else 1.0)


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio of two pictures of one shape in dB, infinite for equal ones."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(_PEAK**2 / error)


def parity_of(
    differences: Differences, bundle: ModelBundle, files: ModelFiles, reference: str, precision: str
) -> Parity:
    """Return the report on `bundle`, of the model in `files`, against the backend called `reference`."""
    levels = sorted(differences.psnr)
    defaults = bundle.defaults
    return Parity(
        model=bundle.name,
        digest=bundle.digest,
        backend=bundle.backend.name,
        reference=reference,
        precision=precision,
        errors=dict(differences.errors),
        pictures=len(levels),
        identical=sum(math.isinf(level) for level in levels),
        median_psnr=_finite(median(levels)) if levels else None,
        lowest_psnr=_finite(levels[0]) if levels else None,
        width=defaults.width,
        height=defaults.height,
        steps=defaults.steps,
        sampler=defaults.sampler,
        sfumato=__version__,
        builder=builder_version(),
        openvino=_openvino(),
        folder=str(files.folder.resolve()),
        files=_fingerprint(files),
    )


def store(parity: Parity, folder: Path) -> Path:
    """Write the report into `folder`, beside the graphs it speaks of; raises OutputError."""
    path = folder / PARITY_FILE
    write_file(path, parity.model_dump_json(indent=2).encode())
    return path


def stored_parities(compiled: Path, model: Path) -> tuple[Parity, ...]:
    """Return the reports below `compiled`, the folder of all compiled graphs, on the model in the folder
    `model` as it is now. What cannot be read is left out.
    """
    found = [one for path in sorted(compiled.glob(f"*/*/{PARITY_FILE}")) if (one := _read(path)) is not None]
    folder = str(model.resolve())
    here = [one for one in found if one.folder == folder]
    if not here:
        return ()
    try:
        files = locate(model)
        now = _fingerprint(files)
        # Reading a large model takes seconds; that is for files that were touched.
        digest = None if all(one.files == now for one in here) else files.digest()
    except (SfumatoError, OSError):
        return ()
    return tuple(one for one in here if one.files == now or one.digest == digest)


def prompt(index: int) -> str:
    """Return what picture number `index` shows: 32 different prompts, then the first one again."""
    again, which = divmod(index, len(PROMPTS))
    return STYLES[again % len(STYLES)] + PROMPTS[which]


def _drawn(bundle: ModelBundle, index: int) -> NDArray[np.uint8]:
    text = TextPart(prompt=prompt(index))
    resolved = resolve(Recipe(parts=(text,), seed=FIRST_SEED + index), bundle.defaults)
    with closing(draw(resolved, bundle)) as events:
        (picture,) = [event.pixels for event in events if isinstance(event, Picture)]
    return picture


def _read(path: Path) -> Parity | None:
    try:
        return Parity.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _fingerprint(files: ModelFiles) -> dict[str, tuple[int, int]]:
    """Return bytes and time of change (ns) of the weights: other ones have another time."""
    marks = {network.name: network.weights.stat() for network in (files.text_encoder, files.unet, files.vae)}
    return {name: (mark.st_size, mark.st_mtime_ns) for name, mark in marks.items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _openvino() -> str:
    return metadata.version("openvino")

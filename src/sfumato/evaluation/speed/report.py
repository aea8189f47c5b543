"""The report of a measurement: frozen values, and the same as JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sfumato.evaluation.speed.figures import Spread
from sfumato.evaluation.speed.machine import Machine
from sfumato.evaluation.speed.turns import Memory

REPORT_VERSION: Final = 1
BUSY: Final = 0.05  # the share of the processor in other hands from which a measurement is doubtful
_DIGITS: Final = 6


@dataclass(frozen=True)
class Subject:
    """What was drawn: guided steps of the sampler ddim with trailing spacing, on the processor."""

    model: str
    prompt: str
    width: int
    height: int
    steps: int
    guidance: float
    guidance_rescale: float
    seed: int


@dataclass(frozen=True)
class Side:
    """Fresh processes of one program: `seconds` from the start of the process to the picture on disk,
    `exit_seconds` to its end, and the most memory it held (None where the system does not tell).
    """

    seconds: Spread
    exit_seconds: Spread
    peak_bytes: Spread | None


@dataclass(frozen=True)
class ColdReport:
    """`sfumato` finds the graphs that an earlier run stored, `first` does not, like the first run after an
    installation; diffusers takes `ratio` and `first_ratio` times as long, in runs one after the other.

    `stages` are the medians of Sfumato's own account where graphs were stored, `modules` those of the extra
    [torch] that it imported, `psnr` compares the two pictures, in dB. What concerns diffusers is None without
    torch.
    """

    subject: Subject
    backend: str
    sfumato: Side
    first: Side
    diffusers: Side | None
    ratio: Spread | None
    first_ratio: Spread | None
    stages: Mapping[str, float]
    modules: tuple[str, ...]
    psnr: float | None


@dataclass(frozen=True)
class WarmRow:
    """One contestant at one batch. A step is one guided step of the whole batch, the network alone; a picture
    goes from prompt to pixels. Ratios are to diffusers float32 in the same round, larger is faster;
    `fast_gain` is how many times faster `--fast` makes pictures of the same contestant.
    """

    contestant: str
    batch: int
    steps_per_second: Spread
    pictures_per_second: Spread | None
    step_ratio: Spread | None
    picture_ratio: Spread | None
    fast_per_second: Spread | None = None
    fast_gain: Spread | None = None


@dataclass(frozen=True)
class WarmReport:
    """Models that are loaded already. `load_seconds` is by contestant, imports included."""

    subject: Subject
    load_seconds: Mapping[str, float]
    rows: tuple[WarmRow, ...]


@dataclass(frozen=True)
class Peak:
    """The rate of one large operation, in 10^9 operations a second: `task` matmul or convolution."""

    library: str
    precision: str
    task: str
    gflops: Spread


@dataclass(frozen=True)
class Cost:
    """Seconds, and by baseline how many times longer that takes in the same round."""

    seconds: Spread
    ratios: Mapping[str, Spread]


@dataclass(frozen=True)
class LargeRow:
    """One contestant at full size: to `encode` two texts, one guided `step`, `decode` one picture, and the
    whole `picture`; that is put together from the three where `extrapolated`.

    `step_share` is a step's rate over the best that was measured in its precision, in [0, 1].
    """

    contestant: str
    load_seconds: float
    encode: Cost
    step: Cost
    decode: Cost
    picture: Cost
    extrapolated: bool
    memory: Memory
    step_share: float | None


@dataclass(frozen=True)
class LargeReport:
    """Networks of a published model's size with random weights, called directly."""

    architecture: str
    side: int
    steps: int
    num_weights: int
    step_flops: int
    decode_flops: int
    peaks: tuple[Peak, ...]
    rows: tuple[LargeRow, ...]


@dataclass(frozen=True)
class Report:
    """Everything that was measured; None for a section that was not. `others` is the share of the processor
    that other processes took in each section, None where the system does not tell.
    """

    machine: Machine
    quick: bool
    cold: ColdReport | None
    warm: WarmReport | None
    large: LargeReport | None
    others: Mapping[str, float | None]
    notes: tuple[str, ...]
    seconds: float

    def disturbed(self) -> tuple[str, ...]:
        """Return the sections during which other processes were busy."""
        return tuple(name for name, share in self.others.items() if share is not None and share > BUSY)


def to_data(report: Report) -> dict[str, Any]:
    """Return the report for JSON, numbers rounded to six digits."""
    return {"version": REPORT_VERSION, **_rounded(asdict(report))}


def best(peaks: tuple[Peak, ...], precision: str) -> float | None:
    """Return the best rate in 10^9 operations a second of a precision, None where it was not measured.

    Weights of eight bits are computed with in bfloat16, or in float32 on a processor without it.
    """
    wanted = ("bfloat16", "float32") if precision == "int8" else (precision,)
    for name in wanted:
        rates = [peak.gflops.high for peak in peaks if peak.precision == name]
        if rates:
            return max(rates)
    return None


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return _to_digits(value)
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case _:
            return value


def _to_digits(value: float) -> float | None:
    if not math.isfinite(value):
        return None  # JSON has no infinity: the PSNR of equal pictures
    return float(f"{value:.{_DIGITS}g}")

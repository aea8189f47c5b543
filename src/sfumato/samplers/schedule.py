"""The noise schedule: the levels a network was trained on, and the grid of a drawing.

Solvers and engine work in variance-exploding coordinates, `x = x0 + sigma * noise`; what networks say is
converted by `sfumato.samplers.prediction`, whose functions are named here as well. Flows are a prediction of
their own, see `sfumato.samplers.flow`; for EDM's see `sfumato.samplers.edm`. Nothing here imports torch.
"""

import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from sfumato.errors import ModelFileError, RecipeError
from sfumato.samplers import edm, flow
from sfumato.samplers.prediction import (
    Array,
    Prediction,
    add_noise,
    min_snr_weight,
    scale_in,
    snr,
    target,
    to_x0,
)
from sfumato.samplers.spacings import SPACINGS, Floats, Spacing, sigma_at

__all__ = [
    "SPACINGS",
    "Array",
    "Kind",
    "Prediction",
    "Schedule",
    "add_noise",
    "grid",
    "min_snr_weight",
    "scale_in",
    "snr",
    "target",
    "to_x0",
]

Kind: TypeAlias = Literal["linear", "scaled_linear", "cosine"]

# With zero terminal SNR the last alpha_bar is 0 and its sigma infinite. The smallest float16 subnormal stands
# in for it, as in diffusers: sigma is then 4096, finite in every dtype, and the signal left in the noisiest
# input is 2e-4 of its size.
TINY_ALPHA_BAR = 2.0**-24

MAX_TIMESTEPS = 100_000  # a schedule read from a file must not be able to fill the memory
MAX_KNOTS = 4096
KNOTS_TOLERANCE = 1e-3

_DIFFUSERS_KINDS: Mapping[str, Kind] = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "squaredcos_cap_v2": "cosine",
}
_DIFFUSERS_PREDICTIONS: Mapping[str, Prediction] = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}


@dataclass(frozen=True, eq=False)
class Schedule:
    """What a network was trained on: `alphas_cumprod (N,)` float64, falling inside (0, 1), and what it
    predicts. With the prediction "flow" it is the table of `Schedule.flow`, and timesteps go up to N. With
    `data`, the standard deviation of what it was trained on in the way of EDM, timesteps are EDM's.

    `steps_offset` shifts the "leading" spacing only (Stable Diffusion 1.5 was published with 1). `entropic`,
    where it was measured, holds rising sigmas at equal shares of the model's entropy, from `sigma_min` to
    `sigma_max`. Raises ValueError for a table that is not one-dimensional, not strictly falling or leaves
    (0, 1), and for other knots than these.
    """

    alphas_cumprod: Floats
    prediction: Prediction
    steps_offset: int = 0
    entropic: tuple[float, ...] | None = None
    data: float | None = None

    def __post_init__(self) -> None:
        table = np.array(self.alphas_cumprod, dtype=np.float64)
        if table.ndim != 1 or len(table) < 2:
            raise ValueError(f"alphas_cumprod must be (N,) with N >= 2, not {table.shape}")
        if not (np.all(np.diff(table) < 0) and table[-1] > 0 and table[0] < 1):
            raise ValueError("alphas_cumprod must fall strictly and stay inside (0, 1)")
        if self.prediction not in get_args(Prediction):
            raise ValueError(f"prediction must be one of {get_args(Prediction)}, not {self.prediction!r}")
        table.flags.writeable = False
        object.__setattr__(self, "alphas_cumprod", table)
        if self.entropic is not None:
            object.__setattr__(self, "entropic", self._checked_knots(self.entropic))

    @classmethod
    def create(
        cls,
        kind: Kind = "scaled_linear",
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        num_train_timesteps: int = 1000,
        prediction: Prediction = "eps",
        zero_terminal_snr: bool = False,
        steps_offset: int = 0,
    ) -> "Schedule":
        """Return a schedule from a formula; the defaults are Stable Diffusion's.

        linear: Ho et al. 2020 (arXiv 2006.11239) Section 4. scaled_linear: sqrt(beta) linear (Rombach et al.
        2022). cosine: Nichol and Dhariwal 2021 (arXiv 2102.09672) Eq. 17 with beta <= 0.999; it ignores
        `beta_start` and `beta_end`. `zero_terminal_snr` shifts and scales sqrt(alpha_bar) so that it ends at
        zero (Lin et al. 2023, arXiv 2305.08891, Algorithm 1); the stored last value is 2**-24, see
        `TINY_ALPHA_BAR`.
        """
        if not 2 <= num_train_timesteps <= MAX_TIMESTEPS:
            raise ValueError(f"num_train_timesteps must be 2 to {MAX_TIMESTEPS}, not {num_train_timesteps}")
        if kind == "linear":
            betas = np.linspace(beta_start, beta_end, num_train_timesteps)
        elif kind == "scaled_linear":
            betas = np.linspace(math.sqrt(beta_start), math.sqrt(beta_end), num_train_timesteps) ** 2
        elif kind == "cosine":
            edges = np.cos((np.linspace(0, 1, num_train_timesteps + 1) + 0.008) / 1.008 * math.pi / 2) ** 2
            betas = np.minimum(1 - edges[1:] / edges[:-1], 0.999)
        else:
            raise ValueError(f"kind must be one of {get_args(Kind)}, not {kind!r}")
        return cls(_alphas_cumprod(betas, zero_terminal_snr), prediction, steps_offset)

    @classmethod
    def flow(cls, shift: float = 1.0, num_train_timesteps: int = 1000) -> "Schedule":
        """Return the schedule of a network of flow matching: see `sfumato.samplers.flow`."""
        return cls(flow.alphas_cumprod_of(shift, num_train_timesteps), "flow")

    @classmethod
    def edm(cls, levels: edm.Edm) -> "Schedule":
        """Return the schedule of a network that was trained in the way of EDM: see `sfumato.samplers.edm`."""
        return cls(levels.alphas_cumprod(), levels.prediction, data=levels.data)

    @classmethod
    def from_diffusers_config(cls, config: Mapping[str, Any]) -> "Schedule":
        """Return the schedule a diffusers `scheduler_config.json` describes; keys it leaves out have
        diffusers' defaults.

        Raises ModelFileError for a beta schedule or a prediction type that is not known here, or for numbers
        that make no schedule.
        """
        if config.get("_class_name") in flow.CLASSES:
            with _faults():
                return cls.flow(*flow.read_config(config))
        if config.get("_class_name") in edm.CLASSES:
            with _faults():
                return cls.edm(edm.read_config(config))
        kind = _known("beta_schedule", config.get("beta_schedule", "linear"), _DIFFUSERS_KINDS)
        prediction = _known(
            "prediction_type", config.get("prediction_type", "epsilon"), _DIFFUSERS_PREDICTIONS
        )
        zero_snr = bool(config.get("rescale_betas_zero_snr", False))
        trained = config.get("trained_betas")
        with _faults():
            steps_offset = int(config.get("steps_offset", 0))
            if trained is not None:
                betas = np.asarray(trained, dtype=np.float64)
                return cls(_alphas_cumprod(betas, zero_snr), prediction, steps_offset)
            return cls.create(
                kind,
                float(config.get("beta_start", 0.0001)),
                float(config.get("beta_end", 0.02)),
                int(config.get("num_train_timesteps", 1000)),
                prediction,
                zero_snr,
                steps_offset,
            )

    def _checked_knots(self, knots: tuple[float, ...]) -> tuple[float, ...]:
        rising = np.asarray(knots, dtype=np.float64)
        if rising.ndim != 1 or not 2 <= len(rising) <= MAX_KNOTS or not np.all(np.diff(rising) > 0):
            raise ValueError(f"entropic sigmas must be 2 to {MAX_KNOTS} numbers that rise")
        ends = (self.sigma_min, self.sigma_max)
        if not np.allclose((rising[0], rising[-1]), ends, rtol=KNOTS_TOLERANCE, atol=0):
            raise ValueError(f"entropic sigmas must go from {ends[0]:.6g} to {ends[1]:.6g}")
        rising[[0, -1]] = ends  # files hold fewer digits than the table
        if not np.all(np.diff(rising) > 0):
            raise ValueError("entropic sigmas must rise")
        return tuple(rising.tolist())

    @cached_property
    def sigmas(self) -> Floats:
        """`(N,)` float64, rising: noise over signal at every training timestep, sqrt((1 - alpha_bar) /
        alpha_bar)."""
        sigmas = np.sqrt((1 - self.alphas_cumprod) / self.alphas_cumprod)
        sigmas.flags.writeable = False
        return sigmas

    @cached_property
    def _log_sigmas(self) -> Floats:
        return np.log(self.sigmas)

    @property
    def sigma_min(self) -> float:
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        return float(self.sigmas[-1])

    def t_of(self, sigma: float) -> float:
        """Return the fractional timestep in [0, N-1] of a noise level; levels outside the table give its
        ends.

        log sigma is linear between neighbours (k-diffusion, diffusers `_sigma_to_t`). A value within 1e-6 of
        a whole timestep is that timestep, so that a grid made of training timesteps feeds the network the
        integers it was trained on. A flow's timestep is the noise's share of N, and the noisiest is N itself.
        """
        if self.prediction == "flow":
            return flow.timestep_of(sigma, self.sigma_min, self.sigma_max, len(self.sigmas))
        if self.data is not None:
            return edm.timestep_of(min(max(sigma, self.sigma_min), self.sigma_max), self.data)
        if sigma <= self.sigma_min:
            return 0.0
        t = float(np.interp(math.log(sigma), self._log_sigmas, np.arange(len(self.sigmas))))
        return float(round(t)) if abs(t - round(t)) < 1e-6 else t

    def sigma_of(self, t: float) -> float:
        """Return the noise level of a fractional timestep, clamped to the table: the inverse of `t_of`."""
        if self.prediction == "flow":
            return flow.sigma_of(t, self.sigma_min, self.sigma_max, len(self.sigmas))
        if self.data is not None:
            return min(max(edm.sigma_of(t, self.data), self.sigma_min), self.sigma_max)
        return float(sigma_at(self.sigmas, t))


def grid(schedule: Schedule, num_steps: int, spacing: str) -> tuple[float, ...]:
    """Return `num_steps + 1` noise levels for a drawing: falling, from the noisiest the spacing visits to
    exactly 0.0.

    `num_steps` in [1, N], `spacing` a key of `SPACINGS`. Raises RecipeError for anything else, and for a
    measured spacing when the model was not measured.
    """
    if spacing not in SPACINGS:
        known = ", ".join(SPACINGS)
        raise RecipeError("unknown spacing", field="spacing", value=spacing, hint=f"Choose one of {known}.")
    row = SPACINGS[spacing]
    if row.flow and schedule.prediction != "flow":
        raise RecipeError(
            "is for models of flow matching (Stable Diffusion 3)",
            field="spacing",
            value=spacing,
            hint="Choose another, such as trailing.",
        )
    limit = len(schedule.sigmas)
    if not 1 <= num_steps <= limit:
        raise RecipeError(f"must be between 1 and {limit}", field="steps", value=num_steps)
    return (*row.sigmas(_table(schedule, row), num_steps, schedule.steps_offset).tolist(), 0.0)


def _table(schedule: Schedule, row: Spacing) -> Floats:
    if not row.measured:
        return schedule.sigmas
    if schedule.entropic is None:
        raise RecipeError(
            "the entropy of this model was never measured",
            field="spacing",
            value=row.name,
            hint="Choose another, such as trailing; sfumato.evaluation.entropy measures it.",
        )
    return np.asarray(schedule.entropic)


@contextmanager
def _faults() -> Generator[None]:
    """Have what numbers of a configuration make no schedule raise ModelFileError."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(
            f"the noise schedule cannot be used: {error}", field="scheduler_config.json"
        ) from error


def _alphas_cumprod(betas: Floats, zero_terminal_snr: bool) -> Floats:
    if betas.ndim != 1 or len(betas) < 2 or not np.all((betas > 0) & (betas < 1)):
        raise ValueError("betas must be (N,) with N >= 2, inside (0, 1)")
    table = np.cumprod(1 - betas, dtype=np.float64)
    if not zero_terminal_snr:
        return table
    roots = np.sqrt(table)
    roots = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
    return np.append(roots[:-1] ** 2, TINY_ALPHA_BAR)


def _known(field: str, name: object, table: Mapping[str, Any]) -> Any:
    if not isinstance(name, str) or name not in table:
        known = ", ".join(table)
        raise ModelFileError(
            "this noise schedule is not supported", field=field, value=name, hint=f"Known: {known}."
        )
    return table[name]

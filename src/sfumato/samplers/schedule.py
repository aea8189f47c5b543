"""The noise schedule, and every conversion between what a network says and what a solver needs.

Solvers and engine work in variance-exploding coordinates, `x = x0 + sigma * noise`. A variance-preserving
network was trained on `z = sqrt(alpha_bar) * x0 + sqrt(1 - alpha_bar) * noise`, which is `x / sqrt(1 +
sigma^2)` with `sigma^2 = (1 - alpha_bar) / alpha_bar` (Karras et al. 2022, arXiv 2206.00364, Section 2 and
Appendix C.1). Training and sampling both use the functions of this file.
Flows are a prediction of their own, see `sfumato.samplers.flow`; for EDM's see `sfumato.samplers.edm`.

Functions take any array that follows the Array API (numpy, torch, ...) and return the same kind; nothing here
imports torch.
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
from sfumato.samplers.arrays import array_namespace
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

Array: TypeAlias = Any  # whatever follows the Array API; Python has no static type for it yet
Prediction: TypeAlias = Literal["eps", "v", "x0", "flow", "edm"]
Kind: TypeAlias = Literal["linear", "scaled_linear", "cosine"]

# numpy scalars of any width: left alone, a float64 one would turn float32 pictures into float64.
_NUMBER: tuple[type[Any], ...] = (int, float, np.number)

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


def scale_in(x: Array, sigma: float | Array, prediction: Prediction) -> Array:
    """Return the network input `(B,C,h,w)`: `x / sqrt(1 + sigma^2)`, of variance about one, and `x / (1 +
    sigma)` for a flow. `sigma` a float or `(B,)`."""
    alpha, _ = _flow_shares(sigma, x) if prediction == "flow" else _alpha_sigma(sigma, x)
    return x * alpha


def to_x0(out: Array, x: Array, sigma: float | Array, prediction: Prediction) -> Array:
    """Return the clean latent a network output means, for `x = x0 + sigma * noise`.

    `out`, `x` are `(B,C,h,w)`; `sigma` a float or `(B,)`. eps: Ho et al. 2020 Eq. 15. v: Salimans and Ho 2022
    (arXiv 2202.00512) Appendix D, `x0 = alpha z - sigma_vp v`. flow: `x0 = z - s out`. edm: v with the other
    sign.
    """
    if prediction == "x0":
        return out
    if prediction == "flow":
        signal, share = _flow_shares(sigma, x)
        return x * signal - out * share
    alpha, vp_sigma = _alpha_sigma(sigma, x)
    if prediction == "edm":
        return x * (alpha * alpha) + out * vp_sigma
    if prediction == "eps":
        return x - out * (vp_sigma / alpha)
    return x * (alpha * alpha) - out * vp_sigma


def add_noise(x0: Array, noise: Array, alpha_bar: float | Array) -> Array:
    """Return the network's training input `z = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise`.

    `x0`, `noise` are `(B,C,h,w)`; `alpha_bar` a float or `(B,)`, in [0, 1]. Ho et al. 2020 Eq. 4.
    """
    signal, spread = _signal_spread(alpha_bar, x0)
    return x0 * signal + noise * spread


def target(x0: Array, noise: Array, alpha_bar: float | Array, prediction: Prediction) -> Array:
    """Return what the network should say about `add_noise(x0, noise, alpha_bar)`: the noise, v or x0,
    `(B,C,h,w)`.

    v is `sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0` (Salimans and Ho 2022). `alpha_bar` a float or
    `(B,)`, in [0, 1]. Raises ValueError for a flow, whose training input is another.
    """
    _check_trained(prediction)
    if prediction == "eps":
        return noise
    if prediction == "x0":
        return x0
    signal, spread = _signal_spread(alpha_bar, x0)
    return noise * signal - x0 * spread


def snr(alpha_bar: float | Array) -> Array:
    """Return the signal to noise ratio `alpha_bar / (1 - alpha_bar)`, shaped as `alpha_bar`, which lies in
    [0, 1)."""
    return alpha_bar / (1 - alpha_bar)


def min_snr_weight(snr: float | Array, gamma: float, prediction: Prediction) -> Array:
    """Return the loss weight, shaped as `snr`, that gives every timestep `min(snr, gamma)` in units of x0.

    Hang et al. 2023 (arXiv 2303.09556) Section 3.4: divided by `snr` for eps and by `snr + 1` for v, because
    their errors are x0's times these. Finite at zero SNR, where the weight of x0 and v is 0 and of eps is 1.
    `gamma` > 0; the paper uses 5. Raises ValueError for a flow.
    """
    _check_trained(prediction)
    values: Array = np.asarray(snr, dtype=np.float64) if isinstance(snr, _NUMBER) else snr
    xp = array_namespace(values)
    if prediction == "eps":
        return gamma / xp.clip(values, gamma, None)
    clipped = xp.clip(values, None, gamma)
    return clipped / (values + 1) if prediction == "v" else clipped


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


def _check_trained(prediction: Prediction) -> None:
    if prediction in ("flow", "edm"):
        raise ValueError("flow matching and EDM are drawn with here, and not trained")


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


def _alpha_sigma(sigma: float | Array, like: Array) -> tuple[Any, Any]:
    """Return alpha and sigma of the variance-preserving process, ready to multiply `like`."""
    if isinstance(sigma, _NUMBER):
        sigma = float(sigma)
        return 1 / math.sqrt(1 + sigma * sigma), sigma / math.sqrt(1 + sigma * sigma)
    xp = array_namespace(sigma)
    alpha = 1 / xp.sqrt(1 + sigma * sigma)
    return _per_sample(alpha, like), _per_sample(sigma * alpha, like)


def _flow_shares(sigma: float | Array, like: Array) -> tuple[Any, Any]:
    """Return the shares of signal and noise in the input of a flow, ready to multiply `like`."""
    if isinstance(sigma, _NUMBER):
        sigma = float(sigma)
        return 1 / (1 + sigma), flow.share_of(sigma)
    return _per_sample(1 / (1 + sigma), like), _per_sample(flow.share_of(sigma), like)


def _signal_spread(alpha_bar: float | Array, like: Array) -> tuple[Any, Any]:
    if isinstance(alpha_bar, _NUMBER):
        alpha_bar = float(alpha_bar)
        return math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    xp = array_namespace(alpha_bar)
    return _per_sample(xp.sqrt(alpha_bar), like), _per_sample(xp.sqrt(1 - alpha_bar), like)


def _per_sample(values: Array, like: Array) -> Array:
    """Return `(B,)` values as `(B,1,1,1)` in the dtype of `like`: the roots are taken in float64, pictures
    keep their dtype."""
    xp = array_namespace(like)
    values = xp.astype(values, like.dtype)
    return xp.reshape(values, (-1,) + (1,) * (like.ndim - 1)) if values.ndim == 1 else values

"""Every conversion between what a network says and what a solver needs.

Solvers and engine work in variance-exploding coordinates, `x = x0 + sigma * noise`. A variance-preserving
network was trained on `z = sqrt(alpha_bar) * x0 + sqrt(1 - alpha_bar) * noise`, which is `x / sqrt(1 +
sigma^2)` with `sigma^2 = (1 - alpha_bar) / alpha_bar` (Karras et al. 2022, arXiv 2206.00364, Section 2 and
Appendix C.1). Training and sampling both use these functions, by way of `sfumato.samplers.schedule`.

Functions take any array that follows the Array API (numpy, torch, ...) and return the same kind; nothing here
imports torch.
"""

import math
from typing import Any, Literal, TypeAlias

import numpy as np

from sfumato.samplers import flow
from sfumato.samplers.arrays import array_namespace

Array: TypeAlias = Any  # whatever follows the Array API; Python has no static type for it yet
Prediction: TypeAlias = Literal["eps", "v", "x0", "flow", "edm"]

# numpy scalars of any width: left alone, a float64 one would turn float32 pictures into float64.
_NUMBER: tuple[type[Any], ...] = (int, float, np.number)


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


def _check_trained(prediction: Prediction) -> None:
    if prediction in ("flow", "edm"):
        raise ValueError("flow matching and EDM are drawn with here, and not trained")


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

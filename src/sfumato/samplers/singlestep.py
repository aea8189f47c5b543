"""Solvers that keep nothing between steps: euler, euler_a, ddim, heun, dpmpp_2s_a, dpmpp_sde, lcm."""

import math
from dataclasses import dataclass

from sfumato.samplers.rules import Denoise, NoiseSource, ancestral, relax
from sfumato.samplers.schedule import Array

Out = tuple[Array, Array, None]

# A sigma above this is all noise to the eye (the start of zero terminal SNR, or of the cosine schedule).
NEARLY_INFINITE = 1000.0
# Zero terminal SNR starts at sigma 4096 (alpha_bar 2^-24), which stands for infinity.
STANDS_FOR_INFINITY = 4000.0


@dataclass(frozen=True)
class Euler:
    """First order. `eta` in [0, 1] is the share of noise put back at every step.

    With `eta = 0` it is Euler (Karras et al. 2022, arXiv 2206.00364, Algorithm 1 without its correction),
    with `eta = 1` Euler ancestral and DDPM.
    """

    eta: float = 0.0

    def init(self) -> None:
        return None

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: None, noise: NoiseSource
    ) -> Out:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, None
        down, up = ancestral(sigma, sigma_next, self.eta)
        x = relax(x, x0, down / sigma)
        return (x + noise(sigma, sigma_next) * up if up > 0 else x), x0, None


@dataclass(frozen=True)
class DDIM:
    """First order: Song et al. 2020 (arXiv 2010.02502) Eq. 12 and 16, `eta` in [0, 1].

    In these coordinates DDIM is Euler for `eta = 0` and the ancestral step for every eta. They part only at
    infinite sigma, where DDIM takes the input itself for the noise: so does this rule from the sigma that
    stands for infinity, while Euler goes on reading 4096 as a number. The pictures differ by 2e-4.
    """

    eta: float = 0.0

    def init(self) -> None:
        return None

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: None, noise: NoiseSource
    ) -> Out:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, None
        down, up = ancestral(sigma, sigma_next, self.eta)
        infinite = sigma > STANDS_FOR_INFINITY
        x = x * (down / sigma) + x0 if infinite else relax(x, x0, down / sigma)
        return (x + noise(sigma, sigma_next) * up if up > 0 else x), x0, None


@dataclass(frozen=True)
class Heun:
    """Second order, two evaluations: Karras et al. 2022 Algorithm 1. The last step is Euler's.

    From a sigma above 1000 the step is Euler's as well. The trapezoid weighs the change of slope by the whole
    interval in sigma, which for a stand-in for infinity is wrong by as much as the interval is long; there
    the denoiser hardly changes, and Euler is exact for a constant one. (k-diffusion and diffusers have no
    such guard; diffusers' Heun has no zero terminal SNR either.)
    """

    def init(self) -> None:
        return None

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: None, noise: NoiseSource
    ) -> Out:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, None
        x = relax(x, x0, sigma_next / sigma)
        if sigma > NEARLY_INFINITE:
            return x, x0, None
        # mean of the two slopes minus the first one, times the interval
        gain = (sigma - sigma_next) / (2 * sigma_next)
        return x + (denoise(x, sigma_next) - x0) * gain, x0, None


@dataclass(frozen=True)
class DPMpp2S:
    """DPM-Solver++(2S), second order, two evaluations: Lu et al. 2022 (arXiv 2211.01095) Algorithm 1 with r =
    1/2.

    `eta` in [0, 1]: 1 gives k-diffusion's `sample_dpmpp_2s_ancestral`, which aims the step at the ancestral
    `down` level and adds noise after it. diffusers has no ancestral form; its singlestep scheduler takes the
    middle evaluation at the next point of the grid and so equals this one with `eta = 0` when the grid is
    exponential.
    """

    eta: float = 1.0

    def init(self) -> None:
        return None

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: None, noise: NoiseSource
    ) -> Out:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, None
        down, up = ancestral(sigma, sigma_next, self.eta)
        if down == 0:
            x = x0
        else:
            middle = math.sqrt(sigma * down)
            x0_middle = denoise(relax(x, x0, middle / sigma), middle)
            x = relax(x, x0_middle, down / sigma)
        return (x + noise(sigma, sigma_next) * up if up > 0 else x), x0, None


@dataclass(frozen=True)
class DPMppSDE:
    """DPM-Solver++ for the stochastic equation, single step, two evaluations, as k-diffusion's
    `sample_dpmpp_sde`.

    The middle state, at the geometric mean of the two levels (r = 1/2), gets its own ancestral noise; the
    noise of the whole step belongs to the same Brownian path, so `noise` is asked for (sigma, middle) and for
    (sigma, sigma_next). `eta` in [0, 1]; 0 is DPM-Solver++(2S), of second order.
    """

    eta: float = 1.0

    def init(self) -> None:
        return None

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: None, noise: NoiseSource
    ) -> Out:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, None
        middle = math.sqrt(sigma * sigma_next)
        down, up = ancestral(sigma, middle, self.eta)
        x_middle = relax(x, x0, down / sigma)
        if up > 0:
            x_middle = x_middle + noise(sigma, middle) * up
        down, up = ancestral(sigma, sigma_next, self.eta)
        x = relax(x, denoise(x_middle, middle), down / sigma)
        return (x + noise(sigma, sigma_next) * up if up > 0 else x), x0, None


@dataclass(frozen=True)
class LCM:
    """For consistency models, which predict the end of the path in one evaluation: Luo et al. 2023 (arXiv
    2310.04378) Algorithm 3, multistep consistency sampling: predict the end, add fresh noise of the next
    level.

    With a model that is not one, every step draws from the mean of what is possible and pictures come out
    smooth. diffusers multiplies by the boundary scalings c_skip and c_out at the timestep times ten, which
    differ from 0 and 1 by less than 1e-5 above t = 16; here they are 0 and 1, as in k-diffusion.
    """

    def init(self) -> None:
        return None

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: None, noise: NoiseSource
    ) -> Out:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, None
        return x0 + noise(sigma, sigma_next) * sigma_next, x0, None

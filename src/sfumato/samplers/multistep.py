"""Solvers that learn from earlier steps: lms, dpmpp_2m, dpmpp_2m_sde, dpmpp_3m_sde, unipc.

The state is the past, newest first, as frozen values. `h` is always the step in log(1 / sigma).
"""

import math
from dataclasses import dataclass

from sfumato.samplers.rules import Denoise, NoiseSource, relax
from sfumato.samplers.schedule import Array


@dataclass(frozen=True, eq=False)
class Seen:
    """One past evaluation: the level, and what was computed there (a clean latent, or for LMS a slope)."""

    sigma: float
    value: Array


Past = tuple[Seen, ...]


@dataclass(frozen=True)
class LMS:
    """Linear multistep (Adams-Bashforth on an uneven grid) in sigma, up to `order` past slopes: k-diffusion's
    `sample_lms`, diffusers' `LMSDiscreteScheduler`. One evaluation; order 4 when the grid is smooth.

    The weights are integrals of Lagrange polynomials. They have degree `order - 1 <= 3`, so two Gauss points
    are exact (both programs named integrate numerically). The last step, to zero, extrapolates like any
    other.
    """

    order: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.order <= 4:
            raise ValueError(f"order must be 1 to 4, not {self.order}")

    def init(self) -> Past:
        return ()

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: Past, noise: NoiseSource
    ) -> tuple[Array, Array, Past]:
        x0 = denoise(x, sigma)
        newest = Seen(sigma, (x - x0) / sigma)
        past = (newest, *state)[: self.order]
        # The weights sum to the interval: taking it out as one exact step leaves differences of slopes.
        x = relax(x, x0, sigma_next / sigma)
        weights = lagrange_integrals(tuple(p.sigma for p in past), sigma, sigma_next)
        for seen, weight in zip(past[1:], weights[1:], strict=True):
            x = x + (seen.value - newest.value) * weight
        return x, x0, past


def lagrange_integrals(nodes: tuple[float, ...], start: float, end: float) -> tuple[float, ...]:
    """Return, per node, the integral from `start` to `end` of its Lagrange polynomial; at most four nodes."""
    centre, half = (start + end) / 2, (end - start) / 2
    points = (centre - half / math.sqrt(3), centre + half / math.sqrt(3))

    def basis(j: int, at: float) -> float:
        return math.prod((at - n) / (nodes[j] - n) for k, n in enumerate(nodes) if k != j)

    return tuple(half * (basis(j, points[0]) + basis(j, points[1])) for j in range(len(nodes)))


@dataclass(frozen=True)
class DPMpp2M:
    """DPM-Solver++(2M), second order, one evaluation: Lu et al. 2022 (arXiv 2211.01095) Algorithm 2, midpoint
    form.

    `eta = 0` is dpmpp_2m. `eta = 1` is SDE-DPM-Solver++(2M) of the same paper, which is k-diffusion's
    `sample_dpmpp_2m_sde` and diffusers' `algorithm_type="sde-dpmsolver++"`. The first and the last step are
    of first order.
    """

    eta: float = 0.0

    def init(self) -> Past:
        return ()

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: Past, noise: NoiseSource
    ) -> tuple[Array, Array, Past]:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, ()
        h = math.log(sigma / sigma_next)
        aim = x0
        if state:
            r = math.log(state[0].sigma / sigma) / h
            aim = x0 + (x0 - state[0].value) * (0.5 / r)
        x = relax(x, aim, math.exp(-h * (1 + self.eta)))
        return _with_noise(x, sigma, sigma_next, self.eta, h, noise), x0, (Seen(sigma, x0),)


@dataclass(frozen=True)
class DPMpp3M:
    """DPM-Solver++(3M), one evaluation, with noise for `eta > 0`: k-diffusion's `sample_dpmpp_3m_sde`.

    With `eta = 0` it is the multistep third-order DPM-Solver++ of Lu et al. (arXiv 2211.01095) as their
    code and diffusers (`solver_order=3, solver_type="heun"`) have it.

    Two things about the field's definition. (1) The term with the second difference carries a weight
    `curvature` of 1 there; the Taylor expansion asks for 2, because the second divided difference is half a
    second derivative. With 1 the solver is of second order with a small constant, with 2 of third order, as
    the tests measure. The default is the field's, so that a sampler name means one picture everywhere. (2) In
    diffusers 0.42 the third-order stochastic update subtracts the 1/2 of phi_3 where it must add it, which
    leaves an error of a whole second difference; this class follows k-diffusion there.
    """

    eta: float = 1.0
    curvature: float = 1.0

    def init(self) -> Past:
        return ()

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: Past, noise: NoiseSource
    ) -> tuple[Array, Array, Past]:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, ()
        h = math.log(sigma / sigma_next)
        h_eta = h * (1 + self.eta)
        moved = relax(x, x0, math.exp(-h_eta))
        phi_2 = math.expm1(-h_eta) / h_eta + 1
        if state:
            r0 = math.log(state[0].sigma / sigma) / h
            slope = (x0 - state[0].value) / r0
            if len(state) > 1:
                r1 = math.log(state[1].sigma / state[0].sigma) / h
                bend = (slope - (state[0].value - state[1].value) / r1) / (r0 + r1)
                slope = slope + bend * r0
                moved = moved - bend * (self.curvature * (phi_2 / h_eta - 0.5))
            moved = moved + slope * phi_2
        past = (Seen(sigma, x0), *state)[:2]
        return _with_noise(moved, sigma, sigma_next, self.eta, h, noise), x0, past


@dataclass(frozen=True, eq=False)
class UniPCState:
    """`start` is x at the last level, already corrected; `past` the evaluations, newest first; `order` the
    order of the prediction that led here."""

    start: Array
    past: Past
    order: int


@dataclass(frozen=True)
class UniPC:
    """UniPC of order 2 with B(h) = e^h - 1 ("bh2"): Zhao et al. 2023 (arXiv 2302.04867) Algorithms 1 and 2,
    data prediction. One evaluation a step: the evaluation at a predicted point also corrects that point
    (UniC), and is not repeated. The corrector raises the order to 3. First and last prediction are of first
    order, as in diffusers' `UniPCMultistepScheduler(solver_order=2)`.
    """

    def init(self) -> UniPCState | None:
        return None

    def step(
        self,
        denoise: Denoise,
        x: Array,
        sigma: float,
        sigma_next: float,
        state: UniPCState | None,
        noise: NoiseSource,
    ) -> tuple[Array, Array, UniPCState | None]:
        x0 = denoise(x, sigma)
        if sigma_next == 0:
            return x0, x0, None
        past: Past = ()
        if state is not None:
            x = _corrected(x0, sigma, state)
            past = state.past
        h = math.log(sigma / sigma_next)
        predicted = relax(x, x0, math.exp(-h))
        if past:
            # The paper fixes the weight of the only unknown to 1/2 for order 2.
            r = math.log(sigma / past[0].sigma) / h
            predicted = predicted - (past[0].value - x0) * (math.expm1(-h) * 0.5 / r)
        seen = (Seen(sigma, x0), *past)[:2]
        return predicted, x0, UniPCState(start=x, past=seen, order=len(seen))


def _corrected(x0: Array, sigma: float, state: UniPCState) -> Array:
    """Return the corrected x at `sigma` (UniC), where the denoiser just said `x0`."""
    last = state.past[0]
    h = math.log(last.sigma / sigma)
    b_h = math.expm1(-h)
    x = relax(state.start, last.value, math.exp(-h))
    change = x0 - last.value
    if state.order == 1:
        return x - change * (b_h * 0.5)
    older = state.past[1]
    r = math.log(last.sigma / older.sigma) / h
    # Two conditions for two weights: rho_old + rho_new = b1, r rho_old + rho_new = b2, with b_k = k! phi_k /
    # B(h).
    phi_2 = b_h / -h - 1
    b1 = phi_2 / b_h
    b2 = 2 * (phi_2 / -h - 0.5) / b_h
    rho_old = (b1 - b2) / (1 - r)
    return x - ((older.value - last.value) * (rho_old / r) + change * (b1 - rho_old)) * b_h


def _with_noise(x: Array, sigma: float, sigma_next: float, eta: float, h: float, noise: NoiseSource) -> Array:
    if eta == 0:
        return x
    return x + noise(sigma, sigma_next) * (sigma_next * math.sqrt(-math.expm1(-2 * h * eta)))

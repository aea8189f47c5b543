"""The table of solvers: every name a user may write, with what the rest of the package must know about it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from sfumato.errors import RecipeError
from sfumato.samplers.multistep import LMS, DPMpp2M, DPMpp3M, UniPC
from sfumato.samplers.rules import Denoise, NoiseSource, Rule
from sfumato.samplers.schedule import Array
from sfumato.samplers.singlestep import DDIM, LCM, DPMpp2S, DPMppSDE, Euler, Heun

NoiseKind: TypeAlias = Literal["none", "fresh", "brownian"]


@dataclass(frozen=True)
class Solver:
    """One row of `SOLVERS`: a step rule and its facts.

    `label` is A1111's name. `evaluations` counts calls of the denoiser per step (the last step of the
    two-evaluation solvers takes one). `noise` says which source of `noise.py` the rule
    expects: none, fresh noise per step from the picture's generator, or a Brownian path. `order` is the
    global order of convergence with noise off, as measured by `orders.measure_orders`; None for lcm, which
    does not converge to the solution of an equation.
    """

    name: str
    label: str
    about: str
    rule: Rule
    evaluations: int
    noise: NoiseKind
    order: int | None

    def init(self) -> Any:
        """Return the state before the first step."""
        return self.rule.init()

    def step(
        self, denoise: Denoise, x: Array, sigma: float, sigma_next: float, state: Any, noise: NoiseSource
    ) -> tuple[Array, Array, Any]:
        """Return `(x at sigma_next, x0 predicted at sigma, state)`; `x`, `x0` are `(B,C,h,w)`.

        `sigma > sigma_next >= 0` are neighbours in a grid. At `sigma_next = 0` the result is the clean
        latent.
        """
        return self.rule.step(denoise, x, sigma, sigma_next, state, noise)

    def with_eta(self, eta: float) -> "Solver":
        """Return this solver with the share of noise `eta` in [0, 1], which only ddim lets one choose."""
        if not isinstance(self.rule, DDIM):
            return self
        return replace(self, rule=DDIM(eta), noise="fresh" if eta > 0 else "none")


SOLVERS: Mapping[str, Solver] = MappingProxyType(
    {
        row.name: row
        for row in (
            Solver("euler", "Euler", "simple and steady", Euler(), 1, "none", 1),
            Solver("euler_a", "Euler a", "lively; changes with steps", Euler(1.0), 1, "fresh", 1),
            Solver("heun", "Heun", "accurate, two evaluations", Heun(), 2, "none", 2),
            Solver("ddim", "DDIM", "the classic; eta adds noise", DDIM(), 1, "none", 1),
            Solver("lms", "LMS", "linear multistep, order 4", LMS(), 1, "none", 4),
            Solver("dpmpp_2m", "DPM++ 2M", "good in 20 steps", DPMpp2M(), 1, "none", 2),
            Solver("dpmpp_2m_sde", "DPM++ 2M SDE", "detail", DPMpp2M(1.0), 1, "brownian", 2),
            Solver("dpmpp_sde", "DPM++ SDE", "detail in few steps", DPMppSDE(), 2, "brownian", 2),
            Solver("dpmpp_2s_a", "DPM++ 2S a", "lively, two evaluations", DPMpp2S(), 2, "fresh", 2),
            Solver("dpmpp_3m_sde", "DPM++ 3M SDE", "many steps", DPMpp3M(), 1, "brownian", 2),
            Solver("unipc", "UniPC", "good in 10 to 20 steps", UniPC(), 1, "none", 3),
            Solver("lcm", "LCM", "for LCM models, 4 to 8 steps", LCM(), 1, "fresh", None),
        )
    }
)


def solver_of(name: str) -> Solver:
    """Return the row called exactly `name`; what people write goes through `sfumato.recipe.labels` first.

    Raises RecipeError when there is none.
    """
    if name not in SOLVERS:
        known = ", ".join(SOLVERS)
        raise RecipeError("unknown sampler", field="sampler", value=name, hint=f"Choose one of {known}.")
    return SOLVERS[name]

"""The table of solvers: every name a user may write, with what the rest of the package must know about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from sfumato.errors import RecipeError, closest
from sfumato.samplers.multistep import LMS, DPMpp2M, DPMpp3M, UniPC
from sfumato.samplers.rules import Denoise, NoiseSource, Rule
from sfumato.samplers.schedule import Array, parse_spacing, plain
from sfumato.samplers.singlestep import DDIM, LCM, DPMpp2S, DPMppSDE, Euler, Heun
from sfumato.samplers.spacings import SPACINGS

NoiseKind: TypeAlias = Literal["none", "fresh", "brownian"]


@dataclass(frozen=True)
class Solver:
    """One row of `SOLVERS`: a step rule and its facts.

    `label` is A1111's name. `spacing` is a good default. `evaluations` counts calls of the denoiser per step
    (the last step of the two-evaluation solvers takes one). `noise` says which source of `noise.py` the rule
    expects: none, fresh noise per step from the picture's generator, or a Brownian path. `order` is the
    global order of convergence with noise off, as measured by `orders.measure_orders`; None for lcm, which
    does not converge to the solution of an equation.
    """

    name: str
    label: str
    about: str
    rule: Rule
    spacing: str
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


SOLVERS: Mapping[str, Solver] = MappingProxyType(
    {
        row.name: row
        for row in (
            Solver("euler", "Euler", "simple and steady", Euler(), "trailing", 1, "none", 1),
            Solver("euler_a", "Euler a", "lively; changes with steps", Euler(1.0), "trailing", 1, "fresh", 1),
            Solver("heun", "Heun", "accurate, two evaluations", Heun(), "karras", 2, "none", 2),
            Solver("ddim", "DDIM", "the classic; eta adds noise", DDIM(), "trailing", 1, "none", 1),
            Solver("lms", "LMS", "linear multistep, order 4", LMS(), "linspace", 1, "none", 4),
            Solver("dpmpp_2m", "DPM++ 2M", "good in 20 steps", DPMpp2M(), "trailing", 1, "none", 2),
            Solver("dpmpp_2m_sde", "DPM++ 2M SDE", "detail", DPMpp2M(1.0), "trailing", 1, "brownian", 2),
            Solver("dpmpp_sde", "DPM++ SDE", "detail in few steps", DPMppSDE(), "karras", 2, "brownian", 2),
            Solver("dpmpp_2s_a", "DPM++ 2S a", "lively, two evaluations", DPMpp2S(), "karras", 2, "fresh", 2),
            Solver("dpmpp_3m_sde", "DPM++ 3M SDE", "many steps", DPMpp3M(), "exponential", 1, "brownian", 2),
            Solver("unipc", "UniPC", "good in 10 to 20 steps", UniPC(), "trailing", 1, "none", 3),
            Solver("lcm", "LCM", "for LCM models, 4 to 8 steps", LCM(), "trailing", 1, "fresh", None),
        )
    }
)


def parse_sampler(name: str) -> Solver:
    """Return the solver of a name or of an A1111 label ("DPM++ 2M", "Euler a"); case and punctuation do not
    count.

    Raises RecipeError with the nearest name when there is none.
    """
    solver, spacing = _find(name)
    if solver is None or spacing is not None:
        raise _unknown(name)
    return solver


def split_sampler(name: str) -> tuple[Solver, str | None]:
    """Return the solver and the spacing of an A1111 name that may end in a schedule type ("DPM++ 2M Karras").

    The spacing is None when the name has none. Raises RecipeError as `parse_sampler` does.
    """
    solver, spacing = _find(name)
    if solver is None:
        raise _unknown(name)
    return solver, spacing


def _find(name: str) -> tuple[Solver | None, str | None]:
    by_name = {plain(text): row for row in SOLVERS.values() for text in (row.name, row.label)}
    wanted = plain(name)
    if wanted in by_name:
        return by_name[wanted], None
    for row in SPACINGS.values():
        for ending in (plain(row.label), plain(row.name)):
            if wanted.endswith(ending) and wanted.removesuffix(ending) in by_name:
                return by_name[wanted.removesuffix(ending)], parse_spacing(row.name)
    return None, None


def _unknown(name: str) -> RecipeError:
    by_text = {text: row.name for row in SOLVERS.values() for text in (row.name, row.label)}
    near = closest(name, by_text)
    hint = f'Did you mean "{by_text[near]}"?' if near is not None else f"Known: {', '.join(SOLVERS)}."
    return RecipeError("unknown sampler", field="sampler", value=name, hint=hint)

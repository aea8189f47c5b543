"""Muon: momentum whose matrices are made orthogonal before they are applied, beside AdamW for everything
else."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# Quintic Newton-Schulz coefficients of Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural
# networks".
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """A matrix `(m,n)` of the same singular vectors with singular values about one (0.7 to 1.2), by
    Newton-Schulz iteration in the matrix's dtype."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
    x = wide / (wide.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.mT


class Muon(torch.optim.Optimizer):
    """Muon for weights of two or more dimensions (convolutions flattened to `(out, in*kh*kw)`), AdamW for
    the rest.

    torch.optim.Muon takes matrices only; most of a UNet is convolutions. The update is scaled by
    `0.2 * sqrt(max(m, n))`, which gives it the size of an AdamW update (Liu et al. 2025, arXiv 2502.16982,
    Equation 4), so that one learning rate serves both.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        rows = list(parameters)
        given: list[dict[str, Any]] = [row for row in rows if isinstance(row, dict)] or [{"params": rows}]
        groups: list[dict[str, Any]] = []
        for group in given:
            tensors = list(group["params"])
            # A table of embeddings is a matrix only in shape: each row is a word's own, and few are used in
            # a step.
            matrices = [] if group.get("table", False) else [p for p in tensors if _is_matrix(p)]
            chosen = {id(p) for p in matrices}
            groups.append({**group, "params": matrices, "matrix": True})
            groups.append({**group, "params": [p for p in tensors if id(p) not in chosen], "matrix": False})
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "matrix": False,
        }
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    take = self._matrix_step if group["matrix"] else self._adam_step
                    take(parameter, parameter.grad, group)

    def _matrix_step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"]
        momentum.lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(momentum, group["momentum"])  # Nesterov
        flat = ahead.reshape(len(ahead), -1)
        update = orthogonalise(flat) * (0.2 * max(flat.shape) ** 0.5)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update.reshape(parameter.shape), alpha=-group["lr"])

    def _adam_step(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        first, second = group["betas"]
        state["step"] += 1
        count = float(state["step"])
        state["exp_avg"].lerp_(gradient, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        spread = (state["exp_avg_sq"] / (1 - second**count)).sqrt_().add_(1e-8)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.addcdiv_(state["exp_avg"], spread, value=-group["lr"] / (1 - first**count))


def _is_matrix(parameter: Tensor) -> bool:
    """True for hidden weights; biases, norms and anything with a side of fewer than 8 (pictures in and out)
    go to AdamW."""
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= 8

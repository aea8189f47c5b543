"""The factors of one module of an adapter file, made into what they do to its weight, and their scale."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from sfumato.errors import ModelFileError, shown
from sfumato.models.adapters.kinds import (
    Change,
    Floats,
    Hadamard,
    Kronecker,
    LowRank,
    Magnitude,
    Rescaling,
    Shape,
)
from sfumato.models.adapters.reading import AdapterFile
from sfumato.models.adapters.target import Place

_PEFT: Final = "lora_adapter_metadata"  # in which diffusers notes peft's configurations

Get: TypeAlias = Callable[[str], Floats]
Roles: TypeAlias = Mapping[str, str]  # the tensors of a module, by what they are there


class Factors:
    """The factors of one module."""

    def __init__(self, file: AdapterFile, roles: Roles, get: Get) -> None:
        self.file = file
        self.roles = roles
        self.get = get

    def weight_change(self) -> tuple[str, Change, int | None] | None:
        """Return the kind, what it does to the weight, and its rank where a scale belongs to it."""
        roles = self.roles
        if "up" in roles or "down" in roles or "mid" in roles:
            change = self._low_rank()
            kind = "LoCon" if len(change.shape) == 4 else "LoRA"
            return self._with_dora(kind), change, int(change.down.shape[0])
        if any(role.startswith("hada_") for role in roles):
            change = self._hadamard()
            rank = change.b1.shape[0]
            return self._with_dora("LoHa"), change, rank
        if any(role.startswith("lokr_") for role in roles):
            change, rank = self._kronecker()
            return self._with_dora("LoKr"), change, rank
        if "on_input" in roles and "factors" in roles:
            flag = self.get(roles["on_input"])
            factors = self.get(roles["factors"]).reshape(-1)
            return "(IA)^3", Rescaling(factors, bool(flag.reshape(-1)[0])), None
        return None

    def magnitude(self, shape: Shape) -> Magnitude | None:
        """Return DoRA's magnitude for a weight of `shape`, where there is one."""
        role = next((role for role in ("magnitude", "dora_scale") if role in self.roles), None)
        if role is None:
            return None
        numbers = self.get(self.roles[role])
        count, outputs, inputs = numbers.size, shape[0], shape[1]
        # peft counts outputs; LyCORIS shows by the shape which side it means.
        on_inputs = role == "dora_scale" and numbers.ndim > 1 and numbers.shape[0] == 1
        if count != (inputs if on_inputs else outputs):
            found = sides(numbers.shape)
            what = f"holds {shown(self.roles[role])} with shape {found}, for a weight of {sides(shape)}"
            raise self.file.damaged(what)
        return Magnitude(numbers.reshape(-1), not on_inputs)

    def _with_dora(self, kind: str) -> str:
        return f"{kind} with DoRA" if {"magnitude", "dora_scale"} & self.roles.keys() else kind

    def _low_rank(self) -> LowRank:
        up, down = self._need("up"), self._need("down")
        mid = self.get(self.roles["mid"]) if "mid" in self.roles else None
        if not _is_matrix(up) or down.ndim not in (2, 4):
            raise self._unmatched("up", "down")
        up = up.reshape(up.shape[0], -1)
        if mid is None:
            if up.shape[1] != down.shape[0]:
                raise self._unmatched("up", "down")
            return LowRank(up, down)
        if mid.ndim != 4 or mid.shape[:2] != (up.shape[1], down.shape[0]) or not _is_matrix(down):
            raise self._unmatched("mid", "down")
        return LowRank(up, down, mid)

    def _hadamard(self) -> Hadamard:
        a1, b1, a2, b2 = (self._need(f"hada_w{which}") for which in ("1_a", "1_b", "2_a", "2_b"))
        t1, t2 = (
            self.get(self.roles[role]) if role in self.roles else None for role in ("hada_t1", "hada_t2")
        )
        if (t1 is None) != (t2 is None):
            raise self.file.damaged(f"lacks one of the cores beside {shown(self.roles['hada_w1_a'])}")
        for which, a, b, core in (("1", a1, b1, t1), ("2", a2, b2, t2)):
            inner = a.shape[-1:] if core is None else a.shape[:1]
            fits = a.ndim == b.ndim == 2 and inner == b.shape[:1]
            if core is not None:
                fits = fits and core.ndim == 4 and core.shape[:2] == (a.shape[0], b.shape[0])
            if not fits:
                raise self._unmatched(f"hada_w{which}_a", f"hada_w{which}_b")
        change = Hadamard(a1, b1, a2, b2, t1, t2)
        other = Hadamard(a2, b2, a1, b1, t2, t1)
        if change.shape != other.shape:
            raise self._unmatched("hada_w1_a", "hada_w2_a")
        return change

    def _kronecker(self) -> tuple[Kronecker, int | None]:
        w1, rank_1 = self._factor("1", None)
        w2, rank_2 = self._factor("2", self.get(self.roles["lokr_t2"]) if "lokr_t2" in self.roles else None)
        if w1.ndim != 2 or w2.ndim not in (2, 4):
            what = f"holds {shown(source_of(self.roles))} with factors of {sides(w1.shape)} and"
            raise self.file.damaged(f"{what} {sides(w2.shape)}")
        return Kronecker(w1, w2), rank_2 if rank_1 is None else rank_1

    def _factor(self, which: str, core: Floats | None) -> tuple[Floats, int | None]:
        """Return a factor of LoKr, and its rank where it is a product itself."""
        name = f"lokr_w{which}"
        if name in self.roles:
            return self.get(self.roles[name]), None
        a, b = self._need(f"{name}_a"), self._need(f"{name}_b")
        if a.ndim != 2 or b.ndim not in (2, 4):
            raise self._unmatched(f"{name}_a", f"{name}_b")
        if core is not None:
            if core.ndim != 4 or b.ndim != 2 or core.shape[:2] != (a.shape[0], b.shape[0]):
                raise self._unmatched(f"{name}_a", f"{name}_b")
            return LowRank(np.ascontiguousarray(a.T), b, core).delta(a), b.shape[0]
        kernel = b.shape[2:]
        flat = b.reshape(b.shape[0], -1)
        if a.shape[1] != flat.shape[0]:
            raise self._unmatched(f"{name}_a", f"{name}_b")
        return (a @ flat).reshape(a.shape[0], b.shape[1], *kernel), b.shape[0]

    def _need(self, role: str) -> Floats:
        if role not in self.roles:
            have = shown(next(iter(self.roles.values())))
            raise self.file.damaged(f"holds {have} without its partner ({role})")
        return self.get(self.roles[role])

    def _unmatched(self, one: str, other: str) -> ModelFileError:
        first, second = self.roles[one], self.roles[other]
        shapes = (sides(self.file.shapes[key]) for key in (first, second))
        what = "holds {} with shape {} and {} with shape {}, which cannot be multiplied"
        one_shape, other_shape = shapes
        return self.file.damaged(what.format(shown(first), one_shape, shown(second), other_shape))


class Alphas:
    """What the products of low rank are multiplied by."""

    def __init__(self, file: AdapterFile) -> None:
        self.table: Mapping[str, Any] = {}
        try:
            said: object = json.loads(file.metadata.get(_PEFT, "{}"))
        except (ValueError, RecursionError):
            said = {}
        if isinstance(said, dict):
            self.table = said

    def scale(self, place: Place, roles: Roles, get: Get, rank: int) -> float:
        """Return alpha / rank: alpha as the file stores it, or as peft notes it beside; else 1. An alpha of 0
        stands for the rank, as for kohya's programs.
        """
        if "alpha" in roles:
            alpha = float(get(roles["alpha"]).reshape(-1)[0])
            return alpha / rank if alpha else 1.0
        noted = self._noted(place)
        if noted is None:
            return 1.0
        # rsLoRA (Kalajdzievski 2023, arXiv 2312.03732, Theorem 3.2) divides by the root of the rank.
        return noted / (math.sqrt(rank) if self.table.get(f"{place.network}.use_rslora") is True else rank)

    def _noted(self, place: Place) -> float | None:
        patterns = self.table.get(f"{place.network}.alpha_pattern")
        for pattern, alpha in patterns.items() if isinstance(patterns, dict) else ():
            if isinstance(alpha, int | float) and re.search(rf"(^|\.){re.escape(str(pattern))}$", place.name):
                return float(alpha)
        alpha = self.table.get(f"{place.network}.lora_alpha")
        return float(alpha) if isinstance(alpha, int | float) and math.isfinite(alpha) else None


def _is_matrix(factor: Floats) -> bool:
    """Tell whether a factor is a matrix, or a 1x1 convolution."""
    return factor.ndim in (2, 4) and factor.size == factor.shape[0] * factor.shape[1]


def source_of(roles: Roles) -> str:
    """Return the first tensor of a module that is a factor."""
    return next(key for role, key in roles.items() if role not in ("alpha", "magnitude", "dora_scale"))


def sides(shape: Shape) -> str:
    """Return a shape for people."""
    return "x".join(map(str, shape)) or "one number"

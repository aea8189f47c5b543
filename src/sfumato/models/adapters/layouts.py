"""From the tensors of an adapter file to rows: which module each belongs to, and what it does there.

What people publish: kohya's names (`lora_unet_down_blocks_0_..._to_q.lora_down.weight`, also with the
original block names), peft's in diffusers (`unet.down_blocks.0....to_q.lora_A.weight`), those that diffusers
had before, and LyCORIS' kinds under all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from sfumato.errors import ModelFileError, shown
from sfumato.models.adapters.factors import Alphas, Factors, Get, Roles, sides, source_of
from sfumato.models.adapters.kinds import Change, Difference, Floats, Row, misfit
from sfumato.models.adapters.reading import AdapterFile
from sfumato.models.adapters.target import Place, Target

# What the name of a tensor ends with, and the role that it then has in its module; the first that fits.
_ENDS: Final[tuple[tuple[str, str], ...]] = (
    *(
        (f"{form}{part}.weight", role)
        for part, role in (("up", "up"), ("down", "down"), ("mid", "mid"))
        for form in (".lora_linear_layer.", ".lora.", "_lora.", ".lora_")
    ),
    (".lora_A.weight", "down"),
    (".lora_B.weight", "up"),
    (".lora_A.default.weight", "down"),
    (".lora_B.default.weight", "up"),
    (".lora_magnitude_vector.default.weight", "magnitude"),
    (".lora_magnitude_vector.weight", "magnitude"),
    (".lora_magnitude_vector", "magnitude"),
    (".dora_scale", "dora_scale"),
    (".alpha", "alpha"),
    *(
        (f".{name}", name)
        for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")
    ),
    *(
        (f".{name}", name)
        for name in ("lokr_w1_a", "lokr_w1_b", "lokr_w1", "lokr_w2_a", "lokr_w2_b", "lokr_w2", "lokr_t2")
    ),
    (".diff_b", "diff_b"),
    (".diff", "diff"),
    (".w_norm", "w_norm"),
    (".b_norm", "b_norm"),
    (".on_input", "on_input"),
    (".weight", "factors"),
)
_REFUSED: Final[Mapping[str, str]] = {
    ".oft_": "OFT",
    ".boft_": "BOFT",
    ".a1.weight": "GLoRA",
    ".b1.weight": "GLoRA",
    ".bias_indices": "LoHa with a sparse bias",
    ".scalar": "a factor for each module",
    ".vera_lambda": "VeRA",
    ".lora_B.bias": "LoRA with a bias",
}
_TRAINED_FOR: Final = ("ss_base_model_version", "modelspec.architecture")


@dataclass(frozen=True, eq=False)
class Matched:
    """What of an adapter fits a model: `rows` by network, and the block of each by its key. `missing` are the
    modules that the model has not, of `total`.
    """

    rows: Mapping[str, tuple[Row, ...]]
    blocks: Mapping[str, str]
    missing: tuple[str, ...]
    total: int

    def warning(self, name: str) -> str | None:
        """Return what is to be said of modules that were left out; None when there are none."""
        if not self.missing:
            return None
        left = f"{len(self.missing)} of its {self.total} modules are not in this model"
        return (
            f"Of the adapter {shown(name)}, {left} and were left out, {shown(self.missing[0])} for example."
        )


def match(file: AdapterFile, target: Target, model: str) -> Matched:
    """Check names and shapes of `file` against the model called `model`; no tensor is read, and the rows hold
    zeros.

    Raises ModelFileError for a file none of whose modules the model has, one of a kind that is not supported,
    and one whose tensors fit neither each other nor the model.
    """
    zero = np.float32(0)
    shapes = file.shapes

    def get(key: str) -> Floats:
        return np.broadcast_to(zero, shapes[key])

    return _matched(file, target, model, get)


def read_rows(file: AdapterFile, target: Target, model: str) -> Matched:
    """Return what `match` does, with every tensor read. Raises what it raises, and ModelFileError for numbers
    that are not finite.
    """
    return _matched(file, target, model, file.array)


def modules_of(file: AdapterFile) -> dict[str, dict[str, str]]:
    """Return the tensors of a file by module, as it calls it, and role. Raises ModelFileError for a kind of
    adapter that is not supported.
    """
    modules: dict[str, dict[str, str]] = {}
    for key, shape in file.shapes.items():
        if 0 in shape:
            raise file.damaged(f"holds {shown(key)}, which is empty")
        for part, kind in _REFUSED.items():
            if part in key:
                raise file.damaged(
                    f"is an adapter of a kind that is not supported, {kind} ({shown(key)})",
                    "Supported are LoRA, LoCon, LoHa, LoKr, DoRA, (IA)^3 and whole differences.",
                )
        end, role = next(((end, role) for end, role in _ENDS if key.endswith(end)), ("", "unknown"))
        modules.setdefault(key.removesuffix(end), {})[role] = key
    return modules


def _matched(file: AdapterFile, target: Target, model: str, get: Get) -> Matched:
    modules = modules_of(file)
    alphas = Alphas(file)
    rows: dict[str, list[Row]] = {}
    blocks: dict[str, str] = {}
    missing: list[str] = []
    seen: dict[tuple[str, str], str] = {}
    for raw, roles in modules.items():
        place = target.find(raw)
        made = [] if place is None else _rows(file, raw, roles, place, target, get, alphas)
        if place is None or not made:
            missing.append(raw)
            continue
        for row in made:
            before = seen.setdefault((place.network, row.key), raw)
            if before != raw:
                raise file.damaged(f"changes {row.key} twice, as {shown(before)} and as {shown(raw)}")
            rows.setdefault(place.network, []).append(row)
            blocks[f"{place.network}.{row.key}"] = place.block
    if not rows:
        raise _stranger(file, target, model, next(iter(modules)), len(modules))
    return Matched({name: tuple(some) for name, some in rows.items()}, blocks, tuple(missing), len(modules))


def _stranger(file: AdapterFile, target: Target, model: str, raw: str, count: int) -> ModelFileError:
    said = next((file.metadata[key] for key in _TRAINED_FOR if key in file.metadata), None)
    trained = "" if said is None else f" (it says it is for {shown(said)})"
    return file.damaged(
        f"fits nothing of the model {model}{trained}: none of its {count} modules is there. It names "
        f"{shown(raw)}, where the model has {shown(target.example(raw))}",
        "Use an adapter that was made for a model of this family.",
    )


def _rows(
    file: AdapterFile,
    raw: str,
    roles: Roles,
    place: Place,
    target: Target,
    get: Get,
    alphas: Alphas,
) -> list[Row]:
    """Return what the tensors `roles` do to the module at `place`."""
    tensors = target.shapes[place.network]
    builder = Factors(file, roles, get)
    found: list[tuple[str, str, str, Change, float]] = []
    whole = builder.weight_change()
    if whole is not None:
        kind, change, rank = whole
        scale = 1.0 if rank is None else alphas.scale(place, roles, get, rank)
        found.append(("weight", source_of(roles), kind, change, scale))
    for role, leaf, kind in (
        ("diff", "weight", "difference"),
        ("w_norm", "weight", "difference"),
        ("diff_b", "bias", "difference"),
        ("b_norm", "bias", "difference"),
    ):
        if role in roles:
            found.append((leaf, roles[role], kind, Difference(get(roles[role])), 1.0))
    rows: list[Row] = []
    for leaf, source, kind, change, scale in found:
        key = f"{place.name}.{leaf}"
        shape = tensors.get(key)
        if shape is None:
            continue
        wrong = misfit(change, shape)
        if wrong is not None:
            what = f"holds {shown(source)}, which makes {sides(wrong)}, where the model's {key} is"
            hint = "It was made for a model of another size or family."
            raise file.damaged(f"{what} {sides(shape)}", hint)
        magnitude = None if isinstance(change, Difference) else builder.magnitude(shape)
        rows.append(Row(key, source, kind, change, scale, magnitude))
    return rows

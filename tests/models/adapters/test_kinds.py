import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from sfumato.models.adapters.kinds import (
    Difference,
    Hadamard,
    Kronecker,
    LowRank,
    Magnitude,
    Rescaling,
    Row,
    misfit,
)

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(6, 4)).astype(np.float32)
KERNEL = RANDOM.normal(size=(6, 4, 3, 3)).astype(np.float32)


def normal(*shape: int):
    return RANDOM.normal(size=shape).astype(np.float32)


def apart(one, other) -> float:
    return float(np.abs(np.asarray(one) - np.asarray(other)).max())


def test_lora_is_what_its_two_layers_add():
    up, down, x = normal(6, 2), normal(2, 4), normal(5, 4)
    new = Row("w", "s", "LoRA", LowRank(up, down), scale=0.5).applied(WEIGHT, 0.8)
    assert apart(x @ new.T, x @ WEIGHT.T + 0.8 * 0.5 * (x @ down.T) @ up.T) < 1e-5


@pytest.mark.parametrize("tucker", [False, True])
def test_locon_is_what_its_convolutions_add(tucker):
    x = torch.from_numpy(normal(1, 4, 7, 7))
    up, mid = normal(6, 2), normal(2, 3, 3, 3) if tucker else None
    down = normal(3, 4, 1, 1) if tucker else normal(2, 4, 3, 3)
    new = Row("w", "s", "LoCon", LowRank(up, down, mid)).applied(KERNEL, 0.7)
    inner = conv2d(x, torch.from_numpy(down), padding=0 if tucker else 1)
    if mid is not None:
        inner = conv2d(inner, torch.from_numpy(mid), padding=1)
    added = conv2d(inner, torch.from_numpy(up)[:, :, None, None])
    wanted = conv2d(x, torch.from_numpy(KERNEL), padding=1) + 0.7 * added
    assert apart(conv2d(x, torch.from_numpy(new), padding=1), wanted) < 2e-5


def test_loha_multiplies_two_products():
    a1, b1, a2, b2 = normal(6, 2), normal(2, 4), normal(6, 2), normal(2, 4)
    assert apart(Hadamard(a1, b1, a2, b2).delta(WEIGHT), (a1 @ b1) * (a2 @ b2)) == 0
    t1, t2 = normal(2, 2, 3, 3), normal(2, 2, 3, 3)
    made = Hadamard(a1.T, b1, a2.T, b2, t1, t2)
    wanted = [np.einsum("abkl,ao,bi->oikl", core, a.T, b) for core, a, b in ((t1, a1, b1), (t2, a2, b2))]
    assert made.shape == KERNEL.shape
    assert apart(made.delta(KERNEL), wanted[0] * wanted[1]) < 1e-5


def test_lokr_is_a_kronecker_product():
    w1, w2, kernel = normal(2, 2), normal(3, 2), normal(3, 2, 3, 3)
    flat = Kronecker(w1, w2)
    assert (flat.shape, apart(flat.delta(WEIGHT), np.kron(w1, w2))) == ((6, 4), 0)
    made = Kronecker(w1, kernel)
    assert made.shape == KERNEL.shape
    assert apart(made.delta(KERNEL)[3:, 2:], w1[1, 1] * kernel) == 0


def test_ia3_multiplies_outputs_or_inputs():
    outputs, inputs = normal(6), normal(4)
    row = Row("w", "s", "(IA)^3", Rescaling(outputs, on_input=False))
    assert apart(row.applied(WEIGHT, 1.0), WEIGHT * (1 + outputs[:, None])) < 1e-6
    row = Row("w", "s", "(IA)^3", Rescaling(inputs, on_input=True))
    assert apart(row.applied(KERNEL, 0.5), KERNEL * (1 + 0.5 * inputs[None, :, None, None])) < 1e-6


@pytest.mark.parametrize("per_output", [True, False])
def test_dora_sets_the_length_of_every_column(per_output):
    change, numbers = LowRank(normal(6, 2), normal(2, 4)), np.abs(normal(6 if per_output else 4))
    row = Row("w", "s", "DoRA", change, 0.5, Magnitude(numbers, per_output))
    new = row.applied(WEIGHT, 1.0)
    assert apart(np.linalg.norm(new, axis=1 if per_output else 0), numbers) < 1e-5
    whole = WEIGHT + 0.5 * change.delta(WEIGHT)
    lengths = np.linalg.norm(whole, axis=1 if per_output else 0, keepdims=True)
    directions = new / (numbers[:, None] if per_output else numbers)
    assert apart(directions, whole / lengths) < 1e-5
    # Between the model and what the adapter was trained for.
    assert apart(row.applied(WEIGHT, 0.25), WEIGHT + 0.25 * (new - WEIGHT)) < 1e-6


def test_dora_of_nothing_is_nothing():
    zero = Row("w", "s", "DoRA", Difference(-WEIGHT), 1.0, Magnitude(normal(6), per_output=True))
    assert np.isfinite(zero.applied(WEIGHT, 1.0)).all()


def test_a_strength_of_nothing_is_the_model_itself():
    plain = Row("w", "s", "LoRA", LowRank(normal(6, 2), normal(2, 4)))
    for row in (plain, Row("w", "s", "DoRA", plain.change, 1.0, Magnitude(normal(6), per_output=True))):
        assert (row.applied(WEIGHT, 0.0) == WEIGHT).all()
        assert row.applied(WEIGHT, 1.0).dtype == np.float32


@pytest.mark.parametrize(
    ("change", "shape", "wrong"),
    [
        (Difference(normal(6, 4)), (6, 4), None),
        (Difference(normal(6, 4)), (6, 4, 1, 1), None),
        (Difference(normal(6, 4, 1, 1)), (6, 4), None),
        (Difference(normal(6, 36)), (6, 4, 3, 3), None),
        (Difference(normal(4, 6)), (6, 4), (4, 6)),
        (Difference(normal(6, 4, 9, 1)), (6, 4, 3, 3), (6, 4, 9, 1)),
        (Difference(normal(6)), (6,), None),
        (LowRank(normal(6, 2), normal(2, 1)), (6,), (6, 1)),
        (Rescaling(normal(4), on_input=True), (6, 4), None),
        (Rescaling(normal(4), on_input=False), (6, 4), (4,)),
    ],
)
def test_what_does_not_fit_is_known_by_its_shape(change, shape, wrong):
    assert misfit(change, shape) == wrong

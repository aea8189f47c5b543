"""Tensors of a safetensors file as constants of a graph."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from sfumato.errors import ModelFileError
from sfumato.models.adapters.changes import NetworkChanges
from sfumato.models.adapters.kinds import Difference, Row
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.runtime import op, ov
from sfumato.models.backends.openvino.weights import Node, Weights, narrowed, quantised

NUMBERS = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


def value(node: Node) -> NDArray[np.float32]:
    model = ov.Model([op.result(node)], [], "constant")
    return np.array(shared_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([])[0])


def written(path: Path, tensors: dict[str, torch.Tensor]) -> Weights:
    save_file(tensors, path / "w.safetensors")
    return Weights(path / "w.safetensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_numbers_are_those_of_the_file(dtype: torch.dtype, tmp_path: Path) -> None:
    stored = torch.tensor(NUMBERS).to(dtype)
    weights = written(tmp_path, {"a.weight": stored, "odd": torch.zeros(1, dtype=torch.float16)})
    expected = stored.float().numpy()
    np.testing.assert_array_equal(value(weights.matrix("a.weight")), expected)
    np.testing.assert_array_equal(value(weights.vector("a.weight", (2, 12))), expected.reshape(2, 12))
    np.testing.assert_array_equal(weights.array("a.weight"), expected)
    assert weights.shape("a.weight") == (6, 4)
    assert "a.weight" in weights
    assert "b.weight" not in weights


def test_tensors_at_odd_places_are_read_whole(tmp_path: Path) -> None:
    body = b"\0" + NUMBERS.tobytes()
    entry = f'"w":{{"dtype":"F32","shape":[6,4],"data_offsets":[1,{len(body)}]}}'
    header = f'{{"p":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}},{entry}}}'.encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + body)
    np.testing.assert_array_equal(value(Weights(path).matrix("w")), NUMBERS)


def test_old_names_and_old_attention_are_understood(tmp_path: Path) -> None:
    kernel = torch.tensor(NUMBERS)[:, :, None, None]
    weights = written(
        tmp_path,
        {
            "text_model.final_layer_norm.bias": torch.ones(3),
            "decoder.mid_block.attentions.0.query.weight": kernel,
            "text_model.embeddings.position_ids": torch.arange(5),
        },
    )
    np.testing.assert_array_equal(value(weights.vector("final_layer_norm.bias")), np.ones(3))
    np.testing.assert_array_equal(
        value(weights.matrix("decoder.mid_block.attentions.0.to_q.weight")), NUMBERS
    )
    weights.check_all_taken()


def test_tensors_nobody_took_are_named(tmp_path: Path) -> None:
    weights = written(tmp_path, {"a.x": torch.ones(1), "b.x": torch.ones(1)})
    weights.vector("a.x")
    weights.check_all_taken(("a.",))
    with pytest.raises(ModelFileError, match=r"holds b\.x, unknown.*1 tensors"):
        weights.check_all_taken()


def test_missing_and_whole_numbers_are_refused(tmp_path: Path) -> None:
    weights = written(tmp_path, {"counts": torch.arange(4)})
    with pytest.raises(ModelFileError, match="lacks absent"):
        weights.vector("absent")
    with pytest.raises(ModelFileError, match="holds I64 in counts where fractions belong"):
        weights.vector("counts")


def test_eight_bits_stay_within_half_a_step() -> None:
    matrix = np.random.default_rng(1).standard_normal((5, 7, 3, 3)).astype(np.float32)
    matrix[2] = 0
    whole, scale = quantised(matrix)
    assert whole.dtype == np.int8
    assert scale.shape == (5, 1, 1, 1)
    assert np.abs(whole).max() == 127
    assert (np.abs(whole * scale - matrix) <= scale / 2 + 1e-7).all()


def test_only_large_matrices_become_eight_bits(tmp_path: Path) -> None:
    large, small = torch.randn(300, 300), torch.randn(30, 30)
    kernel = torch.randn(300, 300, 1, 1)
    save_file({"large": large, "small": small, "kernel": kernel}, tmp_path / "w.safetensors")
    weights = Weights(tmp_path / "w.safetensors", int8=True)
    whole, scale = quantised(large.numpy())
    np.testing.assert_allclose(value(weights.matrix("large")), whole * scale, rtol=1e-6)
    np.testing.assert_array_equal(value(weights.matrix("small")), small.numpy())
    np.testing.assert_array_equal(value(weights.kernel("kernel")), kernel.numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_adapters_are_laid_over_what_is_read(dtype: torch.dtype, tmp_path: Path) -> None:
    stored = torch.tensor(NUMBERS).to(dtype)
    table = torch.ones(3, 4, dtype=dtype)
    save_file({"a.weight": stored, "embeddings.token_embedding.weight": table}, tmp_path / "w.safetensors")
    more = np.full_like(NUMBERS, 1 / 3)
    changes = NetworkChanges(
        {"a.weight": ((Row("a.weight", "a", "difference", Difference(more)), 0.5),)},
        np.zeros((2, 4), np.float32),
    )
    weights = Weights(tmp_path / "w.safetensors", adapted=changes)
    wanted = (stored.float() + 0.5 * torch.tensor(more)).to(dtype).float().numpy()
    np.testing.assert_array_equal(value(weights.matrix("a.weight")), wanted)
    rows = value(op.convert(weights.table("embeddings.token_embedding.weight"), "f32"))
    np.testing.assert_array_equal(rows, [[1.0] * 4] * 3 + [[0.0] * 4] * 2)


def test_numbers_are_rounded_as_torch_rounds_them() -> None:
    numbers = np.concatenate([NUMBERS.ravel(), [0.0, 1.00390625, 1.01171875, -3e38, 1e-40]]).astype(
        np.float32
    )
    wanted = torch.tensor(numbers).to(torch.bfloat16).view(torch.uint16).numpy()
    np.testing.assert_array_equal(narrowed(numbers, "BF16"), wanted)
    np.testing.assert_array_equal(narrowed(NUMBERS, "F16"), NUMBERS.astype(np.float16))
    assert narrowed(NUMBERS, "F32") is NUMBERS
    assert narrowed(NUMBERS, "F8_E5M2").dtype == np.float16

"""Tensors of a network on their way to another file."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sfumato.errors import ModelFileError
from sfumato.models.adapters.changes import NetworkChanges
from sfumato.models.adapters.kinds import Difference, Row
from sfumato.models.network_files import NetworkFiles
from sfumato.models.network_tensors import shapes_in, tensors_of
from sfumato.models.tensor_writer import ToWrite, from_float32, write_tensors

NUMBERS = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)


def network(folder: Path, kind: str, bits: NDArray[np.generic], name: str = "unet") -> NetworkFiles:
    path = folder / "a.safetensors"
    counter = ToWrite("embeddings.position_ids", "F32", (1,), lambda: np.zeros(1, np.float32))
    write_tensors(path, [ToWrite("a.weight", kind, bits.shape, lambda: bits), counter], {})
    return NetworkFiles(name, {}, path)


def change(number: float) -> NetworkChanges:
    row = Row("a.weight", "a", "difference", Difference(np.full((2, 2), number, np.float32)))
    return NetworkChanges({"a.weight": ((row, 0.5),)})


def test_bits_are_those_of_the_file(tmp_path: Path) -> None:
    tensors = tensors_of(network(tmp_path, "BF16", from_float32(NUMBERS, "BF16")))
    assert shapes_in(tensors) == {"a.weight": (2, 2)}
    assert (tensors["a.weight"].bits("BF16") == from_float32(NUMBERS, "BF16")).all()
    assert (tensors["a.weight"].bits("F32") == NUMBERS).all()


def test_what_adapters_change_is_rounded_once(tmp_path: Path) -> None:
    third = np.float32(1 / 3)
    one = tensors_of(network(tmp_path, "F16", NUMBERS.astype(np.float16)), change(2 / 3))["a.weight"]
    assert one.dtype == "F16"
    assert (one.bits("F16") == (NUMBERS + third).astype(np.float16)).all()
    assert (one.bits("F32") == NUMBERS + third).all()  # not rounded on the way


def test_what_adapters_change_leaves_eight_bits(tmp_path: Path) -> None:
    files = network(tmp_path, "F8_E5M2", np.full((2, 2), 0x3C, np.uint8))  # all one
    assert tensors_of(files)["a.weight"].dtype == "F8_E5M2"
    made = tensors_of(files, change(0.002))["a.weight"]
    assert made.dtype == "F16"
    assert (made.bits("F16") == np.float16(1.001)).all()


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [(np.inf, "F32", "holds what is no number"), (1e30, "F16", "beyond what float16 can hold")],
)
def test_what_is_no_number_is_refused(number: float, kind: str, words: str, tmp_path: Path) -> None:
    one = tensors_of(network(tmp_path, "F32", NUMBERS), change(number))["a.weight"]
    with pytest.raises(ModelFileError, match=words):
        one.bits(kind)


def test_fractions_belong_into_a_network(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    from safetensors.numpy import save_file

    save_file({"a.weight": np.zeros((2, 2), np.int64)}, path)
    with pytest.raises(ModelFileError, match="where fractions belong"):
        tensors_of(NetworkFiles("unet", {}, path))


def test_old_autoencoders_have_convolutions_where_matrices_are(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    name = "decoder.mid_block.attentions.0.to_q.weight"
    write_tensors(path, [ToWrite(name, "F32", (2, 2, 1, 1), lambda: NUMBERS[:, :, None, None])], {})
    (one,) = tensors_of(NetworkFiles("vae", {}, path)).values()
    assert one.shape == (2, 2)
    assert (one.bits("F32") == NUMBERS).all()

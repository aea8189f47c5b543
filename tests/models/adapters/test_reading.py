import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import ModelFileError
from sfumato.models.adapters.reading import open_adapter
from tiny_adapters import write_adapter


def test_tensors_of_every_kind_are_float32(tmp_path):
    path = tmp_path / "all.safetensors"
    values = torch.tensor([[1.5, -2.0], [0.25, 3.0]])
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    save_file({str(kind): values.to(kind) for kind in kinds}, path)
    file = open_adapter(path, "lora")
    for kind in kinds:
        array = file.array(str(kind))
        assert array.dtype == np.float32
        assert (array == values.numpy()).all()


def test_a_file_has_the_hash_of_a1111(tmp_path):
    path = write_adapter(tmp_path / "a.safetensors", {"x": np.ones(3, np.float32)}, {"k": "v"})
    file = open_adapter(path, "lora")
    raw = path.read_bytes()
    body = hashlib.sha256(raw[8 + int.from_bytes(raw[:8], "little") :]).hexdigest()
    assert (file.digests().whole, file.digests().body) == (hashlib.sha256(raw).hexdigest(), body)
    assert (file.name, file.hash, file.metadata) == ("a", body[:12], {"k": "v"})
    # Another header has another digest, and the same hash.
    other = open_adapter(write_adapter(tmp_path / "b.safetensors", {"x": np.ones(3, np.float32)}), "lora")
    assert other.digests().body == body
    assert other.digests().whole != file.digests().whole


def test_a_file_may_say_its_hash(tmp_path):
    said = "0123456789ab" + "0" * 52
    for value, wanted in ((said, said[:12]), ("short", None), ("Z" * 64, None)):
        path = write_adapter(
            tmp_path / "a.safetensors", {"x": np.ones(3, np.float32)}, {"sshs_model_hash": value}
        )
        file = open_adapter(path, "lora")
        assert file.hash == (wanted or file.digests().body[:12])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(number, tmp_path):
    path = write_adapter(tmp_path / "a.safetensors", {"x": np.array([1, number], np.float32)})
    with pytest.raises(ModelFileError, match=r"a.safetensors holds numbers in 'x' that are not finite"):
        open_adapter(path, "lora").array("x")


def test_whole_numbers_and_names_that_are_not_there_are_refused(tmp_path):
    path = write_adapter(tmp_path / "a.safetensors", {"x": np.ones(3, np.int32)})
    file = open_adapter(path, "embedding")
    with pytest.raises(ModelFileError, match="holds I32 in 'x'") as error:
        file.array("x")
    assert (error.value.field, error.value.value) == ("embedding", "a")
    with pytest.raises(ModelFileError, match="lacks 'y'"):
        file.array("y")


def test_a_truncated_file_is_refused(tmp_path):
    path = write_adapter(tmp_path / "a.safetensors", {"x": np.ones(300, np.float32)})
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelFileError, match="truncated") as error:
        open_adapter(path, "lora")
    assert error.value.field == "lora"


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".ckpt"])
def test_a_pickle_is_never_opened(suffix, tmp_path):
    path = tmp_path / f"word{suffix}"
    path.write_bytes(b"\x80\x04.")
    with pytest.raises(ModelFileError, match="is a pickle"):
        open_adapter(path, "embedding")

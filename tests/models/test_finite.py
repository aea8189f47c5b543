from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sfumato.models.finite import not_finite


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2],
)
def test_nan_and_infinity_are_found_by_name(dtype: torch.dtype, tmp_path: Path) -> None:
    good = torch.linspace(-400, 400, 1001).to(dtype)
    bad, worse = good.clone(), good.clone()
    bad[-1], worse[500] = torch.nan, -torch.inf
    save_file(
        {"bad": bad, "good": good, "worse": worse, "count": torch.arange(9)}, tmp_path / "a.safetensors"
    )
    infinite = [] if dtype == torch.float8_e4m3fn and not worse[500].isnan() else ["worse"]
    assert sorted(not_finite(tmp_path / "a.safetensors")) == ["bad", *infinite]


def test_tensors_that_begin_anywhere_are_read(tmp_path: Path) -> None:
    numbers = torch.tensor([1.0, np.inf], dtype=torch.float32)
    save_file({"a": torch.zeros(3, dtype=torch.uint8), "b": numbers}, tmp_path / "a.safetensors")
    assert list(not_finite(tmp_path / "a.safetensors")) == ["b"]

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from joint_models import LATENTS, POOLED, WIDE, joint_bundle, joint_folder, joint_pipeline
from sfumato.errors import InputError
from sfumato.models.adapters.changes import Changes
from sfumato.models.backends.base import Extra, FreeU
from sfumato.models.backends.torch import load_torch
from sfumato.models.backends.torch_joint import JointBackend, load_joint, load_t5
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.files import locate
from tiny_controlnets import write_controlnet

CPU = torch.device("cpu")


def backend() -> JointBackend:
    made = joint_bundle("sd3").backend
    assert isinstance(made, JointBackend)
    return made


def loaded(name: str, dtype: str, offload: str = "none", storage: str = "whole") -> JointBackend:
    files = locate(joint_folder(name))
    return load_joint(files, load_torch(files, "cpu", dtype, "off", offload, storage))


def test_less_of_it_in_memory_computes_the_same() -> None:
    whole, ids = loaded("sd3", "float32"), np.array([[5, 6, 1, 0]], np.int64)
    before = whole.encode_pooled(ids, 2)[0]
    less = whole.leaner()
    assert isinstance(less, JointBackend)
    assert less.keeping is not None
    assert torch.equal(less.encode_pooled(ids, 2)[0], before)


def test_a_prediction_is_that_of_diffusers() -> None:
    x, context, pooled = torch.randn(2, LATENTS, 8, 6), torch.randn(2, 20, WIDE), torch.randn(2, sum(POOLED))
    mine = backend().predict(x, 371.5, context, Extra(pooled=pooled))
    with torch.no_grad():
        time = torch.full((2,), 371.5)
        theirs = joint_pipeline("sd3").transformer(x, context, pooled, time, return_dict=False)[0]
    np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert not mine.requires_grad


def test_it_is_loaded_in_half_precision() -> None:
    half = loaded("sd35-medium", "float16")
    assert half.text_encoder_3 is not None
    feed_forward = half.text_encoder_3.encoder.block[0].layer[-1].DenseReluDense
    assert (feed_forward.wo.weight.dtype, feed_forward.wi_0.weight.dtype) == (torch.float32, torch.float16)
    ids = np.array([[5, 6, 1, 0]], np.int64)
    whole = joint_bundle("sd35-medium").backend.encode_pooled(ids, 2)[0]
    near = half.encode_pooled(ids, 2)[0]
    assert near.dtype == torch.float32
    np.testing.assert_allclose(near, whole, atol=0.02)


@pytest.mark.parametrize(("offload", "storage"), [("sequential", "whole"), ("component", "float8")])
def test_its_weights_may_be_brought_as_they_are_needed(offload: str, storage: str) -> None:
    kept = loaded("sd3", "float32", offload, storage)
    ids = np.array([[5, 6, 1, 0]], np.int64)
    x, context, pooled = torch.randn(1, LATENTS, 8, 8), torch.randn(1, 20, WIDE), torch.randn(1, sum(POOLED))
    for mine, whole in (
        (kept.encode_pooled(ids, 2)[0], backend().encode_pooled(ids, 2)[0]),
        *[[one.predict(x, 400.0, context, Extra(pooled=pooled)) for one in (kept, backend())]],
    ):
        error = float((mine - whole).std() / whole.std())
        assert error == 0 if storage == "whole" else 0 < error < 0.2


@pytest.mark.parametrize(
    "names", [("encoder.embed_tokens.weight",), ("encoder.embed_tokens.weight", "shared.weight")]
)
def test_the_table_of_words_may_have_either_name_or_both(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = shutil.copytree(joint_folder("sd3"), tmp_path / "model")
    path = folder / "text_encoder_3" / "model.safetensors"
    weights = load_file(path)
    table = next(
        weights.pop(name) for name in ("shared.weight", "encoder.embed_tokens.weight") if name in weights
    )
    save_file({**weights, **{name: table.clone() for name in names}}, path)
    third = locate(folder).text_encoder_3
    assert third is not None
    assert torch.equal(load_t5(third, CPU, torch.float32).shared.weight, table)


def test_what_is_made_for_unets_is_refused(tmp_path: Path) -> None:
    made, x = backend(), torch.zeros(1, LATENTS, 4, 4)
    context, pooled = torch.zeros(1, 4, WIDE), torch.zeros(1, sum(POOLED))
    write_controlnet(tmp_path / "control")
    files = locate_controlnet(tmp_path / "control")
    calls = {
        "cache_interval": lambda: made.predict_reusing(x, 1.0, context, None),
        "control": lambda: made.control(files),
        "lora": lambda: made.adapted(Changes("", {})),
        "freeu": lambda: made.predict(x, 1.0, context, Extra(pooled=pooled, freeu=FreeU(1.2, 1, 1, 1))),
        "pag": lambda: made.predict(x, 1.0, context, Extra(pooled=pooled, perturbed=True)),
    }
    for field, call in calls.items():
        with pytest.raises(InputError, match="transformer") as error:
            call()
        assert error.value.field == field


def test_rows_are_bounded_by_memory() -> None:
    made = backend()
    assert 1 <= made.max_rows(1024, 1024) < made.max_rows(8, 8) <= 64

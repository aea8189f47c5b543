"""Reports on how far one backend computes from another, on the tiny model."""

import json
import math
import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recording import Recorder
from sfumato.errors import NumericalError
from sfumato.evaluation.parity import (
    PARITY_FILE,
    PROMPTS,
    Differences,
    Observed,
    Outputs,
    Parity,
    compare,
    observe,
    parity_of,
    prompt,
    psnr,
    relative_error,
    store,
    stored_parities,
)
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import locate
from tiny_models import tiny_bundle, tiny_folder


def outputs(bundle: ModelBundle, pictures: int = 1, like: Outputs | None = None) -> Outputs:
    with closing(observe(bundle, pictures, like)) as events:
        (last,) = [event for event in events if isinstance(event, Outputs)]
    return last


def report(folder: Path, differences: Differences | None = None) -> Parity:
    found = Differences({"unet": 0.01}, (50.0, 40.0, 45.0)) if differences is None else differences
    return parity_of(found, tiny_bundle(), locate(folder), "openvino cpu float32", "bfloat16")


def test_every_network_is_run_and_every_picture_drawn() -> None:
    events = list(observe(tiny_bundle(), 2))
    assert events[:-1] == [Observed(number, 7) for number in range(1, 8)]
    last = events[-1]
    assert isinstance(last, Outputs)
    assert list(last.networks) == [
        "text encoder",
        "unet, t = 899",
        "unet, t = 500",
        "unet, t = 100",
        "decoder",
    ]
    assert last.networks["text encoder"].shape == (len(PROMPTS) + 1, 16, 32)
    assert [picture.shape for picture in last.pictures] == [(64, 64, 3)] * 2
    assert not np.array_equal(*last.pictures)


def test_the_same_backend_agrees_with_itself() -> None:
    first = outputs(tiny_bundle())
    differences = compare(first, outputs(tiny_bundle(), like=first))
    assert set(differences.errors.values()) == {0.0}
    assert differences.psnr == (math.inf,)


def test_every_error_is_a_networks_own() -> None:
    """A UNet is given the reference's contexts, whatever the text encoder beside it makes of the words."""
    first = outputs(tiny_bundle(), 0)
    like = replace(first, contexts=first.contexts * 2)
    own, given = outputs(tiny_bundle(), 0), outputs(tiny_bundle(), 0, like)
    errors = compare(own, given).errors
    assert errors["text encoder"] == errors["decoder"] == 0
    assert errors["unet, t = 500"] > 0.01


def test_numbers_that_are_not_finite_are_an_error() -> None:
    bundle = replace(tiny_bundle(), backend=Recorder(tiny_bundle().backend, poison_decoder=True))
    with pytest.raises(NumericalError, match="the output of the decoder is not finite"):
        outputs(bundle, 0)


def test_errors_are_relative() -> None:
    assert relative_error(np.float32([3, 4.5]), np.float32([3, 4])) == pytest.approx(0.1)
    assert relative_error(np.float32([3, 4]), np.float32([0, 0])) == pytest.approx(5)
    assert relative_error(np.float32([0]), np.float32([0])) == 0


def test_the_psnr_is_that_of_the_mean_squared_error() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert psnr(black + 1, black) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(black, black + 255) == 0
    assert psnr(black, black) == math.inf


@pytest.mark.parametrize(
    ("levels", "figures", "text"),
    [
        ((50.0, 40.0, 45.0), (45.0, 40.0, 0), "45.0 dB"),
        ((50.0, 40.0), (45.0, 40.0, 0), "45.0 dB"),
        ((math.inf, math.inf), (None, None, 2), "identical pictures"),
        ((math.inf, 40.0), (None, 40.0, 1), "40.0 dB or more"),
        ((), (None, None, 0), "without pictures"),
    ],
)
def test_pictures_are_summed_up(levels: tuple[float, ...], figures: tuple[Any, ...], text: str) -> None:
    parity = report(tiny_folder(), Differences({}, levels))
    assert (parity.median_psnr, parity.lowest_psnr, parity.identical) == figures
    assert parity.pictures == len(levels)
    assert parity.text() == f"bf16 {text}"
    assert json.loads(parity.model_dump_json())["median_psnr"] == figures[0]


def test_a_report_is_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "d" / "bfloat16"
    folder.mkdir(parents=True)
    parity = report(tiny_folder())
    assert store(parity, folder) == folder / PARITY_FILE
    assert stored_parities(tmp_path, tiny_folder()) == (parity,)
    assert parity.model_dump(include={"width", "height", "steps", "sampler", "backend"}) == {
        **{"width": 64, "height": 64, "steps": 4, "sampler": "ddim"},
        "backend": "torch cpu float32",
    }
    assert not parity.stale
    store(report(tiny_folder(), Differences({}, ())), folder)
    assert [one.pictures for one in stored_parities(tmp_path, tiny_folder())] == [0]


def test_another_model_has_no_report(tmp_path: Path) -> None:
    shutil.copytree(tiny_folder(), tmp_path / "model")
    folder = tmp_path / "compiled" / "d" / "bfloat16"
    folder.mkdir(parents=True)
    store(report(tmp_path / "model"), folder)
    assert stored_parities(tmp_path / "compiled", tiny_folder()) == ()
    assert stored_parities(tmp_path / "nothing", tiny_folder()) == ()
    assert stored_parities(tmp_path / "compiled", tmp_path / "gone") == ()


def test_a_model_that_changed_has_no_report(tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_folder(), tmp_path / "model"))
    folder = tmp_path / "compiled" / "d" / "bfloat16"
    folder.mkdir(parents=True)
    store(report(model), folder)
    weights = locate(model).unet.weights
    os.utime(weights, (1, 1))  # touched: the digest decides
    assert len(stored_parities(tmp_path / "compiled", model)) == 1
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert stored_parities(tmp_path / "compiled", model) == ()
    weights.unlink()
    assert stored_parities(tmp_path / "compiled", model) == ()


def without(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


@pytest.mark.parametrize("damage", ["half", "empty", "list", "missing", "kind", "more", "folder"])
def test_a_damaged_report_is_left_out(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "d" / "bfloat16"
    folder.mkdir(parents=True)
    path = store(report(tiny_folder()), folder)
    text = path.read_text()
    data = json.loads(text)
    texts = {
        "half": text[: len(text) // 2],
        "empty": "",
        "list": "[]",
        "missing": json.dumps(without(data, "errors")),
        "kind": json.dumps({**data, "pictures": "many"}),
        "more": json.dumps({**data, "extra": 1}),
    }
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_text(texts[damage])
    assert stored_parities(tmp_path, tiny_folder()) == ()


@pytest.mark.parametrize("change", [{"openvino": "2025.1"}, {"builder": "another"}])
def test_a_report_of_another_version_is_stale(change: dict[str, str]) -> None:
    parity = report(tiny_folder()).model_copy(update=change)
    assert parity.stale
    assert parity.text() == "bf16 is stale"


def test_int8_has_no_other_name() -> None:
    parity = report(tiny_folder()).model_copy(update={"precision": "int8"})
    assert parity.text() == "int8 45.0 dB"


def test_thirty_two_pictures_have_prompts_of_their_own() -> None:
    assert len({prompt(index) for index in range(32)}) == 32
    assert prompt(32) == prompt(0)

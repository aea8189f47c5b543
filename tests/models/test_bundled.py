"""The model that ships: its size, its card, and that stock diffusers loads it and draws the same with it."""

import json

import pytest

import bundled_parity
from sfumato.models.load import find_model
from sfumato.settings import Settings

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MAX_BYTES = 45_000_000


def test_it_is_small_float16_and_holds_no_pickle() -> None:
    files = [path for path in bundled_parity.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES
    assert {path.suffix for path in files} <= {".json", ".txt", ".md", ".safetensors"}


def test_it_has_a_model_card() -> None:
    card = (bundled_parity.FOLDER / "README.md").read_text(encoding="utf-8")
    for heading in ("What it is for", "How it was trained", "Scores", "Limits", "Licence"):
        assert f"## {heading}" in card


def test_its_defaults_are_read() -> None:
    defaults = find_model("bundled", Settings.from_environment({})).defaults
    stored = json.loads((bundled_parity.FOLDER / "sfumato.json").read_text(encoding="utf-8"))
    assert (defaults.width, defaults.height, defaults.steps) == (
        stored["width"],
        stored["height"],
        stored["steps"],
    )
    assert defaults.sampler == stored["sampler"]


@pytest.mark.parametrize("sampler", bundled_parity.SCHEDULERS)
def test_stock_diffusers_draws_the_same_picture(sampler: str) -> None:
    assert bundled_parity.psnr(sampler, "a frog on a beach") >= 45


@pytest.mark.parametrize("dtype", bundled_parity.FLOORS)
def test_compiled_networks_draw_what_stock_diffusers_draws(dtype: str) -> None:
    value = bundled_parity.psnr(bundled_parity.SAMPLER, "a frog on a beach", dtype=dtype)
    assert value >= bundled_parity.FLOORS[dtype]

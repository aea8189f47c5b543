"""Files that were trained in the way of EDM."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.errors import ModelFileError
from sfumato.models.converting import to_folder, to_single
from sfumato.models.facts import read_facts
from sfumato.models.files import locate
from sfumato.models.load import find_model
from sfumato.models.original.edm import said_edm
from sfumato.models.safetensors_header import read_header
from sfumato.samplers.schedule import Schedule
from tiny_families import FAMILIES, write_family, write_original
from tiny_models import tiny_settings

MEANS = torch.tensor([-1.6574, 1.886, -1.383, 2.5155])
STDS = torch.tensor([8.4927, 5.9022, 6.5498, 5.2299])
PLAYGROUND = {"edm_mean": MEANS.half(), "edm_std": STDS.reshape(1, 4, 1, 1)}
COSXL = {"edm_vpred.sigma_max": torch.tensor(100.0), "edm_vpred.sigma_min": torch.tensor([0.01])}


@pytest.fixture(scope="module")
def places() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for family in ("sdxl", "sd15"):
            write_family(Path(name) / family, FAMILIES[family])
        yield Path(name)


def written(places: Path, path: Path, extra: dict[str, torch.Tensor], family: str = "sdxl") -> Path:
    return write_original(places / family, path, FAMILIES[family], extra=extra)


def test_playground_is_known_by_its_marks(places: Path, tmp_path: Path) -> None:
    path = written(places, tmp_path / "a.safetensors", PLAYGROUND)
    files = locate(path)
    schedule = Schedule.from_diffusers_config(files.scheduler)
    assert (schedule.prediction, schedule.data) == ("edm", 0.5)
    assert schedule.sigma_max == pytest.approx(160.0)
    assert files.vae.config["scaling_factor"] == 0.5
    assert files.vae.config["latents_mean"] == pytest.approx(MEANS.tolist())
    assert files.vae.config["latents_std"] == pytest.approx(STDS.tolist())
    defaults = find_model(str(path), tiny_settings()).defaults
    assert (defaults.spacing, defaults.guidance) == ("karras", 3.0)
    assert read_facts(path).because == ("the tensor edm_mean",)


def test_cosxl_says_its_levels(places: Path, tmp_path: Path) -> None:
    files = locate(written(places, tmp_path / "a.safetensors", COSXL))
    schedule = Schedule.from_diffusers_config(files.scheduler)
    assert (schedule.prediction, schedule.data) == ("v", 1.0)
    assert (schedule.sigma_min, schedule.sigma_max) == pytest.approx((0.01, 100.0))
    assert files.vae.config["scaling_factor"] == 0.13025


@pytest.mark.parametrize("extra", [PLAYGROUND, COSXL], ids=["playground", "cosxl"])
def test_conversion_keeps_it(extra: dict[str, torch.Tensor], places: Path, tmp_path: Path) -> None:
    first = locate(written(places, tmp_path / "a.safetensors", extra))
    to_folder(first, tmp_path / "folder")
    folder = locate(tmp_path / "folder")
    to_single(folder, tmp_path / "b.safetensors")
    for other in (folder, locate(tmp_path / "b.safetensors")):
        ours, theirs = (Schedule.from_diffusers_config(one.scheduler) for one in (first, other))
        assert (ours.prediction, ours.data) == (theirs.prediction, theirs.data)
        assert (ours.alphas_cumprod == theirs.alphas_cumprod).all()
        for key in ("scaling_factor", "latents_mean", "latents_std"):
            assert first.vae.config.get(key) == other.vae.config.get(key)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({**PLAYGROUND, "edm_std": STDS / 2}, "edm_std does not explain"),
        ({"edm_mean": MEANS}, "edm_std does not explain"),
        ({**PLAYGROUND, "edm_mean": MEANS.long()}, "edm_mean does not explain"),
        ({**PLAYGROUND, "edm_mean": torch.zeros(5)}, "edm_mean does not explain"),
        ({"edm_vpred.sigma_max": torch.tensor(float("nan"))}, "sigma_max is no noise level"),
        ({"edm_vpred.sigma_max": torch.zeros(2)}, "sigma_max is no noise level"),
    ],
)
def test_marks_that_say_something_else_are_refused(
    extra: dict[str, torch.Tensor], words: str, tmp_path: Path
) -> None:
    save_file({"a": torch.zeros(1), **extra}, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match=words):
        said_edm(read_header(tmp_path / "a.safetensors"), tmp_path / "a.safetensors")


def test_other_families_are_refused(places: Path, tmp_path: Path) -> None:
    path = written(places, tmp_path / "a.safetensors", PLAYGROUND, "sd15")
    with pytest.raises(ModelFileError, match=r"\(EDM\), and is Stable Diffusion 1"):
        locate(path)


def test_files_without_marks_say_nothing(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    assert load_file(tmp_path / "a.safetensors")
    assert said_edm(read_header(tmp_path / "a.safetensors"), tmp_path / "a.safetensors") is None

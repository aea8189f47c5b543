import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from sfumato.errors import InputError
from sfumato.settings import Settings


def test_defaults_need_only_a_home() -> None:
    settings = Settings.from_environment({"HOME": "/home/ada"})
    assert settings.data_dir == Path("/home/ada/.local/share/sfumato")
    assert settings.model_dirs == ()
    assert (settings.device, settings.dtype) == ("auto", "auto")


def test_an_empty_environment_still_finds_a_home() -> None:
    assert Settings.from_environment({}).data_dir.name == "sfumato"


def test_xdg_is_respected_and_sfumato_home_wins() -> None:
    assert Settings.from_environment({"XDG_DATA_HOME": "/data"}).data_dir == Path("/data/sfumato")
    both = {"XDG_DATA_HOME": "/data", "SFUMATO_HOME": "/here"}
    assert Settings.from_environment(both).data_dir == Path("/here")


def test_model_folders_are_separated_as_in_path() -> None:
    value = os.pathsep.join(["/a", "", "~/b"])
    folders = Settings.from_environment({"SFUMATO_MODELS": value}).model_dirs
    assert folders == (Path("/a"), Path("~/b").expanduser())


@pytest.mark.parametrize("name", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:13"])
def test_devices(name: str) -> None:
    assert Settings.from_environment({"SFUMATO_DEVICE": name}).device == name


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:1", "CPU", " "])
def test_unknown_devices_are_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match="SFUMATO_DEVICE: unknown name"):
        Settings.from_environment({"SFUMATO_DEVICE": name})


def test_the_usual_words_for_devices_are_understood() -> None:
    for name, meant in (("gpu", "cuda"), ("GPU", "cuda"), ("metal", "mps")):
        with pytest.raises(InputError, match=f"Did you mean {meant}"):
            Settings.from_environment({"SFUMATO_DEVICE": name})


def test_a_misspelt_dtype_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean bfloat16"):
        Settings.from_environment({"SFUMATO_DTYPE": "bfloat"})
    assert Settings.from_environment({"SFUMATO_DTYPE": ""}).dtype == "auto"


def test_settings_do_not_change() -> None:
    settings = Settings.from_environment({})
    with pytest.raises(FrozenInstanceError):
        settings.device = "cuda"  # type: ignore[misc]

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
    assert (settings.backend, settings.device, settings.dtype) == ("auto", "auto", "auto")


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


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("auto", "auto"),
        ("f32", "float32"),
        ("float32", "float32"),
        ("bf16", "bfloat16"),
        ("f16", "float16"),
        ("int8", "int8"),
        ("int8-full", "int8-full"),
    ],
)
def test_precisions_have_short_names(name: str, dtype: str) -> None:
    assert Settings.from_environment({"SFUMATO_DTYPE": name}).dtype == dtype
    assert Settings.from_environment({}).asked(precision=name).dtype == dtype


@pytest.mark.parametrize("name", ["auto", "torch", "openvino"])
def test_backends(name: str) -> None:
    assert Settings.from_environment({"SFUMATO_BACKEND": name}).backend == name
    assert Settings.from_environment({}).asked(backend=name).backend == name


def test_what_was_asked_for_wins_over_the_environment() -> None:
    settings = Settings.from_environment({"SFUMATO_BACKEND": "torch", "SFUMATO_DTYPE": "float32"})
    assert settings.asked() == settings
    asked = settings.asked(backend="openvino", precision="bf16")
    assert (asked.backend, asked.dtype, asked.data_dir) == ("openvino", "bfloat16", settings.data_dir)


def test_unknown_backends_and_precisions_name_the_flag() -> None:
    settings = Settings.from_environment({})
    with pytest.raises(InputError, match=r"^backend: unknown name \(got 'openvin'\)\. Did you mean openvino"):
        settings.asked(backend="openvin")
    with pytest.raises(InputError, match=r"^precision: unknown name \(got 'fp16'\)\. Did you mean f16"):
        settings.asked(precision="fp16")
    with pytest.raises(InputError, match=r"^precision: unknown name"):
        settings.asked(precision="")
    with pytest.raises(InputError, match=r"^SFUMATO_BACKEND: unknown name .* Did you mean openvino"):
        Settings.from_environment({"SFUMATO_BACKEND": "compiled"})


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [
        ("", None),
        ("auto", None),
        ("4GB", 4 * 10**9),
        ("4gb", 4 * 10**9),
        (" 4 G ", 4 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("800MB", 800 * 10**6),
        ("800Mi", 800 * 2**20),
        ("4000000kB", 4 * 10**9),
        ("0.5TB", 5 * 10**11),
        ("4000000000", 4 * 10**9),
        ("4000000000B", 4 * 10**9),
    ],
)
def test_sizes_of_memory(text: str, num_bytes: int | None) -> None:
    assert Settings.from_environment({"SFUMATO_MAX_MEMORY": text}).max_memory == num_bytes


def test_nothing_bounds_memory_unless_asked() -> None:
    assert Settings.from_environment({}).max_memory is None


@pytest.mark.parametrize(
    "text", ["much", "-4GB", "4iB", "4 GG", "GB", "1e9", "50%", "4,5GB", "nan", "\u0664GB"]
)
def test_what_is_no_size_of_memory(text: str) -> None:
    with pytest.raises(InputError, match=r"^SFUMATO_MAX_MEMORY: is no size of memory .*4GB"):
        Settings.from_environment({"SFUMATO_MAX_MEMORY": text})


@pytest.mark.parametrize("text", ["0", "4", "999kB", "9999TB", "9" * 20 + "TB"])
def test_sizes_of_memory_that_nobody_means(text: str) -> None:
    with pytest.raises(InputError, match=r"^SFUMATO_MAX_MEMORY: must be between 1 MB and 1000 TB"):
        Settings.from_environment({"SFUMATO_MAX_MEMORY": text})


def test_settings_do_not_change() -> None:
    settings = Settings.from_environment({})
    with pytest.raises(FrozenInstanceError):
        settings.device = "cuda"  # type: ignore[misc]


def test_torch_compile_is_asked_for_by_name() -> None:
    assert Settings.from_environment({}).torch_compile == "off"
    assert Settings.from_environment({"SFUMATO_TORCH_COMPILE": "graphs"}).torch_compile == "graphs"
    with pytest.raises(InputError, match="SFUMATO_TORCH_COMPILE: unknown name"):
        Settings.from_environment({"SFUMATO_TORCH_COMPILE": "yes"})


def test_what_is_in_memory_is_asked_for_by_name() -> None:
    settings = Settings.from_environment({})
    assert (settings.offload, settings.storage) == ("auto", "auto")
    read = Settings.from_environment({"SFUMATO_OFFLOAD": "component", "SFUMATO_STORAGE": "int8"})
    assert (read.offload, read.storage) == ("component", "int8")
    asked = read.asked(offload="sequential")
    assert (asked.offload, asked.storage) == ("sequential", "int8")
    assert read.asked(storage="whole").storage == "whole"
    with pytest.raises(InputError, match=r"^SFUMATO_STORAGE: unknown name .* Did you mean float8"):
        Settings.from_environment({"SFUMATO_STORAGE": "fp8"})
    with pytest.raises(InputError, match=r"^offload: unknown name .*none, component, sequential"):
        settings.asked(offload="disk")


def test_copies_of_inputs_are_bounded() -> None:
    assert Settings.from_environment({}).max_inputs == 10**9
    assert Settings.from_environment({"SFUMATO_MAX_INPUTS": "auto"}).max_inputs == 10**9
    assert Settings.from_environment({"SFUMATO_MAX_INPUTS": "20MB"}).max_inputs == 20 * 10**6
    with pytest.raises(InputError, match="SFUMATO_MAX_INPUTS: is no size of memory"):
        Settings.from_environment({"SFUMATO_MAX_INPUTS": "few"})


@pytest.mark.parametrize(
    ("environ", "offline"),
    [
        ({}, False),
        ({"SFUMATO_OFFLINE": "0"}, False),
        ({"SFUMATO_OFFLINE": " No "}, False),
        ({"SFUMATO_OFFLINE": "1"}, True),
        ({"SFUMATO_OFFLINE": "yes"}, True),
        ({"HF_HUB_OFFLINE": "1"}, True),
        ({"SFUMATO_OFFLINE": "0", "HF_HUB_OFFLINE": "true"}, True),
    ],
)
def test_offline_is_anything_but_a_no(environ: dict[str, str], offline: bool) -> None:
    assert Settings.from_environment({"HOME": "/home/frog", **environ}).offline is offline


def test_visitors_manage_models_only_where_it_is_said() -> None:
    assert not Settings.from_environment({}).visitors_manage
    assert not Settings.from_environment({"SFUMATO_VISITORS_MANAGE": "no"}).visitors_manage
    assert Settings.from_environment({"SFUMATO_VISITORS_MANAGE": "1"}).visitors_manage

"""Folders of models as other programs have them, found as they are."""

import os
import unicodedata
from pathlib import Path

import pytest

from sfumato.models.places import MAX_DEPTH, Found, find_all, in_vae_places, leads_inside, places, vae_beside
from sfumato.settings import Settings
from tiny_models import tiny_settings


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def found(*roots: Path) -> dict[str, tuple[str | None, str | None]]:
    """Return kind and problem of all that is found, by name."""
    return {one.name: (one.kind, one.problem) for one in find_all(tiny_settings(*roots))}


A1111 = {
    "models/Stable-diffusion/frog.safetensors": "checkpoint",
    "models/Stable-diffusion/xl/toad.safetensors": "checkpoint",
    "models/VAE/clear.safetensors": "vae",
    "models/Lora/style/ink.safetensors": "lora",
    "models/LyCORIS/pen.safetensors": "lora",
    "embeddings/easy.safetensors": "embedding",
    "models/ControlNet/canny.safetensors": "controlnet",
    "models/ESRGAN/4x.safetensors": "upscaler",
}
COMFY = {
    "models/checkpoints/frog.safetensors": "checkpoint",
    "models/diffusers/toad/model_index.json": "checkpoint",
    "models/vae/clear.safetensors": "vae",
    "models/loras/ink.safetensors": "lora",
    "models/embeddings/easy.safetensors": "embedding",
    "models/controlnet/canny/config.json": "controlnet",
    "models/controlnet/canny/diffusion_pytorch_model.safetensors": "controlnet",
    "models/upscale_models/4x.safetensors": "upscaler",
    "models/clip/l.safetensors": "other",
}
INVOKE = {
    "models/sd-1/main/frog/model_index.json": "checkpoint",
    "models/sdxl/main/toad.safetensors": "checkpoint",
    "models/sd-1/lora/ink.safetensors": "lora",
    "models/sd-1/embedding/easy.safetensors": "embedding",
    "models/sdxl/vae/clear/config.json": "vae",
    "models/sdxl/vae/clear/diffusion_pytorch_model.safetensors": "vae",
    "models/sd-1/controlnet/canny/config.json": "controlnet",
    "models/sd-1/controlnet/canny/diffusion_pytorch_model.safetensors": "controlnet",
}


def called(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix == ".safetensors" and "diffusion_py" not in name else path.parent.name


@pytest.mark.parametrize("layout", [A1111, COMFY, INVOKE], ids=["A1111", "ComfyUI", "InvokeAI"])
@pytest.mark.parametrize("given", ["", "models"])
def test_layouts_are_recognised_from_their_root_and_from_the_folder_models(
    layout: dict[str, str], given: str, tmp_path: Path
) -> None:
    put(
        tmp_path,
        *layout,
        "models/Stable-diffusion/frog.yaml",
        "models/notes.txt",
        "venv/lib/torch/x.safetensors",
    )
    wanted = {called(name): (kind, None) for name, kind in layout.items()}
    assert found(tmp_path / given) == wanted


def test_a_plain_folder_may_hold_everything(tmp_path: Path) -> None:
    put(tmp_path, "frog.safetensors", "some/where/toad.SAFETENSORS", "newt/model_index.json")
    put(tmp_path, "newt/unet/diffusion_pytorch_model.safetensors", ".cache/gone.safetensors")
    assert found(tmp_path) == {"frog": (None, None), "newt": (None, None), "toad": (None, None)}


def test_a_model_itself_is_a_folder_of_one(tmp_path: Path) -> None:
    put(tmp_path, "newt/model_index.json", "newt/vae/config.json")
    put(tmp_path, "newt/vae/diffusion_pytorch_model.safetensors")
    assert found(tmp_path / "newt") == {"newt": (None, None)}


def test_the_second_of_one_name_has_its_folders_before_it(tmp_path: Path) -> None:
    put(tmp_path, "checkpoints/frog.safetensors", "checkpoints/xl/frog.safetensors", "loras/frog.safetensors")
    names = [(one.name, one.kind) for one in find_all(tiny_settings(tmp_path))]
    assert names == [("frog", "checkpoint"), ("xl/frog", "checkpoint"), ("frog", "lora")]
    full = [one.full_name for one in find_all(tiny_settings(tmp_path))]
    assert full == ["frog", "xl/frog", "frog"]


def test_a_copy_of_the_hub_has_the_name_it_had_there(tmp_path: Path) -> None:
    put(tmp_path, "diffusers/models--frogs--green-1.0/snapshots/0a1b/model_index.json")
    assert list(found(tmp_path)) == ["frogs/green-1.0"]


def test_pickles_are_found_and_say_why_they_cannot_be_used(tmp_path: Path) -> None:
    put(tmp_path, "frog.ckpt", "embeddings/easy.pt", "models/ESRGAN/4x.pth")
    there = found(tmp_path)
    assert there.keys() == {"frog", "easy", "4x"}
    assert all(problem and problem.startswith("is a pickle") for _, problem in there.values())


def test_links_inside_are_followed_once(tmp_path: Path) -> None:
    put(tmp_path, "checkpoints/frog.safetensors", "store/toad.safetensors")
    (tmp_path / "checkpoints" / "again").symlink_to(tmp_path / "checkpoints")
    (tmp_path / "checkpoints" / "toad.safetensors").symlink_to("../store/toad.safetensors")
    assert found(tmp_path) == {"frog": ("checkpoint", None), "toad": ("checkpoint", None)}


def test_links_that_leave_are_found_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    put(outside, "secret.safetensors", "many/a.safetensors")
    root = tmp_path / "root"
    put(root, "checkpoints/frog.safetensors")
    (root / "checkpoints" / "secret.safetensors").symlink_to(outside / "secret.safetensors")
    (root / "checkpoints" / "many").symlink_to(outside / "many")
    (root / "loras").symlink_to(outside)
    there = found(root)
    assert there.keys() == {"frog", "secret", "many", "loras"}
    leaving = [name for name, (_, problem) in there.items() if problem and "add where it leads" in problem]
    assert sorted(leaving) == ["loras", "many", "secret"]
    both = found(root, outside)
    assert [problem for _, problem in both.values()] == [None] * len(both)


def test_broken_links_and_circles_end(tmp_path: Path) -> None:
    put(tmp_path, "frog.safetensors")
    (tmp_path / "gone.safetensors").symlink_to("nowhere")
    (tmp_path / "round.safetensors").symlink_to("round.safetensors")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "up").symlink_to(tmp_path)
    there = found(tmp_path)
    assert there["frog"] == (None, None)
    assert [there[name][1] for name in ("gone", "round")] == ["is a symbolic link to nothing"] * 2


def test_names_are_composed_and_may_be_of_any_script(tmp_path: Path) -> None:
    put(
        tmp_path,
        unicodedata.normalize("NFD", "größe") + ".safetensors",
        "青蛙.safetensors",
        "a" * 240 + ".pt",
    )
    assert sorted(found(tmp_path)) == sorted(["größe", "青蛙", "a" * 240])


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_names_that_are_no_text_say_so(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"fr\xffg.safetensors")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such name")
    ((_, problem),) = found(tmp_path).values()
    assert problem == "has a name that is not in UTF-8: rename it"


def test_nothing_is_looked_for_too_deep(tmp_path: Path) -> None:
    deep = "/".join("d" * (MAX_DEPTH + 1)) + "/frog.safetensors"
    near = "/".join("e" * MAX_DEPTH) + "/toad.safetensors"
    put(tmp_path, deep, near)
    assert list(found(tmp_path)) == ["toad"]


def test_the_data_folder_has_places_and_is_none(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    put(tmp_path, "inputs/x.safetensors", "compiled/y.safetensors", "models/frog.safetensors")
    put(tmp_path, "loras/ink.safetensors", "models/loras/pen.safetensors")
    assert {one.name for one in find_all(settings)} == {"frog", "ink", "pen"}


def test_kinds_are_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "checkpoints/frog.safetensors", "loras/ink.safetensors", "any.safetensors")
    settings = tiny_settings(tmp_path)
    names = {one.name for one in find_all(settings, "lora")}
    assert names == {"any", "ink"}
    path = tmp_path / "loras" / "ink.safetensors"
    assert list(find_all(settings, "lora", loose=False)) == [Found("ink", "lora", path, "ink")]


def test_a_folder_given_twice_counts_once(tmp_path: Path) -> None:
    put(tmp_path, "models/loras/ink.safetensors")
    settings = tiny_settings(tmp_path, tmp_path / "models", tmp_path / "gone")
    assert len(list(find_all(settings))) == 1
    assert len({place.path.resolve() for place in places(settings)}) == len(places(settings))


def test_an_autoencoder_is_found_beside_its_model(tmp_path: Path) -> None:
    put(tmp_path, "frog.safetensors", "frog.vae.safetensors", "toad.safetensors", "toad.vae.pt")
    assert vae_beside(tmp_path / "frog.safetensors") == tmp_path / "frog.vae.safetensors"
    assert vae_beside(tmp_path / "toad.safetensors") is None
    assert vae_beside(tmp_path / "frog.vae.safetensors") is None


def test_an_autoencoder_beside_its_model_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path, "models/frog.safetensors", "models/vae/soft.safetensors", "elsewhere/soft.safetensors")
    settings, beside = tiny_settings(tmp_path / "models"), tmp_path / "models" / "frog.vae.safetensors"
    for there, inside in (("models/vae", True), ("elsewhere", False)):
        beside.symlink_to(tmp_path / there / "soft.safetensors")
        assert vae_beside(tmp_path / "models" / "frog.safetensors") == beside
        assert leads_inside(beside, settings) is inside
        beside.unlink()
    beside.symlink_to(beside)
    assert vae_beside(tmp_path / "models" / "frog.safetensors") is None


def test_what_lies_directly_in_a_place_of_autoencoders_is_found_by_name(tmp_path: Path) -> None:
    put(
        tmp_path,
        "models/VAE-approx/deep/a.safetensors",
        "models/VAE-approx/b.safetensors",
        "loose.safetensors",
    )
    settings = tiny_settings(tmp_path)
    for name, wanted in (
        ("a.safetensors", None),
        ("b.safetensors", tmp_path / "models/VAE-approx/b.safetensors"),
        ("loose.safetensors", tmp_path / "loose.safetensors"),
    ):
        assert in_vae_places((name,), settings, Path.is_file) == wanted

"""Damaged model folders: each gives one clear line before anything is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sfumato.errors import ModelFileError
from sfumato.models.files import locate
from tiny_models import tiny_folder

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * keep)])

    return damage


def write(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def pickled(folder: Path) -> None:
    (folder / UNET).unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04}.")


def other_class(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index["text_encoder"] = ["transformers", "T5EncoderModel"]
    (folder / "model_index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove("model_index.json"), "model_index.json is missing"),
        (remove("unet/config.json"), "unet/config.json is missing"),
        (remove(UNET), f"{UNET} is missing"),
        (
            remove("vae/diffusion_pytorch_model.safetensors"),
            "vae/diffusion_pytorch_model.safetensors is missing",
        ),
        (remove("text_encoder/model.safetensors"), "text_encoder/model.safetensors is missing"),
        (remove("tokenizer/vocab.json"), "tokenizer/vocab.json is missing"),
        (remove("tokenizer/merges.txt"), "tokenizer/merges.txt is missing"),
        (remove("scheduler/scheduler_config.json"), "scheduler/scheduler_config.json is missing"),
        (cut(UNET, 0.5), "damaged or truncated"),
        (cut(UNET, 0.999), "damaged or truncated"),
        (cut(UNET, 0.00001), "damaged or truncated"),
        (cut(UNET, 0), "damaged or truncated"),
        (write(UNET, b"\xff" * 100), "damaged or truncated"),
        (write("unet/config.json", b"{"), "not readable JSON"),
        (write("unet/config.json", b"[" * 100_000), "not readable JSON"),
        (write("vae/config.json", b"\xff\xfe\x00"), "not readable JSON"),
        (write("vae/config.json", b"[1]"), "JSON object"),
        (pickled, "is a pickle"),
        (other_class, "CLIPTextModel"),
    ],
)
def test_damage_is_one_line_with_a_hint(folder: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(folder)
    with pytest.raises(ModelFileError) as caught:
        locate(folder)
    line = str(caught.value)
    assert words in line
    assert line.startswith("model: ")
    assert "\n" not in line
    assert caught.value.hint is not None
    assert caught.value.exit_code == 2


def test_a_whole_folder_is_found() -> None:
    files = locate(tiny_folder())
    assert files.unet.weights == tiny_folder() / UNET
    assert files.tokenizer["model_max_length"] == 16
    assert files.defaults["steps"] == 4


def test_the_digest_follows_what_decides_the_picture(folder: Path) -> None:
    original = locate(tiny_folder()).digest()
    assert locate(folder).digest() == original
    (folder / "sfumato.json").unlink()
    (folder / "README.md").write_text("a model card")
    assert locate(folder).digest() == original
    weights = bytearray((folder / UNET).read_bytes())
    weights[-1] ^= 1
    (folder / UNET).write_bytes(weights)
    assert locate(folder).digest() != original

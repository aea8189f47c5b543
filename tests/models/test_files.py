"""Damaged model folders: each gives one clear line before anything is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sfumato.errors import ModelFileError
from sfumato.models.files import locate, read_json
from tiny_models import tiny_folder, write_tiny_decoder

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


def test_a_folder_without_a_tiny_decoder_has_none() -> None:
    assert locate(tiny_folder()).tiny_decoder is None


@pytest.mark.parametrize("name", ["tiny_decoder", "taesd"])
def test_a_tiny_decoder_beside_the_networks_is_found_and_decides_nothing(folder: Path, name: str) -> None:
    digest = locate(folder).digest()
    write_tiny_decoder(folder / name)
    files = locate(folder)
    assert files.tiny_decoder is not None
    assert files.tiny_decoder.weights == folder / name / "diffusion_pytorch_model.safetensors"
    assert files.digest() == digest


def test_our_own_tiny_decoder_comes_before_another(folder: Path) -> None:
    write_tiny_decoder(folder / "taesd")
    write_tiny_decoder(folder / "tiny_decoder")
    tiny = locate(folder).tiny_decoder
    assert tiny is not None
    assert tiny.name == "tiny_decoder"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "AutoencoderKL"}, "does not name AutoencoderTiny"),
        ({"latent_channels": 8}, "takes latents of 8 channels, and vae/config.json has 4"),
        ({"num_decoder_blocks": [1, 1]}, "no usable num_decoder_blocks"),
        ({"num_decoder_blocks": [1] * 3, "decoder_block_out_channels": [8] * 3}, "has 3 levels"),
        ({"num_decoder_blocks": [1, True, 1, 1]}, "no usable num_decoder_blocks"),
        ({"decoder_block_out_channels": "8888"}, "no usable num_decoder_blocks"),
        ({"decoder_block_out_channels": [8, 8, 8, 16]}, "decoder_block_out_channels that differ"),
        ({"upsampling_scaling_factor": 3}, "doubles the size at every level"),
        ({"out_channels": 4}, "colour pictures"),
        ({"act_fn": "gelu"}, "asks for 'gelu'"),
        ({"scaling_factor": 0}, "no usable scaling_factor (0)"),
        ({"shift_factor": "1"}, "no usable shift_factor ('1')"),
        ({"shift_factor": True}, "no usable shift_factor (True)"),
    ],
)
def test_a_tiny_decoder_that_does_not_fit_is_refused(
    folder: Path, changes: dict[str, object], words: str
) -> None:
    config = write_tiny_decoder(folder / "taesd") / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))
    with pytest.raises(ModelFileError) as caught:
        locate(folder)
    line = str(caught.value)
    assert words in line
    assert line.startswith("model: taesd/config.json ")
    assert "previews do without one" in line


def test_half_a_tiny_decoder_is_reported(folder: Path) -> None:
    write_tiny_decoder(folder / "taesd")
    (folder / "taesd" / "config.json").unlink()
    with pytest.raises(ModelFileError, match=r"taesd/config.json is missing"):
        locate(folder)


def test_half_precision_variants_are_found(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    assert locate(folder).unet.weights.name == "diffusion_pytorch_model.fp16.safetensors"


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


def test_a_huge_configuration_is_not_read(folder: Path) -> None:
    with (folder / "unet" / "config.json").open("r+b") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(ModelFileError, match="too large"):
        read_json(folder, "unet/config.json")

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from joint_models import WIDE, joint_folder
from sfumato.errors import ModelFileError
from sfumato.models.adapters.target import target_of
from sfumato.models.backends.openvino.support import unsupported
from sfumato.models.control_fit import misfit
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.converting import to_folder, to_single
from sfumato.models.defaults import read_defaults
from sfumato.models.files import locate
from sfumato.models.joint_files import is_transformer
from sfumato.models.liked import JOINT, JOINT_DUAL, JOINT_LARGE, liked_by
from tiny_controlnets import write_controlnet
from tiny_models import tiny_folder


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return shutil.copytree(joint_folder("sd3"), tmp_path / "model")


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def test_a_folder_has_a_transformer_and_three_text_encoders() -> None:
    files = locate(joint_folder("sd3"))
    assert is_transformer(files.unet)
    assert [one.name for one in files.networks] == [
        "transformer",
        "vae",
        "text_encoder",
        "text_encoder_2",
        "text_encoder_3",
    ]
    assert files.pieces is not None
    without = locate(joint_folder("sd3-no-t5"))
    assert (without.text_encoder_3, without.pieces) == (None, None)
    assert not is_transformer(locate(tiny_folder()).unet)


def test_the_digest_knows_the_third_encoder(copied: Path) -> None:
    before = locate(copied).digest()
    path = copied / "tokenizer_3" / "tokenizer.json"
    edit(path, lambda whole: whole["model"]["vocab"][5].__setitem__(1, -9.0))
    assert locate(copied).digest() != before


def test_what_it_likes_and_how_large_it_draws() -> None:
    names = {"sd3": JOINT, "sd35-medium": JOINT_DUAL, "sd35-large": JOINT_LARGE}
    for name, liked in names.items():
        assert liked_by(locate(joint_folder(name))) == liked
    defaults = read_defaults(locate(joint_folder("sd3")), name="it", digest="")
    assert defaults.joint
    assert (defaults.multiple, defaults.width, defaults.max_size) == (16, 64, 12 * 2 * 8)
    assert "flow" in defaults.spacings
    assert "flow" not in read_defaults(locate(tiny_folder()), name="it", digest="").spacings


def test_a_turbo_model_is_said_to_be_one_in_its_folder(copied: Path) -> None:
    (copied / "sfumato.json").write_text(json.dumps({"steps": 4, "guidance": 1.0}))
    defaults = read_defaults(locate(copied), name="it", digest="")
    assert (defaults.steps, defaults.guidance, defaults.spacing) == (4, 1.0, "flow")


def _index(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "model_index.json", change)


def _config(part: str, **values: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / part / "config.json", lambda config: config.update(values))


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (
            _index(lambda index: index.update(transformer=["diffusers", "FluxTransformer2DModel"])),
            "must name",
        ),
        (_index(lambda index: index.update(text_encoder_2=[None, None])), "text_encoder_2"),
        (_index(lambda index: index.update(text_encoder_3=["transformers", "UMT5EncoderModel"])), "UMT5"),
        (_config("transformer", in_channels=4), "channels"),
        (_config("transformer", pos_embed_max_size=0), "pos_embed_max_size"),
        (_config("transformer", pooled_projection_dim=99), "pooled text of 99"),
        (_config("transformer", joint_attention_dim=32), "attends to 32"),
        (_config("text_encoder", projection_dim="32"), "no usable projection_dim"),
        (_config("text_encoder_2", hidden_size=None), "no usable hidden_size"),
        (_config("text_encoder_3", d_model=WIDE + 1), f"attends to {WIDE}"),
        (_config("vae", shift_factor="x"), "shift_factor"),
        (lambda folder: shutil.rmtree(folder / "tokenizer_3"), "tokenizer.json is missing"),
        (lambda folder: (folder / "text_encoder_3" / "model.safetensors").unlink(), "model.safetensors"),
        (
            lambda folder: (folder / "tokenizer_3" / "tokenizer.json").rename(
                folder / "tokenizer_3" / "spiece.model"
            ),
            "spiece.model alone",
        ),
    ],
)
def test_what_does_not_fit_is_refused(copied: Path, damage: Callable[[Path], None], match: str) -> None:
    damage(copied)
    with pytest.raises(ModelFileError, match=match):
        read_defaults(locate(copied), name="it", digest="")


def test_what_is_made_for_unets_is_refused(tmp_path: Path) -> None:
    files = locate(joint_folder("sd3"))
    with pytest.raises(ModelFileError, match="adapters are laid over UNets") as error:
        target_of(files)
    assert error.value.field == "lora"
    write_controlnet(tmp_path / "control")
    control = locate_controlnet(tmp_path / "control")
    assert "transformer" in (misfit(control, files) or "")
    assert "transformer" in (unsupported(files) or "")


def test_it_is_converted_to_a_folder_and_not_to_a_file(tmp_path: Path) -> None:
    files = locate(joint_folder("sd3"))
    to_folder(files, tmp_path / "half", "float16")
    made = locate(tmp_path / "half")
    assert is_transformer(made.unet)
    for one, other in zip(files.networks, made.networks, strict=True):
        mine, theirs = load_file(one.weights), load_file(other.weights)
        assert mine.keys() == theirs.keys()
        assert all((mine[name].half() == theirs[name]).all() for name in mine)
    assert read_defaults(made, name="it", digest="").joint
    with pytest.raises(ModelFileError, match="single file"):
        to_single(files, tmp_path / "one.safetensors")

"""Models from one layout to the other and back."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from sfumato.errors import InputError, ModelFileError, OutputError
from sfumato.models.autoencoders import find_vae
from sfumato.models.converting import to_folder, to_single, vae_to, with_vae
from sfumato.models.files import ModelFiles, locate
from sfumato.models.network_tensors import tensors_of
from tiny_families import FAMILIES, networks_of, write_family, write_json, write_original
from tiny_models import tiny_folder

TINY = "tiny-sd"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        yield write_family(Path(place) / TINY, FAMILIES[TINY])


@pytest.fixture(scope="module")
def single(folder: Path) -> Path:
    return write_original(folder, folder.with_suffix(".safetensors"), FAMILIES[TINY])


def everything(files: ModelFiles) -> dict[str, bytes]:
    """Return the bytes of every tensor of a model, in the kind in which it is stored."""
    found: dict[str, bytes] = {}
    for network in files.networks:
        for name, one in tensors_of(network).items():
            found[f"{network.name} {name} {one.dtype} {one.shape}"] = one.bits(one.dtype).tobytes()
    return found


@pytest.mark.parametrize("name", ["sd15", "sd2-768-v", "x4-upscaler", "sdxl", "sdxl-refiner", "ssd-1b"])
def test_there_and_back_is_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    tiny = FAMILIES[name]
    original = write_original(
        write_family(tmp_path / "a", tiny), tmp_path / "b.safetensors", tiny, {"modelspec.title": "x"}
    )
    whole = everything(locate(original))
    made = locate(to_folder(locate(original), tmp_path / "c").path)
    assert everything(made) == whole
    back = to_single(made, tmp_path / "d.safetensors")
    assert back.sidecar is None  # all that there is to say is in the file
    again = locate(back.path)
    assert everything(again) == whole
    first, last = locate(original).single, again.single
    assert first is not None
    assert last is not None
    assert (last.family, last.scheduler, last.index) == (first.family, first.scheduler, first.index)
    assert [one.config for one in again.networks] == [one.config for one in locate(original).networks]
    tensors, before = load_file(back.path), load_file(original)
    lost = {key for key in before if key not in tensors}
    assert all(
        "resblocks.23" in key
        or "position_ids" in key
        or "logit_scale" in key
        or key == "cond_stage_model.model.text_projection"
        for key in lost
    )
    assert all(torch.equal(tensors[key], before[key]) for key in tensors)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_diffusers_opens_the_folder_that_was_made(single: Path, tmp_path: Path) -> None:
    made = to_folder(locate(single), tmp_path / "out")
    assert made.num_bytes > 1e6
    pipe = StableDiffusionPipeline.from_pretrained(
        made.path, local_files_only=True, torch_dtype=torch.float16
    )
    expected = {name: one.bits(one.dtype) for name, one in tensors_of(locate(single).unet).items()}
    state = pipe.unet.state_dict()
    assert state.keys() == expected.keys()
    assert all((state[name].numpy() == bits).all() for name, bits in expected.items())
    tokens = pipe.tokenizer("a frog")["input_ids"]
    assert (tokens[0], tokens[-1]) == (49406, 49407)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_what_a_file_cannot_say_is_beside_it(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    scheduler = json.loads((copy / "scheduler" / "scheduler_config.json").read_text())
    write_json(
        copy / "scheduler" / "scheduler_config.json",
        {**scheduler, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "beta_end": 0.013},
    )
    vae = json.loads((copy / "vae" / "config.json").read_text())
    write_json(copy / "vae" / "config.json", {**vae, "scaling_factor": 0.7})
    write_json(copy / "sfumato.json", {"steps": 3})
    done = to_single(locate(copy), tmp_path / "model.safetensors")
    assert done.sidecar == tmp_path / "model.sfumato.json"
    said = json.loads(done.sidecar.read_text())
    assert said["steps"] == 3
    assert said["vae"] == {"scaling_factor": 0.7}
    assert said["scheduler"]["beta_end"] == 0.013
    tensors = load_file(done.path)
    assert tensors["v_pred"].numel() == tensors["ztsnr"].numel() == 0
    files = locate(done.path)
    assert files.vae.config["scaling_factor"] == 0.7
    assert files.scheduler["prediction_type"] == "v_prediction"
    assert files.scheduler["rescale_betas_zero_snr"] is True
    assert files.defaults == {"steps": 3}
    back = locate(to_folder(files, tmp_path / "back").path)
    assert back.defaults == {"steps": 3}
    assert back.scheduler["beta_end"] == 0.013


@pytest.mark.parametrize(("dtype", "kind"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_numbers_are_rounded_as_torch_does(
    dtype: str, kind: torch.dtype, single: Path, tmp_path: Path
) -> None:
    done = to_single(locate(single), tmp_path / "a.safetensors", dtype)
    before = load_file(single)
    after = load_file(done.path)
    assert after
    for name, tensor in after.items():
        assert tensor.dtype == kind
        assert torch.equal(tensor, before[name].to(kind))
    narrow = to_folder(locate(done.path), tmp_path / "b", "float16")
    again = networks_of(narrow.path, "unet")
    assert all(tensor.dtype == torch.float16 for tensor in again.values())


def test_numbers_beyond_float16_are_refused_and_nothing_is_left(single: Path, tmp_path: Path) -> None:
    state = {
        name: tensor.to(torch.bfloat16) for name, tensor in load_file(single).items() if "ids" not in name
    }
    name = "model.diffusion_model.out.2.bias"
    state[name] = torch.full_like(state[name], 1e30)
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match=r"out\.2\.bias holds numbers beyond what float16 can hold"):
        to_folder(locate(tmp_path / "a.safetensors"), tmp_path / "b", "float16")
    with pytest.raises(ModelFileError, match="beyond what float16"):
        to_single(locate(tmp_path / "a.safetensors"), tmp_path / "c.safetensors", "float16")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_an_autoencoder_alone_is_written_and_found_in_every_layout(single: Path, tmp_path: Path) -> None:
    whole = {name: one.bits(one.dtype).tobytes() for name, one in tensors_of(locate(single).vae).items()}
    plain = vae_to(find_vae(single), tmp_path / "vae.safetensors").path
    assert "encoder.down.0.block.0.conv1.weight" in load_file(plain)
    made = vae_to(find_vae(plain), tmp_path / "vae").path
    assert (made / "config.json").is_file()
    loose = tmp_path / "loose.safetensors"
    shutil.copy(made / "diffusion_pytorch_model.safetensors", loose)
    for place in (plain, made, loose):
        found = find_vae(place)
        assert found.config["block_out_channels"] == [32, 32, 64, 64]
        assert {name: one.bits(one.dtype).tobytes() for name, one in tensors_of(found).items()} == whole


def test_another_autoencoder_takes_the_place_of_the_model_s(
    single: Path, folder: Path, tmp_path: Path
) -> None:
    other = {f"{name}": -tensor for name, tensor in networks_of(folder, "vae").items()}
    save_file(other, tmp_path / "vae.safetensors")
    files = with_vae(locate(single), find_vae(tmp_path / "vae.safetensors"))
    assert files.vae.config["scaling_factor"] == 0.18215
    shifted = replace(files.vae, config={**files.vae.config, "shift_factor": 0.0609})
    again = with_vae(replace(files, vae=shifted), find_vae(tmp_path / "vae.safetensors"))
    assert again.vae.config["shift_factor"] == 0.0609
    done = load_file(to_single(files, tmp_path / "new.safetensors").path)
    before = load_file(single)
    changed = {name for name, tensor in done.items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith("first_stage_model.")}
    wide = find_vae(write_family(tmp_path / "x4", FAMILIES["x4-upscaler"]))
    with pytest.raises(InputError, match="makes 4 pixels a latent, and the model draws 8 pixels a latent"):
        with_vae(locate(single), wide)


def test_what_is_there_is_never_replaced(single: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b.sfumato.json").write_text("{}")
    for write, name in ((to_folder, "a"), (to_single, "b.safetensors")):
        with pytest.raises(OutputError, match="is there already"):
            write(locate(single), tmp_path / name)


def test_words_of_its_own_do_not_fit_into_a_single_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="its words are not CLIP's"):
        to_single(locate(tiny_folder()), tmp_path / "a.safetensors")


def test_a_wrong_config_is_put_right(folder: Path, tmp_path: Path) -> None:
    """What the weights say of themselves goes before what a folder says of them."""
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    config = json.loads((copy / "unet" / "config.json").read_text())
    write_json(
        copy / "unet" / "config.json", {**config, "layers_per_block": 2, "mid_block_type": "UNetMidBlock2D"}
    )
    files = locate(to_single(locate(copy), tmp_path / "a.safetensors").path)
    assert files.unet.config["layers_per_block"] == 1
    assert files.unet.config["mid_block_type"] is None

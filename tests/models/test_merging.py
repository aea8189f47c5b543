from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from sfumato.errors import ModelFileError, OutputError
from sfumato.models.merging import ENTRY, NOTE, merge, mixed, part_of
from sfumato.models.safetensors_header import read_header
from sfumato.recipe.codec import from_json
from sfumato.recipe.merge import PARTS, MergeRecipe

Numbers: TypeAlias = NDArray[Any]

UNET = "model.diffusion_model."
SHAPES = {
    ENTRY: (8, 4, 3, 3),
    f"{UNET}input_blocks.11.0.bias": (8,),
    f"{UNET}middle_block.1.weight": (4, 4),
    f"{UNET}output_blocks.2.0.weight": (4, 6),
    f"{UNET}out.2.weight": (4, 8),
    "first_stage_model.decoder.conv_in.weight": (3, 3),
    "cond_stage_model.transformer.text_model.final_layer_norm.weight": (5,),
}


def recipe(method: str = "weighted", **fields: object) -> MergeRecipe:
    names = {key: {"name": f"{key}.safetensors"} for key in ("abc" if method == "difference" else "ab")}
    return MergeRecipe.model_validate({"method": method, **names, **fields})


def model(folder: Path, key: str, more: Mapping[str, Numbers] = {}, dtype: str = "float32") -> Path:
    rng = np.random.default_rng(ord(key))
    tensors = {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}
    path = folder / f"{key}.safetensors"
    save_file({**tensors, **more}, path, {"modelspec.architecture": "stable-diffusion-v1", "author": key})
    return path


def models(folder: Path, keys: str = "ab", dtype: str = "float32") -> dict[str, Path]:
    return {key: model(folder, key, dtype=dtype) for key in keys}


def test_every_tensor_has_its_part() -> None:
    found = [part_of(name) for name in SHAPES]
    assert found == ["IN00", "IN11", "M00", "OUT02", "BASE", "VAE", "TEXT"]
    assert set(found) <= set(PARTS)
    assert part_of("conditioner.embedders.1.model.ln_final.weight") == "TEXT"
    assert part_of("alphas_cumprod") is None


def test_numbers_lie_between_those_of_both(tmp_path: Path) -> None:
    places = models(tmp_path)
    done = merge(recipe(weight=0.25, parts={"M00": 1.0, "VAE": 0.0}), places, tmp_path / "m.safetensors")
    a, b, made = (load_file(path) for path in (*places.values(), done.path))
    assert (done.merged, done.kept, done.left_out) == (len(SHAPES), 0, 0)
    for name in SHAPES:
        weight = {"M00": 1.0, "VAE": 0.0}.get(part_of(name) or "", 0.25)
        assert np.allclose(made[name], (1 - weight) * a[name] + weight * b[name], atol=1e-6)
    assert np.array_equal(made[f"{UNET}middle_block.1.weight"], b[f"{UNET}middle_block.1.weight"])


def test_a_difference_is_added(tmp_path: Path) -> None:
    places = models(tmp_path, "abc")
    done = merge(recipe("difference", weight=0.5), places, tmp_path / "m.safetensors")
    a, b, c, made = (load_file(path) for path in (*places.values(), done.path))
    for name in SHAPES:
        assert np.allclose(made[name], a[name] + 0.5 * (b[name] - c[name]), atol=1e-6)


def test_slerp_keeps_lengths_and_turns_evenly() -> None:
    a, b = (np.array(one, np.float32) for one in ([3, 0, 0], [0, 5, 0]))
    third = mixed(recipe("slerp"), 1 / 3, a, b, None)
    assert np.linalg.norm(third) == pytest.approx(3 + 2 / 3, rel=1e-6)
    assert np.degrees(np.arctan2(third[1], third[0])) == pytest.approx(30, rel=1e-5)
    assert np.allclose(mixed(recipe("slerp"), 0, a, b, None), a)
    assert np.allclose(mixed(recipe("slerp"), 1, a, b, None), b, atol=1e-6)
    assert np.allclose(mixed(recipe("slerp"), 0.5, a, 3 * a, None), 2 * a)
    assert np.allclose(mixed(recipe("slerp"), 0.5, a, 0 * a, None), a / 2)


def test_an_inpainting_model_keeps_the_channels_others_lack(tmp_path: Path) -> None:
    entry = np.random.default_rng(9).normal(size=(8, 9, 3, 3)).astype(np.float32)
    places = {
        "a": model(tmp_path, "a", {ENTRY: entry}),
        "b": model(tmp_path, "b"),
        "c": model(tmp_path, "c"),
    }
    done = merge(recipe("difference", weight=1.0), places, tmp_path / "m.safetensors")
    b, c, made = (load_file(path)[ENTRY] for path in (places["b"], places["c"], done.path))
    assert np.array_equal(made[:, 4:], entry[:, 4:])
    assert np.allclose(made[:, :4], entry[:, :4] + b - c, atol=1e-6)


def test_what_makes_no_sense_to_merge_is_a_s_or_left_out(tmp_path: Path) -> None:
    marks = {
        "alphas_cumprod": np.arange(4, dtype=np.float32),
        "v_pred": np.zeros(1, np.float32),
        "model_ema.decay": np.zeros(1, np.float32),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": np.arange(5),
    }
    a, b = model(tmp_path, "a", marks), model(tmp_path, "b", {"extra": np.zeros(3, np.float32)})
    done = merge(recipe(), {"a": a, "b": b}, tmp_path / "m.safetensors")
    made = load_file(done.path)
    assert made.keys() == {*SHAPES, "alphas_cumprod", "v_pred"}
    assert np.array_equal(made["alphas_cumprod"], marks["alphas_cumprod"])
    assert (done.merged, done.kept, done.left_out) == (len(SHAPES), 2, 3)


def test_a_text_encoder_that_one_lacks_is_a_s(tmp_path: Path) -> None:
    a = model(tmp_path, "a")
    short = {name: one for name, one in load_file(model(tmp_path, "b")).items() if name.startswith(UNET)}
    save_file(short, tmp_path / "b.safetensors")
    done = merge(recipe(), {"a": a, "b": tmp_path / "b.safetensors"}, tmp_path / "m.safetensors")
    name = "first_stage_model.decoder.conv_in.weight"
    assert np.array_equal(load_file(done.path)[name], load_file(a)[name])
    assert done.kept == 2


@pytest.mark.parametrize(("dtype", "stored"), [(None, "F16"), ("float32", "F32"), ("bfloat16", "BF16")])
def test_the_result_is_stored_as_a_is_or_as_asked_for(tmp_path: Path, dtype: str | None, stored: str) -> None:
    places = models(tmp_path, dtype="float16")
    done = merge(recipe(dtype=dtype), places, tmp_path / "m.safetensors")
    assert {one.dtype for one in read_header(done.path).tensors.values()} == {stored}


def test_the_recipe_goes_along_and_makes_the_same_again(tmp_path: Path) -> None:
    places = models(tmp_path)
    done = merge(recipe(weight=0.3), places, tmp_path / "m.safetensors")
    metadata = read_header(done.path).metadata
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1"
    assert "author" not in metadata
    written = from_json(metadata[NOTE], MergeRecipe)
    assert written == done.recipe
    assert written.a.sha256 is not None
    again = merge(written, places, tmp_path / "again.safetensors")
    assert again.path.read_bytes() == done.path.read_bytes()


def test_another_file_than_the_recipe_names_is_refused(tmp_path: Path) -> None:
    places = models(tmp_path)
    wanted = recipe(b={"name": "b.safetensors", "sha256": "0" * 64})
    with pytest.raises(ModelFileError, match="is not the file that the recipe names"):
        merge(wanted, places, tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


def unlike(folder: Path) -> Path:
    return model(folder, "b", {f"{UNET}out.2.weight": np.zeros((4, 9), np.float32)})


def lacking(folder: Path) -> Path:
    path = model(folder, "b")
    tensors = load_file(path)
    del tensors[f"{UNET}out.2.weight"]
    save_file(tensors, path)
    return path


def adapter(folder: Path) -> Path:
    path = folder / "b.safetensors"
    save_file({"lora_unet_x.lora_up.weight": np.zeros((2, 2), np.float32)}, path)
    return path


def spoilt(folder: Path) -> Path:
    return model(folder, "b", {f"{UNET}out.2.weight": np.full((4, 8), np.nan, np.float32)})


def truncated(folder: Path) -> Path:
    path = model(folder, "b")
    path.write_bytes(path.read_bytes()[:-1])
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (unlike, "has 4x9 of F32 as model.diffusion_model.out.2.weight, which is 4x8 in a.safetensors"),
        (lacking, "lacks model.diffusion_model.out.2.weight"),
        (adapter, "is no checkpoint of the original layout"),
        (spoilt, "that are not finite"),
        (truncated, "damaged or truncated"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    places = {"a": model(tmp_path, "a"), "b": make(tmp_path)}
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelFileError) as caught:
        merge(recipe(), places, tmp_path / "m.safetensors")
    assert said in str(caught.value)
    assert caught.value.field == "b"
    assert sorted(tmp_path.iterdir()) == before


def test_numbers_too_large_for_float16_are_named(tmp_path: Path) -> None:
    big = {f"{UNET}out.2.weight": np.full((4, 8), 1e6, np.float32)}
    places = {"a": model(tmp_path, "a", big), "b": model(tmp_path, "b", big)}
    with pytest.raises(ModelFileError, match="too large for float16"):
        merge(recipe(dtype="float16"), places, tmp_path / "m.safetensors")
    merge(recipe(dtype="bfloat16"), places, tmp_path / "m.safetensors")


def test_a_model_is_not_written_over(tmp_path: Path) -> None:
    places = models(tmp_path)
    (tmp_path / "link.safetensors").symlink_to(places["b"])
    with pytest.raises(OutputError, match="one of the models"):
        merge(recipe(), places, tmp_path / "link.safetensors")

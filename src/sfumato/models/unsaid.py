"""What a single file cannot say of the model in it, found by reading it back: for the file beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sfumato.models.files import ModelFiles
from sfumato.models.original.families import SD2_V, Family
from sfumato.models.original.says import EPSILON, VELOCITY_MARK, ZERO_SNR_MARK, V
from sfumato.models.original.sidecar import PREDICTION, Sidecar
from sfumato.models.original.single import SingleFile, single_of
from sfumato.models.safetensors_header import Header, Tensor

#: What weights do not decide, and what diffusers and transformers take where a configuration is silent.
_UNET: Final[Mapping[str, Any]] = {
    "act_fn": "silu",
    "addition_time_embed_dim": None,
    "attention_head_dim": 8,
    "center_input_sample": False,
    "class_embed_type": None,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "num_attention_heads": None,
    "resnet_out_scale_factor": 1.0,
    "resnet_time_scale_shift": "default",
    "sample_size": None,
    "time_embedding_type": "positional",
}
_VAE: Final[Mapping[str, Any]] = {
    "act_fn": "silu",
    "force_upcast": True,
    "latents_mean": None,
    "latents_std": None,
    "norm_num_groups": 32,
    "scaling_factor": 0.18215,
    "shift_factor": None,
}
_TEXT: Final[Mapping[str, Any]] = {
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-05,
    "num_attention_heads": 8,
}
_SCHEDULER: Final[Mapping[str, Any]] = {
    "_class_name": None,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "num_train_timesteps": 1000,
    "original_inference_steps": 50,
    "prediction_type": EPSILON,
    "rescale_betas_zero_snr": False,
    "sigma_data": 0.5,
    "sigma_max": 80.0,
    "sigma_min": 0.002,
    "steps_offset": 0,
    "timestep_spacing": None,
    "trained_betas": None,
}


@dataclass(frozen=True)
class Said:
    """What a file is told beside its weights: `notes` for its metadata, `marks` as empty tensors, and what is
    left for the `sidecar`.
    """

    notes: Mapping[str, str]
    marks: tuple[str, ...]
    sidecar: Mapping[str, Any]


def sidecar_for(files: ModelFiles, path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> Said:
    """Return what to write beside `tensors`, kinds and shapes by their names in the original layout, so that
    the file `path` is read as the model that `files` is. Raises ModelFileError where it would be no model.
    """
    prediction = files.scheduler.get("prediction_type", EPSILON)
    zero = bool(files.scheduler.get("rescale_betas_zero_snr", False))
    notes = {"format": "pt", "modelspec.sai_model_spec": "1.0.0"}
    notes["modelspec.prediction_type"] = "v" if prediction == V else EPSILON
    size = files.unet.config.get("sample_size")
    if isinstance(size, int) and size > 0 and size % 8 == 0:
        notes["modelspec.resolution"] = f"{8 * size}x{8 * size}"
    plain = _read_back(path, tensors, notes, ())
    notes["modelspec.architecture"] = plain.family.architecture
    marks = tuple(
        mark
        for mark, there in ((VELOCITY_MARK, _marked(plain.family, prediction)), (ZERO_SNR_MARK, zero))
        if there
    )
    single = _read_back(path, tensors, notes, marks)
    sidecar: dict[str, Any] = dict(files.defaults)
    if prediction not in (V, EPSILON):
        sidecar[PREDICTION] = prediction
        single = replace(single, scheduler={**single.scheduler, "prediction_type": prediction})
    rows = [("unet", files.unet.config, single.unet.config, _UNET)]
    if single.vae is not None:
        rows.append(("vae", files.vae.config, single.vae.config, _VAE))
    encoders = [one for one in (files.text_encoder, files.text_encoder_2) if one is not None]
    for mine, derived in zip(encoders, single.texts, strict=True):
        rows.append((derived.name, mine.config, derived.config, _TEXT))
    rows.append(("scheduler", files.scheduler, single.scheduler, _SCHEDULER))
    for name, mine, derived, defaults in rows:
        if changes := _changes(mine, derived, defaults):
            sidecar[name] = changes
    return Said(notes, marks, sidecar)


def _marked(family: Family, prediction: str) -> bool:
    """Tell whether other programs need a mark to see what the model predicts."""
    return prediction == V and family.prediction != V and family is not SD2_V


def _read_back(
    path: Path,
    tensors: Mapping[str, tuple[str, tuple[int, ...]]],
    notes: Mapping[str, str],
    marks: tuple[str, ...],
) -> SingleFile:
    held = {name: Tensor(dtype, shape, 0, 0) for name, (dtype, shape) in tensors.items()}
    held |= {mark: Tensor("F32", (0,), 0, 0) for mark in marks}
    return single_of(Header(notes, held, 0, 0), path, Sidecar())


def _changes(
    mine: Mapping[str, Any], derived: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a configuration says otherwise than the one that was derived."""
    changes: dict[str, Any] = {}
    for key, default in defaults.items():
        said = mine.get(key, default)
        if not _same(said, derived.get(key, default)):
            changes[key] = said
    return changes


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values mean the same: a number stands for a list of it."""
    if isinstance(one, list) != isinstance(other, list):
        many, single = (one, other) if isinstance(one, list) else (other, one)
        return bool(many) and all(value == single for value in many)
    return one == other

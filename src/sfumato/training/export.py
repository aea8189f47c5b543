"""From a finished run to the folder people load: a diffusers pipeline in float16 safetensors, complete or
not there at all."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import diffusers
from diffusers import AutoencoderKL, ModelMixin, UNet2DConditionModel
from transformers import CLIPTextModel, PreTrainedModel

from sfumato.training.card import model_card

INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `folder` when the block ends well, and is removed when it
    does not. Killed at any moment, `folder` is the old one, the new one, or (between two renames) not
    there."""
    draft, old = folder.with_name(f".{folder.name}.draft"), folder.with_name(f".{folder.name}.old")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        yield draft
        for path in sorted(draft.rglob("*")):
            if path.is_file():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def export_pipeline(
    folder: Path,
    *,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: Path,
    scheduler: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> None:
    """Write `folder` so that both Sfumato and `diffusers.StableDiffusionPipeline.from_pretrained` load it.

    `tokenizer` is a folder to copy, `scheduler` the scheduler_config.json, `defaults` what Sfumato draws
    with when nothing is asked for (`sfumato.json`). The networks are written as float16 and left as they
    are. A model card, `README.md`, says what the model is.
    """
    networks = {"unet": unet, "vae": vae, "text_encoder": text_encoder}
    with replacing(folder) as draft:
        for name, network in networks.items():
            save_network(deepcopy(network).half(), draft / name)
        _load_as_float32(draft / "text_encoder" / "config.json")
        shutil.copytree(tokenizer, draft / "tokenizer")
        version = {"_diffusers_version": diffusers.__version__}
        write_json(draft / "scheduler" / "scheduler_config.json", {**scheduler, **version})
        write_json(draft / "model_index.json", {**INDEX, **version})
        write_json(draft / "sfumato.json", defaults)
        parts = {
            name: (type(network).__name__, sum(parameter.numel() for parameter in network.parameters()))
            for name, network in networks.items()
        }
        tokens = text_encoder.config.max_position_embeddings
        card = model_card(parts, scheduler, defaults, tokens)
        (draft / "README.md").write_text(card, encoding="utf-8")


def save_network(network: ModelMixin | PreTrainedModel, folder: Path) -> None:
    """Write a network of diffusers or transformers into `folder`: its weights as safetensors, its
    configuration without the name of the folder it was once loaded from, which is nobody else's business.
    """
    network.save_pretrained(folder, safe_serialization=True)
    path = folder / "config.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {key: value for key, value in data.items() if key != "_name_or_path"})


def _load_as_float32(config: Path) -> None:
    # transformers loads a network as its config says, diffusers as float32 unless told otherwise: in a
    # folder that says float16 the two would not fit together.
    data = json.loads(config.read_text(encoding="utf-8"))
    kept = {key: value for key, value in data.items() if key != "torch_dtype"}
    write_json(config, {**kept, "dtype": "float32"})


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write `data` as indented JSON into `path`, whose folder is made when it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

"""What a UNet is told beside picture, time and text, read off the configurations of a model."""

from pathlib import Path
from typing import Final

from sfumato.models.files import PROJECTING, ModelFiles
from sfumato.models.network_files import Config, damaged
from sfumato.recipe.micro import Told

SIZES: Final = "text_time"  # diffusers' name of a UNet that is told a pooled text and sizes
EACH: Final = "addition_time_embed_dim"
ALL: Final = "projection_class_embeddings_input_dim"
NUMBERS: Final = 6  # original size, crop and target size; a score in the place of the last is one fewer


def told(files: ModelFiles) -> Told:
    """Return what the UNet of a checked folder is told. Raises ModelFileError where its parts disagree."""
    unet, path = files.unet.config, files.unet.described
    guidance = _embedded(unet.get("time_cond_proj_dim"), path)
    if unet.get("addition_embed_type") is None:
        return Told(guidance=guidance)
    kind = unet["addition_embed_type"]
    if kind != SIZES:
        raise damaged(path, f"asks for more than a text (addition_embed_type {kind!r})")
    last = files.text_encoder if files.text_encoder_2 is None else files.text_encoder_2
    if last.class_name != PROJECTING:
        raise damaged(path, f"asks for a pooled text, and model_index.json names no {PROJECTING}")
    pooled = last.config.get("projection_dim", 512)
    size, whole = (_count(unet, key, path) for key in (EACH, ALL))
    for numbers in (NUMBERS, NUMBERS - 1):
        if pooled + numbers * size == whole:
            return Told(sizes=True, score=numbers < NUMBERS, guidance=guidance)
    what = f"it takes {whole} numbers, not {pooled} and {NUMBERS} or {NUMBERS - 1} times {size}"
    raise damaged(path, f"disagrees with {last.name}/config.json: {what}")


def _count(unet: Config, key: str, path: Path) -> int:
    value = unet.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise damaged(path, f"holds no usable {key} ({value!r})")
    return value


def _embedded(size: object, path: Path) -> bool:
    if size is None:
        return False
    if not isinstance(size, int) or isinstance(size, bool) or size < 4:  # sines and cosines of two and more
        raise damaged(path, f"holds no usable time_cond_proj_dim ({size!r})")
    return True

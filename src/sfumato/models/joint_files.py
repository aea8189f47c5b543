"""Models whose network is a transformer that attends to picture and text together (MMDiT, Esser et al. 2024,
arXiv 2403.03206, Section 4): Stable Diffusion 3 and 3.5, told from the others by their files and checked.

Such a folder has a `transformer` in the place of the `unet`, and a third text encoder, T5, which may be left
out (Section 5.3.2 of the paper).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sfumato.errors import ModelFileError
from sfumato.models.network_files import Config, NetworkFiles, damaged, find_network, read_json

TRANSFORMER: Final = "SD3Transformer2DModel"
T5: Final = "T5EncoderModel"
PROJECTING: Final = "CLIPTextModelWithProjection"
THIRD: Final = "text_encoder_3"
NUMBER: Final = 2  # of this text encoder, for the backend
PIECES: Final = "tokenizer_3/tokenizer.json"
SENTENCEPIECE: Final = "tokenizer_3/spiece.model"

# What diffusers takes where a configuration is silent.
DEFAULTS: Final[Config] = {
    "in_channels": 16,
    "patch_size": 2,
    "pos_embed_max_size": 96,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 2048,
    "num_attention_heads": 18,
    "attention_head_dim": 64,
    "num_layers": 18,
}


def is_transformer(network: NetworkFiles) -> bool:
    """Tell whether `network` is a transformer in the place of a UNet."""
    return network.class_name == TRANSFORMER


def setting(network: NetworkFiles, key: str) -> int:
    """Return a number of a transformer's configuration, a key of `DEFAULTS`. Raises ModelFileError."""
    value: Any = network.config.get(key, DEFAULTS[key])
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise damaged(network.described, f"holds no usable {key} ({value!r})")
    return value


def find_third(folder: Path, index: Config) -> tuple[NetworkFiles | None, Path | None]:
    """Return the third text encoder of a folder and the file of its tokenizer; None for both where
    `model_index.json` has none. Raises ModelFileError.
    """
    entry = index.get(THIRD)
    name = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
    if name is None:
        return None, None
    if name != T5:
        raise damaged(folder / "model_index.json", f"names {name} as its {THIRD}, which is not supported")
    pieces = folder / PIECES
    if not pieces.is_file() and (folder / SENTENCEPIECE).is_file():
        raise ModelFileError(
            "tokenizer_3 holds spiece.model alone, which is not read",
            field="model",
            value=str(folder),
            hint="Copy tokenizer_3/tokenizer.json of another Stable Diffusion 3 into it: they are the same.",
        )
    read_json(folder, PIECES)
    return find_network(folder / THIRD, read_json(folder, f"{THIRD}/config.json"), "model", T5), pieces


def check_joint(
    network: NetworkFiles, vae: NetworkFiles, texts: Sequence[NetworkFiles | None], folder: Path
) -> None:
    """Refuse parts of a model with a transformer, its `network`, that do not fit together; `texts` are the
    three text encoders. Raises ModelFileError.
    """
    taken = setting(network, "in_channels")
    if taken != vae.config.get("latent_channels", 4) or network.config.get("out_channels", 16) not in (
        taken,
        None,
    ):
        raise damaged(network.described, "disagrees with vae/config.json on channels")
    first, second, third = texts
    if first is None or second is None or first.class_name != PROJECTING:
        what = f"must name {PROJECTING} as text_encoder and as text_encoder_2"
        raise damaged(folder / "model_index.json", what)
    pooled = [_width(one, "projection_dim") for one in (first, second)]
    wanted = setting(network, "pooled_projection_dim")
    if sum(pooled) != wanted:
        what = f"takes a pooled text of {wanted} numbers, not {sum(pooled)}"
        raise damaged(network.described, what)
    width = setting(network, "joint_attention_dim")
    widths = [_width(one, "hidden_size") for one in (first, second)]
    if sum(widths) > width:
        raise damaged(network.described, f"attends to {width} numbers, not to {sum(widths)}")
    if third is not None and third.config.get("d_model", 512) != width:
        what = f"attends to {width} numbers, and {THIRD}/config.json has {third.config.get('d_model', 512)}"
        raise damaged(network.described, what)


def _width(encoder: NetworkFiles, key: str) -> int:
    value: Any = encoder.config.get(key, 512)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise damaged(encoder.described, f"holds no usable {key} ({value!r})")
    return value


def largest_side(network: NetworkFiles) -> int:
    """Return how many latents a side may have: the transformer knows so many places."""
    return setting(network, "pos_embed_max_size") * setting(network, "patch_size")


def tokenizer_files(pieces: Path | None) -> tuple[Path, ...]:
    """Return the files of the third tokenizer, whose main one is `pieces`."""
    if pieces is None:
        return ()
    names = pieces.name, "tokenizer_config.json", "special_tokens_map.json", "spiece.model"
    return tuple(path for name in names if (path := pieces.parent / name).is_file())


def check_unet(network: NetworkFiles) -> None:
    """Refuse a transformer where a UNet is written in the original layout. Raises ModelFileError."""
    if is_transformer(network):
        raise ModelFileError(
            "Stable Diffusion 3 is not written as a single file",
            field="model",
            value=str(network.weights.parent.parent),
            hint="Convert it to a folder; --dtype changes how its weights are stored.",
        )

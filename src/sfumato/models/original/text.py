"""Text encoders in original files, read from the names and shapes of their tensors: CLIP's as transformers
has it, and open_clip's.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from sfumato.models.names import current_name
from sfumato.models.original.names import PACKED, inverse, open_clip_modules, rename
from sfumato.models.original.parts import Source, numbered, refused, sides
from sfumato.models.stored import Rows, Stored

HEAD: Final = 64  # channels of an attention head of every published encoder
MAX_LAYERS: Final = 64
#: Stable Diffusion 2 looks at what the layer before the last says; of the 24 of its encoder, published files
#: have all, and folders have 23.
WHOLE, USED = 24, 23
PROJECTION: Final = "text_projection"
POSITIONS: Final = "positional_embedding"
_TABLES: Final = ("embeddings.token_embedding.weight", "embeddings.position_embedding.weight")


@dataclass(frozen=True)
class TextStructure:
    """A CLIP text encoder as its weights show it: `width` of what it says of a token, transformer `layers`
    and the `inner` width of their networks, rows of its tables of `tokens` and `positions`; `projected` is
    the width of the pooled text (None without). `packed`: by open_clip, which has another activation.
    """

    width: int
    layers: int
    inner: int
    tokens: int
    positions: int
    projected: int | None
    packed: bool

    def config(self, class_name: str, projection: int | None = None) -> dict[str, Any]:
        """Return what a transformers `config.json` says of it; `projection` where weights decide none."""
        return {
            "architectures": [class_name],
            "attention_dropout": 0.0,
            "bos_token_id": 0,
            "dropout": 0.0,
            # What every published folder says; transformers takes it for "the token with the highest number".
            "eos_token_id": 2,
            "hidden_act": "gelu" if self.packed else "quick_gelu",
            "hidden_size": self.width,
            "initializer_factor": 1.0,
            "initializer_range": 0.02,
            "intermediate_size": self.inner,
            "layer_norm_eps": 1e-05,
            "max_position_embeddings": self.positions,
            "model_type": "clip_text_model",
            "num_attention_heads": self.width // HEAD,
            "num_hidden_layers": self.layers,
            "pad_token_id": 1,
            "projection_dim": self.projected or projection or self.width,
            "vocab_size": self.tokens,
        }


def clip_text(source: Source) -> tuple[TextStructure, dict[str, Stored]]:
    """Return the encoder of `source` as transformers has it, and where each of its tensors lies, by its name
    in today's transformers; strangers are left out. Raises ModelFileError.
    """
    known = {current_name(key): key for key in source.shapes}
    layers = numbered(known, "encoder.layers.{}.layer_norm1.weight", MAX_LAYERS)
    names = {
        name: source.stored(key)
        for name, key in known.items()
        if name in _TABLES or name.startswith(("final_layer_norm.", *_layer_names(layers)))
    }

    def table(name: str) -> tuple[int, ...]:
        if name not in known:
            raise refused(source.path, f"its text encoder has no {name}")
        return source.shape(known[name], 2)

    tokens, width = table(_TABLES[0])
    inner = table("encoder.layers.0.mlp.fc1.weight")[0]
    _check_width(source, width)
    return TextStructure(width, layers, inner, tokens, table(_TABLES[1])[0], None, packed=False), names


def open_clip_text(source: Source, *, projecting: bool) -> tuple[TextStructure, dict[str, Stored]]:
    """Return the encoder of `source` as open_clip has it, and where each of its tensors lies, by its name in
    today's transformers; strangers are left out. Raises ModelFileError.

    `projecting`: with the matrix that makes a pooled text; without, the last of `WHOLE` layers is left out.
    """
    layers = numbered(source.shapes, "transformer.resblocks.{}.ln_1.weight", MAX_LAYERS)
    used = USED if layers == WHOLE and not projecting else layers
    stored = {
        name: source.stored(key)
        for key, name in rename(source.shapes, inverse(open_clip_modules(used))).items()
    }
    tokens, width = source.shape("token_embedding.weight", 2)
    positions = source.shape(POSITIONS, 2)[0]
    stored[_TABLES[1]] = source.stored(POSITIONS)
    for number in range(used):
        ours = f"encoder.layers.{number}.self_attn"
        for kind, size in (("weight", 2), ("bias", 1)):
            key = f"transformer.resblocks.{number}.attn.in_proj_{kind}"
            if (rows := source.shape(key, size)[0]) != 3 * width:
                raise refused(source.path, f"its {source.prefix}{key} has {rows} rows, not {3 * width}")
            for at, part in enumerate(PACKED):
                rows = Rows(at * width, (at + 1) * width)
                stored[f"{ours}.{part}.{kind}"] = replace(source.stored(key), change=rows)
    projected = None
    if projecting:
        projected, (key, placed) = _projection(source)
        stored[f"{PROJECTION}.weight"] = placed
        if source.shapes[key][0 if placed.change else 1] != width:
            raise refused(source.path, f"its {source.prefix}{key} is {sides(source.shapes[key])}")
    inner = source.shape("transformer.resblocks.0.mlp.c_fc.weight", 2)[0]
    _check_width(source, width)
    return TextStructure(width, used, inner, tokens, positions, projected, packed=True), stored


def _projection(source: Source) -> tuple[int, tuple[str, Stored]]:
    """Return the width of the pooled text, and what makes it: columns in open_clip, rows in transformers."""
    if (linear := f"{PROJECTION}.weight") in source.shapes:
        return source.shape(linear, 2)[0], (linear, source.stored(linear))
    width = source.shape(PROJECTION, 2)[1]
    return width, (PROJECTION, replace(source.stored(PROJECTION), change="transposed"))


def _layer_names(layers: int) -> tuple[str, ...]:
    return tuple(f"encoder.layers.{number}." for number in range(layers))


def _check_width(source: Source, width: int) -> None:
    if width % HEAD:
        raise refused(source.path, f"its text encoder is {width} wide, which is no multiple of {HEAD}")

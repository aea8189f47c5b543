"""Textual inversion (Gal et al. 2022, arXiv 2208.01618): new words, each one or several rows of the table of
tokens.

Files hold `emb_params` (A1111), one tensor under a name of its own (diffusers), or, for Stable Diffusion XL,
a tensor for each text encoder.
"""

from collections.abc import Mapping
from typing import Final

from sfumato.errors import shown
from sfumato.models.adapters.changes import TOKENS
from sfumato.models.adapters.kinds import Floats, Shape
from sfumato.models.adapters.reading import AdapterFile
from sfumato.models.adapters.target import Target

MAX_VECTORS: Final = 75  # what fits into one chunk of Stable Diffusion's prompts
_BY_ENCODER: Final[Mapping[str, str]] = {
    "clip_l": "text_encoder",
    "text_encoders_0": "text_encoder",
    "clip_g": "text_encoder_2",
    "text_encoders_1": "text_encoder_2",
}
_ONE_ENCODER: Final = "text_encoder"


def keys_of(file: AdapterFile, target: Target, model: str) -> dict[str, str]:
    """Return the tensor for each text encoder of a model, by the encoder's name; nothing is read.

    Raises ModelFileError for a file that is no embedding, or none for this model.
    """
    widths = {network: table[TOKENS][1] for network, table in target.shapes.items() if TOKENS in table}
    found = _keys(file)
    lacking = [network for network in widths if network not in found]
    if lacking and len(widths) == 1 == len(found) and _ONE_ENCODER in found:
        found, lacking = {lacking[0]: found[_ONE_ENCODER]}, []  # the one encoder of a refiner
    for network, width in widths.items():
        key = found.get(network)
        if key is None:
            raise _stranger(file, model, f"it has nothing for {network}")
        shape = _rows(file.shapes[key])
        if shape is None or not 1 <= shape[0] <= MAX_VECTORS:
            sides = "x".join(map(str, file.shapes[key]))
            raise file.damaged(f"holds {shown(key)} with shape {sides}, where 1 to {MAX_VECTORS} rows belong")
        if shape[1] != width:
            raise _stranger(file, model, f"its words have {shape[1]} numbers, and {network} takes {width}")
    numbers = {_rows(file.shapes[found[network]])[0] for network in widths}  # pyright: ignore[reportOptionalSubscript] - checked above
    if len(numbers) > 1:
        raise file.damaged(f"holds different numbers of rows for its text encoders ({sorted(numbers)})")
    return {network: found[network] for network in widths}


def read_words(file: AdapterFile, target: Target, model: str) -> dict[str, Floats]:
    """Return the rows `(n,D)` for each text encoder of a model. Raises as `keys_of` does, and ModelFileError
    for numbers that are not finite.
    """
    keys = keys_of(file, target, model)
    return {network: file.array(key).reshape(-1, file.shapes[key][-1]) for network, key in keys.items()}


def _keys(file: AdapterFile) -> dict[str, str]:
    known = {network: key for key, network in _BY_ENCODER.items() if key in file.shapes}
    if known:
        return known
    if "emb_params" in file.shapes:
        return {_ONE_ENCODER: "emb_params"}
    if len(file.shapes) == 1:
        return {_ONE_ENCODER: next(iter(file.shapes))}
    some = shown(next(iter(file.shapes)))
    raise file.damaged(
        f"is no embedding: it holds {len(file.shapes)} tensors, {some} for example",
        "An embedding holds emb_params, one tensor, or clip_l and clip_g.",
    )


def _rows(shape: Shape) -> tuple[int, int] | None:
    if len(shape) == 1:
        return 1, shape[0]
    return (shape[0], shape[1]) if len(shape) == 2 else None


def _stranger(file: AdapterFile, model: str, why: str) -> Exception:
    return file.damaged(
        f"does not fit the model {model}: {why}", "Use an embedding that was made for a model of this family."
    )

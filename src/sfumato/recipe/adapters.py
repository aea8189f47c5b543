"""Adapters in a recipe: LoRA files and their weights, and embeddings, words of their own.

In prompts they are written as A1111 writes them: `<lora:NAME>`, `<lora:NAME:0.8>`, or
`<lora:NAME:TEXT:UNET>` with a weight for the text encoder and one for the UNet; `te=`, `unet=` and `lbw=`
(weights of blocks) may stand behind. Such a mark is no part of the prompt; resolving takes it out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, Strict, model_validator

from sfumato.errors import RecipeError
from sfumato.recipe.values import FROZEN, Name, Sha256

MAX_ADAPTERS: Final = 64
MAX_STRENGTH: Final = 10.0
MAX_BLOCKS: Final = 64

_BLOCK: Final = re.compile(r"BASE|MID|(?:IN|OUT)[0-9]{2}")
_DIGITS: Final = re.compile(r"[0-9a-f]{8,64}")
_MARK: Final = re.compile(r"<(?:lora|lyco):([^<>\n]{1,4000})>", re.IGNORECASE)
_OPENING: Final = re.compile(r"<(?=(?:lora|lyco):)", re.IGNORECASE)
_NUMBERED: Final = "IN{:02}", "OUT{:02}"


def _range(form: str, numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(form.format(number) for number in numbers)


#: What the numbers of a list of block weights belong to, by how many there are: those that attend in Stable
#: Diffusion 1 (17) and XL (12), all of 1 (26) and of XL (20).
BLOCK_LISTS: Final[Mapping[int, tuple[str, ...]]] = {
    17: ("BASE", *_range("IN{:02}", (1, 2, 4, 5, 7, 8)), "MID", *_range("OUT{:02}", range(3, 12))),
    12: ("BASE", *_range("IN{:02}", (4, 5, 7, 8)), "MID", *_range("OUT{:02}", range(6))),
    26: ("BASE", *_range("IN{:02}", range(12)), "MID", *_range("OUT{:02}", range(12))),
    20: ("BASE", *_range("IN{:02}", range(9)), "MID", *_range("OUT{:02}", range(9))),
}


def _unsigned_zero(value: float) -> float:
    return value + 0.0


def _by_block(value: object) -> object:
    """Return weights of blocks by name: from a list, or with names in capitals."""
    if isinstance(value, list | tuple):
        numbers = cast(Sequence[object], value)
        names = BLOCK_LISTS.get(len(numbers))
        if names is None:
            known = ", ".join(map(str, sorted(BLOCK_LISTS)))
            raise ValueError(f"a list of block weights has {known} numbers, not {len(numbers)}")
        return dict(zip(names, numbers, strict=True))
    if isinstance(value, dict):
        table = cast(dict[object, object], value)
        return {_block_name(name): number for name, number in table.items()}
    return value


def _block_name(name: object) -> object:
    return {"M00": "MID"}.get(name.upper(), name.upper()) if isinstance(name, str) else name


def _known_blocks(blocks: dict[str, float]) -> dict[str, float]:
    for name in blocks:
        if _BLOCK.fullmatch(name) is None:
            raise ValueError(f"no block is called {name!r}; there are BASE, IN00, ..., MID and OUT00, ...")
    return {name: blocks[name] for name in sorted(blocks) if blocks[name] != 1.0}


def _digits(value: str) -> str:
    if _DIGITS.fullmatch(value) is None:
        raise ValueError("must be the first digits of a sha256, 8 or more")
    return value


Strength = Annotated[
    float, Strict(), Field(ge=-MAX_STRENGTH, le=MAX_STRENGTH), AfterValidator(_unsigned_zero)
]
Blocks = Annotated[
    dict[str, Strength],
    Field(max_length=MAX_BLOCKS),
    BeforeValidator(_by_block, json_schema_input_type=dict[str, float] | list[float]),
    AfterValidator(_known_blocks),
]
Digits = Annotated[str, Strict(), AfterValidator(_digits)]


class Adapter(BaseModel):
    """A LoRA or one of its relatives, by the name of its file, or by a path.

    `weight` in [-10, 10] is how strongly it acts on the UNet, and on the text encoders unless these have
    their own, `text_weight`. `blocks` multiplies it in blocks of the UNet: a table by name (BASE, IN00 to
    IN11, MID, OUT00 to OUT11; BASE is all that lies in none), or a list of 12, 17, 20 or 26 numbers, as they
    are known. With a `digest`, the first digits of its sha256 or of the hash that A1111 writes, the file that
    has it is taken, whatever it is called.
    """

    model_config = FROZEN

    name: Name
    weight: Strength = 1.0
    text_weight: Strength | None = None
    blocks: Blocks | None = None
    digest: Digits | None = None


class Embedding(BaseModel):
    """A word that was learnt (textual inversion), by the name of its file: where it stands in a prompt, alone
    or as <NAME>, it means what the file says.
    """

    model_config = FROZEN

    name: Name
    digest: Digits | None = None


class AdaptersPart(BaseModel):
    """Adapters that are laid over the model, in this order, and embeddings. Those whose names stand in a
    prompt need not be listed.
    """

    model_config = FROZEN

    kind: Literal["adapters"] = "adapters"
    adapters: Annotated[tuple[Adapter, ...], Field(max_length=MAX_ADAPTERS)] = ()
    embeddings: Annotated[tuple[Embedding, ...], Field(max_length=MAX_ADAPTERS)] = ()


class ResolvedAdapter(BaseModel):
    """`Adapter` with nothing left open: `digest` is the sha256 of its file, `hash` what A1111 calls it."""

    model_config = FROZEN

    name: Name
    digest: Sha256
    hash: Digits
    weight: Strength
    text_weight: Strength
    blocks: Annotated[Blocks, Field(exclude_if=lambda value: not value)] = {}


class ResolvedEmbedding(BaseModel):
    """`Embedding` with nothing left open."""

    model_config = FROZEN

    name: Name
    digest: Sha256
    hash: Digits


class ResolvedAdapters(BaseModel):
    """`AdaptersPart` with nothing left open."""

    model_config = FROZEN

    kind: Literal["adapters"] = "adapters"
    adapters: Annotated[tuple[ResolvedAdapter, ...], Field(max_length=MAX_ADAPTERS)] = ()
    embeddings: Annotated[tuple[ResolvedEmbedding, ...], Field(max_length=MAX_ADAPTERS)] = ()

    @model_validator(mode="after")
    def _something(self) -> "ResolvedAdapters":
        if not self.adapters and not self.embeddings:
            raise ValueError("resolved adapters are at least one adapter or embedding")
        return self


def asked_adapters(part: ResolvedAdapters) -> AdaptersPart:
    """Return the part that asks for exactly these."""
    return AdaptersPart(
        adapters=tuple(
            Adapter(
                name=one.name,
                weight=one.weight,
                text_weight=None if one.text_weight == one.weight else one.text_weight,
                blocks=one.blocks or None,
                digest=one.digest,
            )
            for one in part.adapters
        ),
        embeddings=tuple(Embedding(name=one.name, digest=one.digest) for one in part.embeddings),
    )


def has_marks(text: str) -> bool:
    """Tell whether a prompt names adapters."""
    return _OPENING.search(text) is not None and _MARK.search(text) is not None


def taken_out(text: str) -> tuple[str, tuple[Adapter, ...]]:
    """Return a prompt without the adapters it names, and these. Raises RecipeError for one that cannot be
    read.
    """
    if not has_marks(text):
        return text, ()
    found = tuple(read_mark(match[1]) for match in _MARK.finditer(text))
    left = _MARK.sub("", text).strip()
    # What falls together to a mark only now is a text about one.
    return (_OPENING.sub("< ", left) if _MARK.search(left) else left), found


def read_mark(written: str, field: str = "prompt") -> Adapter:
    """Return the adapter that `NAME:0.8:lbw=...` stands for. Raises RecipeError naming `field`."""
    name, *values = written.split(":")
    numbers: list[float] = []
    named: dict[str, Any] = {}
    for value in values:
        key, equals, rest = value.partition("=")
        key = key.strip().lower()
        if not equals:
            numbers.append(_number(value, written, field))
        elif key in ("te", "unet"):
            named[key] = _number(rest, written, field)
        elif key == "lbw":
            named[key] = [_number(one, written, field) for one in rest.split(",")]
        else:
            raise _unreadable(written, field, f"{key} is not known")
    if not name.strip() or len(numbers) > 2:
        raise _unreadable(written, field, "it is a name and at most two weights")
    text = named.get("te", numbers[0] if numbers else 1.0)
    unet = named.get("unet", numbers[1] if len(numbers) > 1 else text)
    try:
        return Adapter(
            name=name.strip(),
            weight=unet,
            text_weight=None if text == unet else text,
            blocks=named.get("lbw"),
        )
    except ValueError as error:  # pydantic's: out of range, or a list of another length
        first = str(error).splitlines()
        raise _unreadable(written, field, first[2].strip() if len(first) > 2 else first[0]) from None


def mark(one: ResolvedAdapter) -> str | None:
    """Return how an adapter is written in a prompt; None for a name that cannot be."""
    if set(":<>\n") & set(one.name):
        return None
    weights = f"{one.text_weight:g}"
    if one.weight != one.text_weight:
        weights += f":{one.weight:g}"
    return f"<lora:{one.name}:{weights}>"


def words_of(text: str, names: Iterable[str]) -> list[str]:
    """Return which of `names` stand in a prompt as a word."""
    folded = {name.casefold(): name for name in names}
    if not folded:
        return []
    pattern = word_pattern(folded.values())
    found = dict.fromkeys(folded[match[1].casefold()] for match in pattern.finditer(_MARK.sub(" ", text)))
    return [name for name in folded.values() if name in found]


def word_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """Return what finds one of `names`, alone or as <NAME>, in a text: its first group. Longer names go
    first, and no name is found within a word.
    """
    longest = sorted(names, key=lambda name: (-len(name), name))
    either = "|".join(map(re.escape, longest))
    return re.compile(rf"(?<!\w)<?(?<!\w)({either})(?!\w)>?", re.IGNORECASE)


def _number(text: str, written: str, field: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _unreadable(written, field, f"{text.strip()!r} is no number") from None


def _unreadable(written: str, field: str, why: str) -> RecipeError:
    hint = "Write it as <lora:NAME:0.8>." if field == "prompt" else f"Write it as --{field} NAME:0.8."
    return RecipeError(f"an adapter cannot be read: {why}", field=field, value=written, hint=hint)

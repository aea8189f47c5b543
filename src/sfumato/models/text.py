"""From words to what the UNet attends to: byte-pair tokens, chunks, weights.

The tokenizer is CLIP's (Radford et al. 2021): NFC, lower case, byte-level byte pairs with an end-of-word
mark. Prompts longer than the encoder are cut into chunks that are encoded one by one and laid side by side
along the token axis, and word weights scale the encoded tokens, as AUTOMATIC1111's web UI does, so that
prompts written for it mean the same here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from sfumato.errors import ModelFileError
from sfumato.models.backends.base import Array, Backend
from sfumato.models.files import ModelFiles
from sfumato.models.network_files import Config, NetworkFiles, damaged, read_json
from sfumato.models.vocabulary import CLIP_MERGES, clip_byte_pairs
from sfumato.recipe.adapters import word_pattern
from sfumato.recipe.prompt import Prompt
from sfumato.samplers.arrays import array_namespace

MAX_CHUNKS = 8  # 600 tokens for Stable Diffusion; attention over more costs much and says little
MIN_MEAN = 0.01  # the least mean, beside the root mean square, that says something about an encoder
BACKTRACK = 20  # tokens that a full chunk gives back at most to end at a comma
BLOCK = 4096  # characters tokenised at a time, so that a megabyte stops once its chunks are full

_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_BLOCK_END = re.compile(r"\s")


@dataclass(frozen=True, eq=False)
class TextTokenizer:
    """CLIP byte pairs. `max_length` counts the start and end tokens that every chunk carries. `words` have
    tokens of their own, beyond the byte pairs: embeddings, by name in small letters.
    """

    bpe: Tokenizer
    start: int
    end: int
    pad: int
    max_length: int
    words: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])

    @classmethod
    def load(cls, files: ModelFiles) -> "TextTokenizer":
        """Build the tokenizer of a checked model folder; raises ModelFileError when its files do not fit."""
        longest = files.text_encoder.config.get("max_position_embeddings", 77)
        tokenizer = cls.read(files.vocab, files.merges, files.tokenizer, longest)
        within_vocabulary(tokenizer, files.vocab, files.text_encoder)
        return tokenizer

    @classmethod
    def read(cls, vocab: Path, merges: Path | None, config: Config, longest: object) -> "TextTokenizer":
        """Build a tokenizer from its files (`ModelFiles` says which) and its `tokenizer_config.json`.

        `longest` is the greatest length the text encoder takes. Raises ModelFileError.
        """
        bpe = _read_byte_pairs(vocab, merges)

        def special(key: str, default: str) -> int:
            text = _content(config.get(key, default))
            token = bpe.token_to_id(text)
            if token is None:
                raise damaged(vocab, f"does not hold the {key} {text!r}")
            return token

        length = config.get("model_max_length", longest)
        if not isinstance(longest, int) or not isinstance(length, int | float) or min(longest, length) < 3:
            path = vocab.parent / "tokenizer_config.json"
            raise damaged(path, f"and the text encoder allow no text (model_max_length {length!r})")
        return cls(
            bpe=bpe,
            start=special("bos_token", "<|startoftext|>"),
            end=special("eos_token", "<|endoftext|>"),
            pad=special("pad_token", "<|endoftext|>"),
            max_length=int(min(longest, length)),
        )

    def tokens(self, text: str) -> Iterator[int]:
        """Yield the token ids of `text`, without start, end or padding. Never raises, whatever the text."""
        if not self.words:
            yield from self._byte_pairs(text)
            return
        position = 0
        for match in word_pattern(self.words).finditer(text):
            ids = self.words.get(match[1].casefold())
            if ids is not None:  # letters that only look alike in capitals
                yield from self._byte_pairs(text[position : match.start()])
                yield from ids
                position = match.end()
        yield from self._byte_pairs(text[position:])

    def _byte_pairs(self, text: str) -> Iterator[int]:
        # A lone surrogate has no UTF-8; it becomes a question mark, as it would on the way to any file.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        position = 0
        while position < len(clean):
            # Cut at white space, which no token crosses, or inside a word without end: byte pairs are slow
            # there.
            stop = position + 2 * BLOCK
            space = _BLOCK_END.search(clean, position + BLOCK, stop)
            stop = stop if space is None else space.start()
            yield from self.bpe.encode(clean[position:stop], add_special_tokens=False).ids
            position = stop


def _read_byte_pairs(vocab: Path, merges: Path | None) -> Tokenizer:
    """Return the tokenizer of `vocab.json` and `merges.txt`, or of a `tokenizer.json` (`merges` None), or
    CLIP's own, which came along (`vocab` is `CLIP_MERGES`).

    Of a `tokenizer.json` only the byte pairs are taken: words are cut as CLIP does, whatever it says. Raises
    ModelFileError for files that make no tokenizer.
    """
    marks = {"unk_token": "<|endoftext|>", "end_of_word_suffix": "</w>"}
    try:
        if vocab == CLIP_MERGES:
            return clip_words(Tokenizer(BPE(*clip_byte_pairs(), **marks)))
        if merges is not None:
            return clip_words(Tokenizer(BPE.from_file(str(vocab), str(merges), **marks)))
        whole = read_json(vocab.parent, vocab.name)
        added = {token["content"]: token["id"] for token in whole.get("added_tokens", [])}
        rows = [row.split(" ") if isinstance(row, str) else row for row in whole["model"]["merges"]]
        pairs = [(str(left), str(right)) for left, right in rows]
        return clip_words(Tokenizer(BPE({**added, **whole["model"]["vocab"]}, pairs, **marks)))
    except ModelFileError:
        raise
    except Exception as error:  # tokenizers raises bare Exceptions
        beside = "makes" if merges is None else f"and {merges.name} make"
        raise damaged(vocab, f"{beside} no tokenizer ({error})") from error


def clip_words(bpe: Tokenizer) -> Tokenizer:
    """Return `bpe`, now cutting text into words and bytes as CLIP does; for loading and for training it."""
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([words, bytewise])
    return bpe


@dataclass(frozen=True, eq=False)
class Tokens:
    """A tokenised prompt: `ids (n,T)` int64 and `weights (n,T)` float32, one row per chunk.

    `truncated` tells that the prompt had more than fits `MAX_CHUNKS`.
    """

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    truncated: bool


def tokenise(tokenizer: TextTokenizer, prompt: Prompt) -> Tokens:
    """Cut `prompt` (parts separated by BREAK, each of weighted texts) into chunks; at least one chunk.

    Each part begins a new chunk. A chunk that is full ends after its last comma when that is among its last
    `BACKTRACK` tokens, and what followed the comma begins the next chunk. Start, end and padding have weight
    one.
    """
    room = tokenizer.max_length - 2
    comma = tokenizer.bpe.token_to_id(",</w>")
    chunks: list[list[tuple[int, float]]] = []
    truncated = False
    for part in prompt:
        pending: list[tuple[int, float]] = []
        for item in _weighted(tokenizer, part):
            if len(pending) == room:
                cut = room if item[0] == comma else _cut(pending, comma)
                chunks.append(pending[:cut])
                pending = pending[cut:]
                if len(chunks) == MAX_CHUNKS:
                    break
            pending.append(item)
        if len(chunks) == MAX_CHUNKS:
            truncated = True
            break
        chunks.append(pending)
    if not chunks:
        chunks.append([])
    ids = np.full((len(chunks), tokenizer.max_length), tokenizer.pad, dtype=np.int64)
    weights = np.ones((len(chunks), tokenizer.max_length), dtype=np.float32)
    ids[:, 0] = tokenizer.start
    for row, chunk in enumerate(chunks):
        ids[row, len(chunk) + 1] = tokenizer.end
        for column, (token, weight) in enumerate(chunk, start=1):
            ids[row, column] = token
            weights[row, column] = weight
    return Tokens(ids, weights, truncated)


def _cut(chunk: Sequence[tuple[int, float]], comma: int | None) -> int:
    """Return how many tokens of a full `chunk` stay in it."""
    for at in range(len(chunk) - 1, max(len(chunk) - BACKTRACK, 0) - 1, -1):
        if chunk[at][0] == comma:
            return at + 1
    return len(chunk)


def encode(backend: Backend, tokens: Tokens, skipped: int = 0) -> Array:
    """Return the context `(1, n*T, D)` of a tokenised prompt of n chunks, with so many of the encoder's last
    layers `skipped`.

    Weights scale the encoded tokens; each chunk is then scaled back to the mean it had, so that emphasis
    moves attention between words and not the whole prompt. A weight of one everywhere changes no bit.
    """
    hidden = weighed(backend, tokens, backend.encode_text(tokens.ids, skipped))
    return hidden.reshape(1, -1, hidden.shape[-1])


def weighed(backend: Backend, tokens: Tokens, hidden: Array) -> Array:
    """Return the hidden states `(n,T,D)` of `tokens` with their weights, see `encode`."""
    if (tokens.weights == 1).all():
        return hidden
    return _restored(hidden * backend.asarray(tokens.weights)[:, :, None], hidden)


def _restored(weighted: Array, hidden: Array) -> Array:
    """Return `weighted (n,T,D)` scaled, chunk by chunk, to the mean that `hidden` has.

    An encoder whose mean is next to nothing beside its size has no mean to restore: the quotient of two
    accidents could be anything. There the size (root mean square) is restored instead. CLIP's mean is a tenth
    of its size.
    """
    xp = array_namespace(hidden)
    over = (1, 2)
    before, after = (xp.mean(one, axis=over, keepdims=True) for one in (hidden, weighted))
    size, size_after = (xp.sqrt(xp.mean(one * one, axis=over, keepdims=True)) for one in (hidden, weighted))
    by_mean = (xp.abs(before) > MIN_MEAN * size) & (xp.abs(after) > MIN_MEAN * size_after)
    one = xp.ones_like(size)
    by_size = xp.where(size_after > 0, size / xp.where(size_after > 0, size_after, one), one)
    return weighted * xp.where(by_mean, before / xp.where(by_mean, after, one), by_size)


def encode_equal_length(
    backend: Backend, tokenizer: TextTokenizer, prompts: Sequence[Tokens], skipped: int = 0
) -> list[Array]:
    """Return the contexts `(1,T,D)` of several prompts, all of one length T.

    Shorter prompts are filled up with chunks of the empty prompt, as the branches of a batch must agree on T.
    """
    longest = max(len(tokens.ids) for tokens in prompts)
    empty = tokenise(tokenizer, ())
    return [encode(backend, filled(tokens, empty, longest), skipped) for tokens in prompts]


def filled(tokens: Tokens, empty: Tokens, length: int) -> Tokens:
    """Return `tokens` filled up to `length` chunks with those of the `empty` prompt."""
    missing = length - len(tokens.ids)
    ids = np.concatenate([tokens.ids, *[empty.ids] * missing])
    weights = np.concatenate([tokens.weights, *[empty.weights] * missing])
    return Tokens(ids, weights, tokens.truncated)


def _weighted(tokenizer: TextTokenizer, part: Sequence[tuple[str, float]]) -> Iterator[tuple[int, float]]:
    for text, weight in part:
        for token in tokenizer.tokens(text):
            yield token, weight


def _content(value: Any) -> str:
    # Written as a plain string, or as the fields of an added token.
    return str(value["content"] if isinstance(value, dict) and "content" in value else value)


def within_vocabulary(tokenizer: TextTokenizer, vocab: Path, encoder: NetworkFiles) -> None:
    """Raise ModelFileError when `tokenizer`, of the file `vocab`, makes tokens that `encoder` lacks."""
    known = encoder.config.get("vocab_size")
    if not isinstance(known, int):
        raise damaged(encoder.described, "holds no vocab_size")
    if max(tokenizer.bpe.get_vocab().values(), default=0) >= known:
        raise damaged(vocab, f"holds tokens the text encoder does not have (it has {known})")

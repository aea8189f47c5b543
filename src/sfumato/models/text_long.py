"""The third text of Stable Diffusion 3: T5's (Raffel et al. 2020, arXiv 1910.10683), which follows the tokens
of CLIP (Esser et al. 2024, arXiv 2403.03206, Section 4 and Figure 2).

CLIP's tokens are as wide as the two encoders together and are padded with zeros to the width of T5's, whose
tokens come behind them. A model without T5 gets zeros there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from tokenizers import Tokenizer

from sfumato.errors import ModelFileError
from sfumato.models.backends.base import Array, Backend
from sfumato.models.files import ModelFiles
from sfumato.models.joint_files import NUMBER, setting
from sfumato.models.network_files import damaged
from sfumato.models.text import Tokens, weighed
from sfumato.recipe.prompt import Prompt
from sfumato.samplers.arrays import array_namespace

LENGTH: Final = 256  # tokens: what diffusers takes, and the models were published with
END: Final = "</s>"
PAD: Final = "<pad>"


@dataclass(frozen=True, eq=False)
class LongText:
    """How T5 reads a prompt: sentence `pieces`, with the tokens that end a text and fill it up. `pieces` is
    None in a model without T5. `width` is what the transformer attends to.
    """

    pieces: Tokenizer | None
    end: int
    pad: int
    width: int

    @classmethod
    def load(cls, files: ModelFiles) -> "LongText":
        """Build it from a checked folder. Raises ModelFileError for a tokenizer that does not fit."""
        width, path = setting(files.unet, "joint_attention_dim"), files.pieces
        if files.text_encoder_3 is None or path is None:
            return cls(None, 0, 0, width)
        pieces = _read(path)
        end, pad = (pieces.token_to_id(mark) for mark in (END, PAD))
        if end is None or pad is None:
            raise damaged(path, f"does not hold {END} and {PAD}")
        known = files.text_encoder_3.config.get("vocab_size", 32128)
        if not isinstance(known, int) or max(pieces.get_vocab().values(), default=0) >= known:
            raise damaged(path, f"holds tokens the text encoder does not have (it has {known})")
        return cls(pieces, end, pad, width)

    def tokenise(self, prompt: Prompt) -> Tokens:
        """Return the tokens `(1, LENGTH)` of a prompt and their weights. Parts between BREAK are one text."""
        assert self.pieces is not None  # a model without T5 has no tokens
        marked = [*_letters(prompt)]
        text = "".join(letter for letter, _ in marked)
        found = self.pieces.encode(text, add_special_tokens=False)
        ids = np.full((1, LENGTH), self.pad, np.int64)
        weights = np.ones((1, LENGTH), np.float32)
        taken = found.ids[: LENGTH - 1]
        ids[0, : len(taken)] = taken
        ids[0, len(taken)] = self.end
        for place, (start, stop) in enumerate(found.offsets[: LENGTH - 1]):
            if stop > start:  # the mark of a word that begins has no letter of its own
                weights[0, place] = marked[stop - 1][1]
        return Tokens(ids, weights, len(found.ids) > len(taken))


def _letters(prompt: Prompt) -> Iterator[tuple[str, float]]:
    """Yield every letter of a prompt and its weight: words are cut in the whole text, whatever is marked."""
    for number, part in enumerate(prompt):
        if number:
            yield " ", 1.0
        for text, weight in part:
            # A lone surrogate has no UTF-8, and the tokenizer takes nothing else.
            for letter in text.encode("utf-8", "replace").decode("utf-8"):
                yield letter, weight


def _read(path: Path) -> Tokenizer:
    try:
        pieces = Tokenizer.from_file(str(path))
        pieces.no_truncation()
        pieces.no_padding()
    except Exception as error:  # tokenizers raises bare Exceptions
        raise damaged(path, f"makes no tokenizer ({error})") from error
    return pieces


def with_long(backend: Backend, long: LongText, prompt: Prompt, context: Array) -> tuple[Array, bool]:
    """Return the context of CLIP `(1,T,D)` with that of T5 behind it, `(1, T + LENGTH, long.width)`, and
    whether T5 left out the end of the prompt.
    """
    xp = array_namespace(context)
    _, length, narrow = context.shape
    if long.width < narrow:
        raise ModelFileError("the text encoders are wider than what the network attends to", field="model")
    padding = backend.asarray(np.zeros((1, length, long.width - narrow), np.float32))
    wide = xp.concat([context, padding], axis=2)
    if long.pieces is None:
        nothing = backend.asarray(np.zeros((1, LENGTH, long.width), np.float32))
        return xp.concat([wide, nothing], axis=1), False
    tokens = long.tokenise(prompt)
    hidden, _ = backend.encode_pooled(tokens.ids, NUMBER)
    return xp.concat([wide, weighed(backend, tokens, hidden)], axis=1), tokens.truncated

"""Which tokens of a prompt make which word."""

import unicodedata
from dataclasses import dataclass
from typing import Final

from tokenizers import decoders

from sfumato.models.text import TextTokenizer, Tokens

END_OF_WORD: Final = "</w>"


@dataclass(frozen=True)
class Word:
    """A word as the tokenizer reads it (lower case), and the `places` of its tokens along the context."""

    text: str
    places: tuple[int, ...]


def words_of(tokenizer: TextTokenizer, tokens: Tokens) -> tuple[Word, ...]:
    """Return the words of a tokenised prompt in order, without punctuation, start, end and padding.

    A place is the index of a token on the context's token axis, which holds all chunks side by side.
    """
    decoder = decoders.ByteLevel()
    words: list[Word] = []
    for row, chunk in enumerate(tokens.ids.tolist()):
        pieces: list[str] = []
        places: list[int] = []
        for column, token in enumerate(chunk[1:], start=1):
            if token == tokenizer.end:
                break
            piece = tokenizer.bpe.id_to_token(token)
            if piece is None:
                continue
            pieces.append(piece.removesuffix(END_OF_WORD))
            places.append(row * len(chunk) + column)
            if piece.endswith(END_OF_WORD):
                words.append(Word(decoder.decode(pieces).strip(), tuple(places)))
                pieces, places = [], []
        if pieces:  # a word that the end of a chunk cuts in two
            words.append(Word(decoder.decode(pieces).strip(), tuple(places)))
    return tuple(word for word in words if not _is_punctuation(word.text))


def _is_punctuation(text: str) -> bool:
    return all(unicodedata.category(letter)[0] in "PZC" for letter in text)

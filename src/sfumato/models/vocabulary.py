"""The vocabulary of CLIP, which every published Stable Diffusion shares, so that no file needs to bring it.

What is stored are the merges; the vocabulary follows from them as CLIP makes it: the 256 bytes, the same at
the end of a word, what each merge makes, and the two marks (Radford et al. 2021, arXiv 2103.00020, Section
2.4, and the code published with it). Source and licence lie beside them.
"""

import json
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

#: Stands for the vocabulary where the path of one is asked for.
CLIP_MERGES: Final = Path(__file__).parent / "bundled" / "clip" / "merges.txt.gz"
SIZE: Final = 49_408
START, END = "<|startoftext|>", "<|endoftext|>"
_VERSION: Final = "#version: 0.2"
_GZIP: Final = 31  # to zlib: the window, and that there is a header of gzip


@cache
def clip_byte_pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return CLIP's vocabulary, tokens and their numbers, and its merges, the first ones first."""
    merges: list[tuple[str, str]] = []
    text = zlib.decompress(CLIP_MERGES.read_bytes(), _GZIP).decode("utf-8")
    for line in text.splitlines()[1:]:
        left, right = line.split(" ")
        merges.append((left, right))
    letters = list(_letters())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(left + right for left, right in merges)]
    return {token: number for number, token in enumerate([*tokens, START, END])}, merges


def vocab_json() -> bytes:
    """Return the vocabulary as published folders have it in `vocab.json`."""
    return json.dumps(clip_byte_pairs()[0]).encode()


def merges_txt() -> bytes:
    """Return the merges as published folders have them in `merges.txt`."""
    lines = [_VERSION, *(f"{left} {right}" for left, right in clip_byte_pairs()[1]), ""]
    return "\n".join(lines).encode()


def _letters() -> Iterator[str]:
    """Yield the letter that stands for each byte: those that can be printed stand for themselves and come
    first, the others are shifted beyond the first 256 letters.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    yield from map(chr, printable)
    yield from (chr(256 + number) for number in range(256 - len(printable)))

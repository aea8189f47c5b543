"""What Gradio remembers of the files that it wrote, kept from growing for ever.

Each part of a page has a set of names, and so have uploads. Gradio goes through those of a page every ten
minutes and removes what is old; a name goes only where it removed the file itself, and stays for good where
that was gone: uploads are written anew (see `cleaning`), and one file may be in several sets. Here names
whose files are gone are forgotten, and Gradio goes through one set, which nobody else changes meanwhile.
"""

import os
import threading
from collections.abc import Iterable
from itertools import chain
from typing import Any

import gradio as gr


class _Shared(set[str]):
    """What Gradio goes through, in place of a page's `own` sets, which its parts go on to write into."""

    def __init__(self, names: Iterable[str] = (), own: Iterable[set[str]] = ()) -> None:
        super().__init__(names)
        self.own = (*own,)


class Copies:
    """The names of all files that the pages of one studio wrote. Files have no page: the newest looks after
    those of all before it, so that nothing that is shown goes with one of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: list[gr.Blocks] = []
        self._left = set[str]()  # names of pages that are gone

    def add(self, page: gr.Blocks) -> None:
        """Take in a page, the newest."""
        with self._lock:
            self._pages.append(page)
        self.tidy()

    def remove(self, page: gr.Blocks) -> None:
        """Let go of a page that writes no more, and keep its names."""
        with self._lock:
            self._left.update(*_own(page))
            self._pages = [one for one in self._pages if one is not page]

    def tidy(self) -> None:
        """Forget the names of files that are gone, and have Gradio know all others."""
        with self._lock:
            owned = [_own(page) for page in self._pages]
            every = (self._left, *chain.from_iterable(owned))
            for names in every:
                _forget(names)
            *before, newest = zip(self._pages, owned, strict=True)
            for page, own in before:
                _give(page, _Shared((), own))
            page, own = newest
            _give(page, _Shared(chain.from_iterable(one.copy() for one in every), own))


def _own(page: gr.Blocks) -> tuple[set[str], ...]:
    sets: list[Any] = page.temp_file_sets
    return (*chain.from_iterable(one.own if isinstance(one, _Shared) else (one,) for one in sets),)


def _give(page: gr.Blocks, names: set[str]) -> None:
    page.temp_file_sets = [names]


def _forget(names: set[str]) -> None:
    """Take out the names of files that are gone, while others may be added."""
    for one in names.copy():
        if not os.path.lexists(one):
            names.discard(one)
            if os.path.lexists(one):  # it was written again, and named before it was taken out
                names.add(one)

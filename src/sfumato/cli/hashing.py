"""What `sfumato models hash` does with a whole library: the worker of servers reads it, and we watch."""

from sfumato.cli.console import bar
from sfumato.models.hashing import Hasher
from sfumato.settings import Settings

LOOK = 0.1  # seconds between looks at how far it is


def hash_all(settings: Settings) -> None:
    """Take the digests of all files that have none, and remember them. What cannot be read stops nothing;
    Ctrl-C stops within a megabyte, and what was taken is kept.
    """
    with Hasher(settings, pause=0) as hasher, bar("reading") as progress:
        while not hasher.wait(LOOK):
            now = hasher.now
            progress.update(now.done, max(now.total, 1), "" if now.path is None else now.path.name)

"""Everything that was made: pictures in a folder, and what is known of them in the store.

The folder is the truth: a picture says itself what drew it, so what the store lost is found again when a
gallery opens, and what somebody removed from the folder is gone. Pictures are named by number here, never by
path, and belong to one owner.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Row
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.keeping import free_path, metadata_of, slug
from sfumato.errors import NotFoundError, OutputError, SfumatoError
from sfumato.imaging.decode import opened
from sfumato.imaging.fitting import resize
from sfumato.imaging.io import encode_picture, open_picture, save_picture
from sfumato.imaging.metadata import PictureMetadata, read_metadata
from sfumato.imaging.writing import make_folder, write_file
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Resolved
from sfumato.serving.store import Store
from sfumato.serving.timing import Took
from sfumato.serving.unplaced import unplaced, vanished

THUMBNAIL: Final = 320  # pixels of the longer side
MOST_PIXELS: Final = 2**28  # pictures here were drawn here, whatever the limits are now
THUMBNAILS: Final = ".thumbnails"
MOST_FOUND: Final = 500
_COLUMNS: Final = (
    "id, name, owner, created, prompt, model, seed, width, height, favourite, binned, seconds, batch"
)
Order: TypeAlias = Literal["newest", "oldest", "favourites"]
ORDERS: Final[tuple[Order, ...]] = get_args(Order)
#: Where a picture stands among others, in every order: whether it is a favourite, and its number.
Place: TypeAlias = tuple[int, int]
#: What comes behind a place, or behind the number in it, and the sorting. Both are those of an index, so that
#: the last page takes no longer than the first.
_SORTED: Final[Mapping[Order, tuple[str, str]]] = {
    "newest": ("id < ?", "id DESC"),
    "oldest": ("id > ?", "id ASC"),
    "favourites": ("(favourite, id) < (?, ?)", "favourite DESC, id DESC"),
}


@dataclass(frozen=True)
class Kept:
    """A picture in the gallery. `created` and `binned`, when it was thrown away or None, are seconds since
    1970; `width` and `height` pixels; `took` how long its drawing took, None where nobody measured.
    """

    id: int
    path: Path
    created: float
    prompt: str
    model: str
    seed: int
    width: int
    height: int
    favourite: bool
    binned: float | None
    took: Took | None = None

    @property
    def place(self) -> Place:
        """Where it stands among others."""
        return int(self.favourite), self.id


class Gallery:
    """The pictures in `folder`, which `store` remembers; for several threads.

    `now` tells the time in seconds since 1970. Raises OutputError where the folder cannot be made.
    """

    def __init__(self, folder: Path, store: Store, now: Callable[[], float] = time.time) -> None:
        make_folder(folder)
        self.folder = folder.resolve()
        self._store = store
        self._now = now
        self._naming = threading.Lock()

    def add(
        self,
        pixels: NDArray[np.uint8],
        resolved: Resolved,
        backend: str,
        owner: str,
        job: str | None = None,
        took: Took | None = None,
    ) -> Kept:
        """Keep a picture, uint8 `(H,W,3)`, that `backend` drew of `resolved` for `owner`, and return what it
        is here. Raises OutputError; then nothing was kept.
        """
        created = self._now()
        day = self.folder / datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d")
        make_folder(day)
        with self._naming:
            # The file first: a row without a picture would be a promise that nobody can keep.
            path = free_path(day / f"{slug(resolved)}-{resolved.picture_seed}.png")
            save_picture(pixels, path, metadata_of(resolved, backend))
        height, width = pixels.shape[:2]
        try:
            return self._remember(path, resolved, (width, height), owner, created, job, took)
        except BaseException:
            path.unlink(missing_ok=True)  # whose it is could not be written down
            raise

    def get(self, number: int, owner: str) -> Kept:
        """Return a picture of `owner`. Raises NotFoundError, for other people's pictures as well, and for one
        whose file is gone.
        """
        rows = self._store.read(
            f"SELECT {_COLUMNS} FROM pictures WHERE id = ? AND owner = ?", (number, owner)
        )
        kept = next(map(self._kept, rows), None)
        if kept is None:
            raise NotFoundError("there is no such picture", field="picture", value=number)
        if not kept.path.is_file():
            raise vanished(kept.path)
        return kept

    def get_all(self, numbers: Sequence[int], owner: str) -> tuple[Kept, ...]:
        """Return those of `numbers` that are pictures of `owner` and still there, in this order."""
        found: dict[int, Kept] = {}
        for first in range(0, len(numbers), MOST_FOUND):
            some = numbers[first : first + MOST_FOUND]
            rows = self._store.read(
                f"SELECT {_COLUMNS} FROM pictures WHERE id IN ({', '.join('?' * len(some))}) AND owner = ?",
                (*some, owner),
            )
            found |= {one.id: one for one in self._there(rows)}
        return tuple(found[number] for number in dict.fromkeys(numbers) if number in found)

    def search(
        self,
        owner: str,
        words: str = "",
        *,
        model: str | None = None,
        favourites: bool = False,
        binned: bool = False,
        order: Order = "newest",
        after: Place | None = None,
        limit: int = 60,
    ) -> tuple[Kept, ...]:
        """Return pictures of `owner`: those whose prompt or model holds every one of `words`, in any case; of
        one `model`; only `favourites`; those in the bin instead of the others. They come by `order`, in which
        favourites and the others are each the newest first, from behind the place `after`. At most `limit`.
        """
        where, values = _asked(owner, words, model, favourites=favourites, binned=binned)
        # Of favourites alone, those first means nothing.
        behind, sorting = _SORTED["newest" if favourites and order == "favourites" else order]
        limit = max(1, min(limit, MOST_FOUND))
        found = list[Kept]()
        while True:
            query, asked = f"SELECT {_COLUMNS} FROM pictures WHERE {where}", [*values]
            if after is not None:
                query += f" AND {behind}"
                asked += after[-behind.count("?") :]
            rows = self._store.read(f"{query} ORDER BY {sorting} LIMIT ?", (*asked, limit))
            kept = [self._kept(row) for row in rows]
            # What was removed from the folder takes nobody's place.
            lost = [one for one in kept if not one.path.is_file()]
            found += [one for one in kept if one not in lost]
            self._forget(lost)
            if len(found) >= limit or len(rows) < limit:
                return tuple(found[:limit])
            after = kept[-1].place

    def count(
        self,
        owner: str,
        words: str = "",
        *,
        model: str | None = None,
        favourites: bool = False,
        binned: bool = False,
    ) -> int:
        """Return how many pictures there are of what `search` looks for: as far as the store knows, without a
        look at their files.
        """
        where, values = _asked(owner, words, model, favourites=favourites, binned=binned)
        return self._store.read(f"SELECT count(*) AS number FROM pictures WHERE {where}", values)[0]["number"]

    def models(self, owner: str) -> tuple[str, ...]:
        """Return the models that drew the pictures of `owner`, by name."""
        rows = self._store.read(
            "SELECT DISTINCT model FROM pictures WHERE owner = ? ORDER BY model", (owner,)
        )
        return tuple(row["model"] for row in rows)

    def mark(self, numbers: Iterable[int], owner: str, *, favourite: bool) -> None:
        """Make pictures of `owner` favourites, or no longer."""
        self._change("favourite = ?", int(favourite), numbers, owner)

    def bin(self, numbers: Iterable[int], owner: str) -> None:
        """Put pictures of `owner` into the bin: they stay on disk until it is emptied."""
        self._change("binned = ?", self._now(), numbers, owner)

    def restore(self, numbers: Iterable[int], owner: str) -> None:
        """Take pictures of `owner` out of the bin."""
        self._change("binned = ?", None, numbers, owner)

    def empty_bin(self, owner: str) -> int:
        """Remove the files of the pictures in the bin of `owner`, and return how many there were. What is
        taken out of it meanwhile stays. Raises OutputError when all are gone but those that cannot be
        removed, which are in the bin as they were.
        """
        removed, trouble = 0, list[OutputError]()
        after: Place | None = None
        while binned := self.search(owner, binned=True, after=after, limit=MOST_FOUND):
            after = binned[-1].place
            for one in binned:
                try:
                    removed += self._remove(one, owner)
                except OutputError as error:
                    trouble.append(error)
        for error in trouble[:1]:
            raise error
        return removed

    def _remove(self, kept: Kept, owner: str) -> bool:
        """Remove a picture of `owner` if it is in the bin by now, and return whether. Raises OutputError."""
        with self._store.writing() as connection:
            query = "DELETE FROM pictures WHERE id = ? AND owner = ? AND binned IS NOT NULL RETURNING name"
            if not connection.execute(query, (kept.id, owner)).fetchall():
                return False
            # The file before the row is gone for good: what falls over in between is forgotten the next time,
            # where a file without a row would come back as somebody's. The thumbnail, which is made anew
            # when it is asked for, before either.
            try:
                self._thumbnail(kept.id).unlink(missing_ok=True)
                kept.path.unlink(missing_ok=True)
            except OSError as error:
                said = f"cannot be removed: {error.strerror or 'unknown reason'}"
                hint = "It is still in the bin. See who may write to the folder that it is in."
                raise OutputError(said, field="picture", value=kept.path.name, hint=hint) from error
        return True

    def _forget(self, lost: Iterable[Kept]) -> None:
        """Forget pictures that somebody removed from the folder: those of which a thumbnail or the day's
        folder is left. The others are on a disk that is unplugged, and come back with it.
        """
        for one in lost:
            thumbnail = self._thumbnail(one.id)
            if thumbnail.exists() or one.path.parent.exists():
                with suppress(OutputError, OSError):  # it is looked for again the next time
                    thumbnail.unlink(missing_ok=True)
                    self._store.write("DELETE FROM pictures WHERE id = ?", (one.id,))

    def thumbnail(self, kept: Kept) -> Path:
        """Return a small JPEG of a picture, made when it is first asked for. Raises PictureError for a
        damaged picture, and OutputError.
        """
        path = self._thumbnail(kept.id)
        if not path.is_file():
            self._shrink(self.pixels(kept), path)
        return path

    def resolved(self, kept: Kept) -> Resolved:
        """Return the recipe in a picture. Raises as `metadata` does, and RecipeError."""
        return from_json(self.metadata(kept).resolved_json, Resolved)

    def metadata(self, kept: Kept) -> PictureMetadata:
        """Return all that a picture says of itself. Raises PictureError; NotFoundError where it is gone."""
        with unplaced(kept.path):
            return read_metadata(kept.path)

    def pixels(self, kept: Kept) -> NDArray[np.uint8]:
        """Return a picture `(H,W,3)` as it is kept. Raises as `metadata` does."""
        with unplaced(kept.path):
            return np.asarray(open_picture(kept.path, MOST_PIXELS))

    def sweep(self, owner: str) -> int:
        """Find pictures in the folder that the store does not know, give them to `owner`, and return how many
        there were. Files that are no pictures of ours are left alone. What somebody removed from the folder
        is forgotten, and thumbnails of nothing are removed.
        """
        thumbnails = [*(self.folder / THUMBNAILS).glob("*.jpg")]
        paths = {self._name(one): one for one in sorted(self.folder.glob("*/*.png"))}
        known = {row["name"]: row for row in self._store.read(f"SELECT {_COLUMNS} FROM pictures")}
        self._forget(self._kept(row) for name, row in known.items() if name not in paths)
        found = 0
        for name, path in paths.items():
            if name in known or path.is_symlink():
                continue
            with suppress(SfumatoError, OSError):
                resolved = from_json(read_metadata(path).resolved_json, Resolved)
                with opened(path) as image:
                    size = image.size
                self._remember(path, resolved, size, owner, path.stat().st_mtime)
                found += 1
        numbers = {str(row["id"]) for row in self._store.read("SELECT id FROM pictures")}
        for path in thumbnails:
            if path.stem not in numbers:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
        return found

    def _remember(
        self,
        path: Path,
        resolved: Resolved,
        size: tuple[int, int],
        owner: str,
        created: float,
        job: str | None = None,
        took: Took | None = None,
    ) -> Kept:
        prompt = "" if resolved.text is None else resolved.text.prompt
        seed = resolved.picture_seed
        measured = (None, None) if took is None else (took.seconds, took.pictures)
        values = (self._name(path), owner, created, prompt, resolved.model, seed, *size, job, *measured)
        with self._store.writing() as connection:
            ((number,),) = connection.execute(
                "UPDATE picture_numbers SET highest = highest + 1 RETURNING highest"
            ).fetchall()
            (row,) = connection.execute(
                "INSERT INTO pictures (id, name, owner, created, prompt, model, seed, width, height, job, "
                f"seconds, batch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
                (number, *values),
            ).fetchall()
        return self._kept(row)

    def _change(self, what: str, value: float | None, numbers: Iterable[int], owner: str) -> None:
        with self._store.writing() as connection:
            for number in numbers:
                query = f"UPDATE pictures SET {what} WHERE id = ? AND owner = ?"
                connection.execute(query, (value, number, owner))

    def _there(self, rows: Iterable[Row]) -> tuple[Kept, ...]:
        """Return the pictures of `rows` whose files are still there."""
        kept = [self._kept(row) for row in rows]
        return tuple(one for one in kept if one.path.is_file())

    def _kept(self, row: Row) -> Kept:
        return Kept(
            id=row["id"],
            path=self.folder / row["name"],
            created=row["created"],
            prompt=row["prompt"],
            model=row["model"],
            seed=row["seed"],
            width=row["width"],
            height=row["height"],
            favourite=bool(row["favourite"]),
            binned=row["binned"],
            took=None if row["seconds"] is None else Took(row["seconds"], row["batch"]),
        )

    def _shrink(self, pixels: NDArray[np.uint8], path: Path) -> None:
        height, width = pixels.shape[:2]
        scale = min(1.0, THUMBNAIL / max(height, width))
        small = resize(pixels, *(max(1, round(side * scale)) for side in (width, height)))
        make_folder(path.parent)
        write_file(path, encode_picture(small, ".jpg"))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _thumbnail(self, number: int) -> Path:
        return self.folder / THUMBNAILS / f"{number}.jpg"


def _asked(
    owner: str, words: str, model: str | None, *, favourites: bool, binned: bool
) -> tuple[str, list[str | int]]:
    """Return what pictures are asked for, as SQL and its values."""
    # As the indices have it: with "binned IS NOT NULL" the bin would be sorted for every page.
    asked, values = ["owner = ?", "(binned IS NULL) = ?"], list[str | int]((owner, int(not binned)))
    for word in words.split():
        asked.append("(prompt LIKE ? ESCAPE '\\' OR model LIKE ? ESCAPE '\\')")
        values += [like := f"%{_escaped(word)}%", like]
    if model is not None:
        asked.append("model = ?")
        values.append(model)
    if favourites:
        asked.append("favourite = 1")
    return " AND ".join(asked), values


def _escaped(word: str) -> str:
    """Return `word` as LIKE takes it for itself."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")

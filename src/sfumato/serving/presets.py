"""Forms that people keep under names, each visitor their own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sfumato.errors import NotFoundError, RecipeError
from sfumato.serving.store import Store

MOST_EACH: Final = 100  # of one visitor
MOST_NAME: Final = 60  # characters
MOST_FORM: Final = 100_000  # characters of what is kept


@dataclass(frozen=True)
class Presets:
    """The presets that `store` remembers. What a form is written like is the business of whoever keeps it.

    `now` tells the time in seconds since 1970.
    """

    store: Store
    now: Callable[[], float] = time.time

    def names(self, owner: str) -> tuple[str, ...]:
        """Return what the presets of `owner` are called, in the order of the alphabet."""
        rows = self.store.read("SELECT name FROM presets WHERE owner = ?", (owner,))
        return tuple(sorted((row["name"] for row in rows), key=lambda name: (name.casefold(), name)))

    def get(self, name: str, owner: str) -> str:
        """Return the form that `owner` keeps under a name. Raises NotFoundError."""
        rows = self.store.read("SELECT form FROM presets WHERE owner = ? AND name = ?", (owner, name))
        if not rows:
            raise NotFoundError("there is no such preset", field="preset", value=name)
        return rows[0]["form"]

    def keep(self, name: str, form: str, owner: str) -> str:
        """Keep a form in the place of what had its name, and return the name, which is one clean line.

        Raises RecipeError for a name that is none, a form that is too long, and for too many of them.
        """
        cut = name[: 10 * MOST_NAME]
        clean = " ".join("".join(one if one.isprintable() else " " for one in cut).split())
        if not clean or len(clean) > MOST_NAME or len(cut) < len(name):
            hint = f"Give 1 to {MOST_NAME} characters."
            raise RecipeError("is no name for a preset", field="preset", value=clean[:MOST_NAME], hint=hint)
        if len(form) > MOST_FORM:
            raise RecipeError(
                "is too long to be kept", field="preset", value=clean, hint="Shorten the prompt."
            )
        with self.store.writing() as connection:
            query = "SELECT count(*) FROM presets WHERE owner = ? AND name != ?"
            (others,) = connection.execute(query, (owner, clean)).fetchone()
            if others >= MOST_EACH:
                hint = "Delete one of them first."
                raise RecipeError(f"there are {MOST_EACH} already", field="preset", value=clean, hint=hint)
            connection.execute(
                "INSERT OR REPLACE INTO presets (owner, name, created, form) VALUES (?, ?, ?, ?)",
                (owner, clean, self.now(), form),
            )
        return clean

    def delete(self, name: str, owner: str) -> None:
        """Forget what `owner` keeps under a name. Raises NotFoundError."""
        rows = self.store.write(
            "DELETE FROM presets WHERE owner = ? AND name = ? RETURNING name", (owner, name)
        )
        if not rows:
            raise NotFoundError("there is no such preset", field="preset", value=name)

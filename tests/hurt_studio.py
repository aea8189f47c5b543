"""Studios to which something happens, each in a process of its own that says in JSON what came of it.

    python -m hurt_studio full HOME       on a file system of its own that is filled (needs a new mount space)
    python -m hurt_studio limited HOME    no file may grow beyond a few kilobytes
    python -m hurt_studio starved HOME    little more memory than there is already
    python -m hurt_studio killed HOME N   accepts N jobs and says their names; whoever started it kills it

They draw with the bundled model, in one or two steps.
"""

import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from PIL import Image

from served_studio import bundled_settings
from sfumato.errors import SfumatoError
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.serving.desk import ALONE, Desk, open_desk

#: Bytes that are left on the disk: from nothing to enough for a picture and what is said of it.
LEFT: Final = (0, 8192, 12_288, 16_384, 24_576, 32_768, 36_864, 40_960, 45_056, 49_152, 65_536, 98_304)
LARGEST: Final = (0, 16_384, 1_000_000)  # bytes of a file


def frog(seed: int, side: int = 128, count: int = 1) -> Recipe:
    """Return a recipe that is drawn at once."""
    text = TextPart(prompt="a frog")
    return Recipe(parts=(text,), seed=seed, steps=1, width=side, height=side, count=count)


def drawn(desk: Desk, recipe: Recipe) -> tuple[str, str]:
    """Draw a recipe, and return how that ended and what is said of it; "refused" where it is not accepted."""
    try:
        job = desk.queue.submit(recipe, ALONE)
    except SfumatoError as error:
        return "refused", str(error)
    *_, last = desk.queue.follow(job.id, ALONE)
    return last.state, last.problem or ""


def state_of(home: Path) -> dict[str, Any]:
    """Return what lies in the data folder `home`: whether the store is sound, which files are half written or
    no pictures, and which pictures and rows are without each other.
    """
    folder = home / "studio" / "pictures"
    with closing(sqlite3.connect(home / "studio" / "studio.db")) as store:
        (sound,) = store.execute("PRAGMA integrity_check").fetchone()
        names = {name for (name,) in store.execute("SELECT name FROM pictures")}
    files = {path.relative_to(folder).as_posix(): path for path in folder.glob("*/*.png")}
    torn: list[str] = []
    for name, path in files.items():
        try:
            with Image.open(path) as image:
                image.load()
        except (OSError, SyntaxError):
            torn.append(name)
    return {
        "sound": sound,
        "parts": len([*home.rglob("*.part")]),
        "torn": torn,
        "files_without_rows": sorted(set(files) - names),
        "rows_without_files": sorted(names - set(files)),
    }


def tried(desk: Desk, home: Path, hurt: Callable[[], None], heal: Callable[[], None]) -> dict[str, Any]:
    """Draw while something hurts and after it is healed, and return how it went and what was left behind."""
    hurt()
    try:
        hurting = drawn(desk, frog(2))
    finally:
        heal()
    left = state_of(home)
    healed = drawn(desk, frog(3))
    desk.gallery.bin([one.id for one in desk.gallery.search(ALONE)], ALONE)
    desk.gallery.empty_bin(ALONE)
    return {"hurting": hurting, "healed": healed, **left}


def full(home: Path) -> list[dict[str, Any]]:
    """Fill a disk of 4 MiB again and again, but for `LEFT`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(home)], check=True)
    filler = home / "filler"

    def fill(left: int) -> None:
        there = os.statvfs(home)
        filler.write_bytes(bytes(max(0, there.f_bavail * there.f_frsize - left)))

    with open_desk(bundled_settings(home)) as desk:
        drawn(desk, frog(1))
        return [tried(desk, home, lambda left=left: fill(left), filler.unlink) for left in LEFT]


def limited(home: Path) -> list[dict[str, Any]]:
    """Let no file grow beyond each of `LARGEST`: what is written then fails as on a disk that is full."""

    def limit(largest: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    with open_desk(bundled_settings(home)) as desk:
        drawn(desk, frog(1))
        free = lambda: limit(resource.RLIM_INFINITY)  # noqa: E731
        return [tried(desk, home, lambda one=one: limit(one), free) for one in LARGEST]


def starved(home: Path) -> list[dict[str, Any]]:
    """Draw something large with 50 to 400 MiB more than there is already."""

    def limit(more: int | None) -> None:
        status = Path("/proc/self/status").read_text().splitlines()
        (now,) = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize:")]
        most = resource.RLIM_INFINITY if more is None else now + more * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))

    told: list[dict[str, Any]] = []
    with open_desk(bundled_settings(home)) as desk:
        drawn(desk, frog(1))
        for more in (400, 50):
            limit(more)
            hurting = drawn(desk, frog(2, 1024))
            limit(None)
            told.append({"hurting": hurting, "healed": drawn(desk, frog(3)), **state_of(home)})
    return told


def killed(home: Path, number: int) -> None:
    """Accept jobs of two pictures each, say so, draw them, and say when nothing waits any more."""
    with open_desk(bundled_settings(home)) as desk:
        for one in range(number):
            job = desk.queue.submit(frog(100 * one, count=2), ALONE)
            sys.stdout.write(f"{job.id}\n")
            sys.stdout.flush()
        for job in desk.queue.of(ALONE):
            for _ in desk.queue.follow(job.id, ALONE):
                pass
        sys.stdout.write("idle\n")
        sys.stdout.flush()
        sys.stdin.read()


def main() -> None:
    what, home = sys.argv[1], Path(sys.argv[2])
    if what == "killed":
        killed(home, int(sys.argv[3]))
        return
    ways: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
        "full": full,
        "limited": limited,
        "starved": starved,
    }
    sys.stdout.write(json.dumps(ways[what](home)))


if __name__ == "__main__":
    main()

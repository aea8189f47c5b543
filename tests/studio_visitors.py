"""Twenty visitors at once: a studio in a process of its own, and what it does with all of them.

    PYTHONPATH=tests python -m studio_visitors --visitors 20

Every visitor has cookies of their own and the password, loads the page, and asks for two pictures of the
bundled model as the page asks (tests/page_client.py). All press Generate at the same moment; both of theirs
wait at once. Said are who was served and in which order, times, the memory of the studio's process before, at
the most, and after, and what lies on its disk; a second wave shows whether the memory grows. The order is
that in which the store wrote the pictures down: nobody has a second one while somebody who asked before them
waits for the first.
"""

import argparse
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from page_client import Shown, Visitor

EACH: Final = 2
STEPS: Final = "4"
PASSWORD: Final = "for this measurement"
READY: Final = 60.0  # seconds for a server to open
PATIENCE: Final = 300.0  # seconds for a wave


@dataclass(eq=False)
class Watch:
    """Looks at the memory of a process while it is open: `now` and `peak` in MiB."""

    process: int
    peak: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def now(self) -> float:
        for line in Path(f"/proc/{self.process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def __enter__(self) -> "Watch":
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            self.peak = max(self.peak, self.now)


@contextmanager
def studio(home: Path) -> Iterator[tuple[str, int]]:
    """Open a studio with its data in `home`, and give its address and the number of its process."""
    with socket.create_server(("127.0.0.1", 0)) as tried:
        port = tried.getsockname()[1]
    command = [sys.executable, "-m", "sfumato", "studio", "--no-browser", "--listen", "127.0.0.1"]
    told = {"SFUMATO_HOME": str(home), "SFUMATO_PASSWORD": PASSWORD, "GRADIO_TEMP_DIR": str(home / "shown")}
    environment = {**os.environ, **told, "SFUMATO_OFFLINE": "1"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            give_up = time.monotonic() + READY
            while time.monotonic() < give_up and process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            assert process.poll() is None, (home / "log").read_text()
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait(READY)


def wave(url: str, visitors: int) -> dict[str, Any]:
    """Let `visitors` draw all at once, and return how it went for them."""
    gate = threading.Barrier(visitors + 1)
    ends: list[list[tuple[float, Shown]]] = [[] for _ in range(visitors)]

    def visit(number: int) -> None:
        with Visitor(url, ("sfumato", PASSWORD)).open() as visitor:
            gate.wait(PATIENCE)
            # Both are asked for before either is followed: on the page, from two of its buttons or two tabs.
            for turn in range(EACH):
                visitor.press(prompt=f"visitor {number}", steps=STEPS, seed=str(1000 * number + turn))
            ends[number] += visitor.ends(EACH)

    threads = [threading.Thread(target=visit, args=(number,), daemon=True) for number in range(visitors)]
    for one in threads:
        one.start()
    gate.wait(PATIENCE)
    began = time.monotonic()
    for one in threads:
        one.join(PATIENCE)
    all_ends = [one for mine in ends for one in mine]
    seconds = [when - began for when, shown in all_ends if shown.done]
    return {
        "asked": visitors * EACH,
        "served": len(seconds),
        "with_picture": sum(bool(shown.pictures) for _, shown in all_ends),
        "problems": sorted({shown.problem or shown.progress for _, shown in all_ends if not shown.done}),
        "seconds": round(max(seconds, default=0), 2),
        "first_s": round(min(seconds, default=0), 2),
        "median_s": round(statistics.median(seconds), 2) if seconds else None,
    }


def order(home: Path, after: int) -> dict[str, Any]:
    """Return in which order the pictures with numbers above `after` were kept, and whether all had turns."""
    with closing(sqlite3.connect(home / "studio" / "studio.db")) as store:
        rows = store.execute(
            "SELECT p.id, p.owner, j.number, j.created, p.created FROM pictures AS p "
            "JOIN jobs AS j ON p.job = j.id "
            "WHERE p.id > ? ORDER BY p.id",
            (after,),
        ).fetchall()
        states = store.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
        (sound,) = store.execute("PRAGMA integrity_check").fetchone()
    owners = [row[1] for row in rows]
    out_of_turn = 0
    for place, (_, owner, _, asked, _) in enumerate(rows):
        begun = rows[place - 1][4] if place else 0.0
        had = owners[:place].count(owner)
        waited = {row[1] for row in rows[place + 1 :] if row[3] < min(begun, asked) and row[1] != owner}
        out_of_turn += any(owners[:place].count(other) < had for other in waited)
    mine: dict[str, list[int]] = {}
    for _, owner, number, *_ in rows:
        mine.setdefault(owner, []).append(number)
    return {
        "pictures": len(rows),
        "owners": len(set(owners)),
        "each": sorted({owners.count(one) for one in owners}),
        "out_of_turn": out_of_turn,
        "own_order_kept": all(numbers == sorted(numbers) for numbers in mine.values()),
        "jobs": dict(states),
        "store": sound,
        "newest": rows[-1][0] if rows else after,
    }


def size_of(folder: Path) -> float:
    """Return what lies in a folder, in MiB."""
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file()) / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--waves", type=int, default=2)
    asked = parser.parse_args()
    well = True
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        with studio(home) as (url, process), Watch(process) as watch:
            with Visitor(url, ("sfumato", PASSWORD)).open() as first:
                assert first.draw(prompt="to have the model loaded", steps=STEPS).done
            newest = order(home, 0)["newest"]
            for number in range(asked.waves):
                before, watch.peak = watch.now, 0.0
                went = wave(url, asked.visitors)
                came = order(home, newest)
                newest = came["newest"]
                memory = {"before": round(before), "peak": round(watch.peak), "after": round(watch.now)}
                disk = {"data_MiB": round(size_of(home / "studio"), 2)}
                disk["shown_MiB"] = round(size_of(home / "shown"), 2)
                report = {"wave": number + 1, **went, "order": came, "memory_MiB": memory, **disk}
                sys.stdout.write(json.dumps(report, indent=1) + "\n")
                well &= went["served"] == went["asked"] == came["pictures"]
                well &= came["out_of_turn"] == 0 and came["store"] == "ok"
        sys.stdout.write((home / "log").read_text())
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())

"""Measuring one picture for `sfumato bench`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sfumato.cli.console import Bar, table
from sfumato.engine.events import Done
from sfumato.engine.run import STAGES, draw
from sfumato.errors import SfumatoError
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import FoundModel, load
from sfumato.recipe.codec import to_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.resolve import recipe_of, resolve
from sfumato.settings import Settings

START = "start"  # of a process: the interpreter, the command line's own modules, and its end
COLD_STAGES = (START, *STAGES, "save", "total")


@dataclass(frozen=True)
class Benchmark:
    """Medians over `repeats` pictures: `cold` and `warm` seconds by stage, and the largest memory that a
    fresh process held (None where the system does not tell).
    """

    resolved: Resolved
    backend: str
    repeats: int
    cold: dict[str, float]
    warm: dict[str, float]
    peak_rss_bytes: int | None

    def text(self) -> str:
        """Return a table of stages."""
        stages = [stage for stage in COLD_STAGES if self.cold[stage] or self.warm.get(stage)]
        rows = [
            (stage, f"{self.cold[stage]:.2f} s", f"{self.warm[stage]:.2f} s" if stage in self.warm else "-")
            for stage in stages
        ]
        memory = "unknown" if self.peak_rss_bytes is None else f"{self.peak_rss_bytes / 1e6:.0f} MB"
        one = self.resolved
        head = (
            f"{one.width}x{one.height}, {one.steps} steps of {one.sampler}, model {one.model}, "
            f"{self.backend}; medians of {self.repeats}"
        )
        return f"{head}\n\n{table(rows, ('', 'COLD', 'WARM'))}\n\npeak memory (resident, cold): {memory}"

    def report(self) -> dict[str, object]:
        """Return the figures for JSON."""
        return {
            "recipe": self.resolved.model_dump(mode="json"),
            "backend": self.backend,
            "repeats": self.repeats,
            "cold_seconds": self.cold,
            "warm_seconds": self.warm,
            "peak_rss_bytes": self.peak_rss_bytes,
        }


def measure(recipe: Recipe, found: FoundModel, settings: Settings, repeats: int, progress: Bar) -> Benchmark:
    """Draw `repeats` cold and `repeats` warm pictures of `recipe`. Raises RecipeError as `resolve` does, and
    SfumatoError when a fresh process fails.
    """
    resolved = resolve(recipe, found.defaults, settings=settings)
    # Found by its folder, whatever it is called: the fresh process must load the very same model.
    again = recipe_of(resolved).model_copy(update={"model": str(found.files.folder)})
    cold: list[dict[str, float]] = []
    memory: list[int] = []
    # Cold comes first: a process counts its parent's memory at the moment of its birth as its own peak, and
    # this one is still small.
    for number in range(repeats):
        seconds, peak = cold_seconds(again)
        cold.append(seconds)
        memory += [] if peak is None else [peak]
        progress.update(number + 1, 2 * repeats + 1)
    bundle = load(found, settings)
    warm_seconds(resolved, bundle)  # the first picture still pays for allocations and for choosing kernels
    warm: list[dict[str, float]] = []
    for number in range(repeats):
        warm.append(warm_seconds(resolved, bundle))
        progress.update(repeats + number + 2, 2 * repeats + 1)
    return Benchmark(
        resolved,
        bundle.backend.name,
        repeats,
        {stage: median(one[stage] for one in cold) for stage in COLD_STAGES},
        {stage: median(one[stage] for one in warm) for stage in warm[0]},
        max(memory) if memory else None,
    )


def cold_seconds(recipe: Recipe) -> tuple[dict[str, float], int | None]:
    with tempfile.TemporaryDirectory(prefix="sfumato-bench-") as name:
        folder = Path(name)
        (folder / "recipe.json").write_text(to_json(recipe), encoding="utf-8")
        files = ["--recipe", str(folder / "recipe.json"), "--output", str(folder / "picture.png")]
        command = [sys.executable, "-m", "sfumato", "generate", *files, "--json"]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            started = time.perf_counter()
            process = subprocess.Popen(command, stdout=out, stderr=err)
            peak = wait_for(process)
            wall = time.perf_counter() - started
        if process.returncode != 0:
            lines = (folder / "err").read_text(encoding="utf-8", errors="replace").splitlines()
            raise SfumatoError(f"sfumato generate failed: {lines[-1] if lines else process.returncode}")
        report: dict[str, Any] = json.loads((folder / "out").read_text(encoding="utf-8"))
    seconds: dict[str, float] = report["seconds"]
    return {**seconds, START: wall - seconds["total"], "total": wall}, peak


def wait_for(process: subprocess.Popen[bytes]) -> int | None:
    """Wait for `process` and return the most memory it held, in bytes."""
    if sys.platform == "win32":
        process.wait()
        return None
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:  # Ctrl-C
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def warm_seconds(resolved: Resolved, bundle: ModelBundle) -> dict[str, float]:
    with closing(draw(resolved, bundle)) as events:
        (done,) = [event for event in events if isinstance(event, Done)]
    return {
        stage: seconds
        for stage, seconds in done.seconds.items()
        if stage in ("encode", "steps", "decode", "total")
    }

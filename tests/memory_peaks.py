"""How much memory a model takes at full size, beside what Sfumato estimates from its header.

    python tests/memory_peaks.py /tmp/sd15.safetensors --family sd15 --precision f32 --size 512
    python tests/memory_peaks.py /tmp/sdxl.safetensors --family sdxl --precision bf16 --size 512 --size 1024

The file is written first, with random float16 weights in the original layout, if it is not there. Each size
is drawn in a process of its own: one picture of one step with guidance, so two rows (--guidance 1: one).
Prints, in MB, the largest share of memory (the high-water mark of the resident set, and of what in it is the
process's own, without pages of files) after loading, while a step is predicted and while the picture is
decoded, then the estimate and its error. Linux only.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any


class Highest:
    """The high-water mark of the resident set since `begin`, in MB, and of its anonymous part."""

    def __init__(self) -> None:
        self._anonymous = 0.0
        threading.Thread(target=self._look, daemon=True).start()

    def begin(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._anonymous = 0.0

    def now(self) -> dict[str, float]:
        return {"resident": status("VmHWM"), "own": max(self._anonymous, status("RssAnon"))}

    def _look(self) -> None:
        while True:
            self._anonymous = max(self._anonymous, status("RssAnon"))
            time.sleep(0.01)


def status(name: str) -> float:
    """Return a size in /proc/self/status, in MB (10^6)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise KeyError(name)


def settings_of(asked: argparse.Namespace) -> Any:
    """Return the settings of a run; files of it lie beside the model."""
    from sfumato.settings import Settings

    environ = {
        "SFUMATO_HOME": str(asked.model.parent / "home"),
        "SFUMATO_BACKEND": asked.backend,
        "SFUMATO_DEVICE": asked.device,
        "SFUMATO_DTYPE": asked.precision,
        "SFUMATO_OFFLOAD": asked.offload,
        "SFUMATO_STORAGE": asked.storage,
    }
    return Settings.from_environment(environ)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Draw in this process, and return what it took."""
    from sfumato.engine.events import Picture, StepDone
    from sfumato.engine.run import draw
    from sfumato.models.load import find_model, load
    from sfumato.recipe.image import Recipe
    from sfumato.recipe.parts import TextPart
    from sfumato.recipe.resolve import resolve

    import_module(f"sfumato.models.backends.{'torch' if asked.backend == 'torch' else 'openvino.backend'}")
    settings = settings_of(asked)
    found = find_model(str(asked.model), settings)
    side = asked.size[0]
    part = TextPart(prompt="a frog on a beach")
    recipe = Recipe(parts=(part,), width=side, height=side, steps=1, guidance=asked.guidance, seed=1)
    resolved = resolve(recipe, found.defaults, settings=settings)
    highest = Highest()
    figures: dict[str, Any] = {"libraries": {"resident": status("VmRSS"), "own": status("RssAnon")}}
    highest.begin()
    bundle = load(found, settings)
    figures["load"] = highest.now()
    figures["loaded"] = {"resident": status("VmRSS"), "own": status("RssAnon")}
    highest.begin()
    with closing(draw(resolved, bundle)) as events:
        for event in events:
            if isinstance(event, StepDone):
                figures["step"] = highest.now()
                highest.begin()
            if isinstance(event, Picture):
                figures["decode"] = highest.now()
    figures["notes"] = bundle.notes
    return figures


def estimated(asked: argparse.Namespace) -> dict[str, float]:
    """Return what Sfumato expects of the same drawing, in MB."""
    from sfumato.models.estimate import Drawing, Way, estimate
    from sfumato.models.files import locate
    from sfumato.settings import PRECISIONS

    side = asked.size[0]
    backend = "torch" if asked.backend == "torch" else "openvino"
    dtype = PRECISIONS.get(str(asked.precision)) or str(asked.precision)
    way = Way(backend, dtype, offload=asked.offload, storage=asked.storage)
    made = estimate(locate(asked.model), way, Drawing(side, side, rows=1 if asked.guidance == 1 else 2))
    return {"loading": made.loading / 1e6, "draw": made.draw / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--family", default="sd15")
    parser.add_argument("--backend", default="torch", choices=("torch", "openvino"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--offload", default="none")
    parser.add_argument("--storage", default="whole")
    parser.add_argument("--guidance", type=float, default=5.0, help="1 is one row instead of two")
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.size = asked.size or [512]
    if asked.measure:
        print(json.dumps(measure(asked)))
        return
    if not asked.model.exists():
        from full_size_families import write_full

        write_full(asked.family, asked.model)
    for side in asked.size:
        words = (asked.backend, asked.device, asked.precision, asked.offload, asked.storage)
        names = ("--backend", "--device", "--precision", "--offload", "--storage")
        chosen = [word for pair in zip(names, words, strict=True) for word in pair]
        command = [sys.executable, __file__, str(asked.model), "--measure", "--size", str(side), *chosen]
        command += ["--guidance", str(asked.guidance)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{asked.model.stem} {' '.join(words)} {side}x{side}", flush=True)
        if done.returncode:
            print(done.stderr[-2000:], flush=True)
            continue
        figures = json.loads(done.stdout)
        print(json.dumps(figures), flush=True)
        asked.size = [side]
        expected = estimated(asked)
        drew = max(figures[one]["resident"] for one in ("step", "decode"))
        for what, peak, guess in (
            ("loaded", figures["load"]["resident"], expected["loading"]),
            ("drew", drew, expected["draw"]),
        ):
            error = 100 * (guess / peak - 1)
            print(f"  {what} in {peak:,.0f} MB; estimated {guess:,.0f} MB ({error:+.0f} %)", flush=True)


if __name__ == "__main__":
    main()

"""Cold: fresh processes of `sfumato generate` and of a stock diffusers script, in turns."""

import json
import math
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from PIL import Image

from sfumato.engine.run import STAGES
from sfumato.evaluation.speed.events import Advanced
from sfumato.evaluation.speed.figures import paired, spread
from sfumato.evaluation.speed.fresh import Ran, run_fresh
from sfumato.evaluation.speed.report import ColdReport, Side, Subject
from sfumato.models.backends.selection import TORCH_STACK
from sfumato.settings import Settings

START: Final = "start"  # of a process: the interpreter and all imports that do not wait for a model
SAVE: Final = "save"
PYTHON: Final = (sys.executable, "-P")  # -P: what lies in the current folder is nobody's module

_HERE: Final = Path(__file__).parent


def measure_cold(
    subject: Subject,
    folder: Path,
    settings: Settings,
    rounds: int,
    *,
    compare: bool,
    environ: Mapping[str, str],
    scratch: Path,
) -> Generator[Advanced, None, ColdReport]:
    """Run `rounds` rounds of fresh processes, in `scratch`: Sfumato with stored graphs, Sfumato without, and
    diffusers. One round before does not count: it brings the files into memory, stores the graphs, and tells
    which modules Sfumato imports.

    `folder` is the model's, for diffusers. Without `compare` diffusers is left out. Raises SfumatoError when
    one of them fails.
    """
    done, total = 0, (rounds + 1) * (3 if compare else 2)
    ours: list[Ran] = []
    firsts: list[Ran] = []
    theirs: list[Ran] = []
    for number in range(rounds + 1):
        for label, runs, home in (
            ("sfumato", ours, scratch / "home"),
            ("sfumato, first run", firsts, scratch / f"home-{number}"),
        ):
            yield Advanced(f"cold: {label}", done, total)
            picture = scratch / f"{home.name}-{number}.png"
            listing = (str(_HERE / "modules_script.py"), str(scratch / "modules.json"))
            start = (*PYTHON, *listing) if not ours else (*PYTHON, "-m", "sfumato")
            command = (*start, *generate_arguments(subject, settings, picture))
            runs.append(run_fresh("sfumato generate", command, picture, _at_home(home, settings, environ)))
            done += 1
        if compare:
            yield Advanced("cold: diffusers", done, total)
            picture = scratch / f"diffusers-{number}.png"
            script = str(_HERE / "stock_script.py")
            command = (*PYTHON, script, stock_argument(subject, folder, picture))
            theirs.append(run_fresh("the diffusers script", command, picture, environ))
            done += 1
    loaded = json.loads((scratch / "modules.json").read_text(encoding="ascii"))
    pictures = [scratch / f"{name}-{rounds}.png" for name in ("home", "diffusers")]
    counted, uncached, compared = ours[1:], firsts[1:], theirs[1:]
    waits = [[one.seconds for one in side] for side in (compared, counted, uncached)]
    return ColdReport(
        subject=subject,
        backend=json.loads(counted[0].output)["backend"],
        sfumato=_side(counted),
        first=_side(uncached),
        diffusers=_side(compared) if compare else None,
        ratio=paired(waits[0], waits[1]) if compare else None,
        first_ratio=paired(waits[0], waits[2]) if compare else None,
        stages=stages_of(counted),
        modules=tuple(name for name in loaded if name in TORCH_STACK),
        psnr=psnr(*pictures) if compare else None,
    )


def generate_arguments(subject: Subject, settings: Settings, picture: Path) -> tuple[str, ...]:
    """Return the arguments of `sfumato` that draw the subject."""
    return (
        *("generate", subject.prompt, "--model", subject.model),
        *("--steps", str(subject.steps), "--seed", str(subject.seed)),
        *("--sampler", "ddim", "--spacing", "trailing", "--output", str(picture)),
        *("--backend", settings.backend, "--precision", settings.dtype, "--json"),
    )


def stock_argument(subject: Subject, folder: Path, picture: Path) -> str:
    """Return the argument of the diffusers script that draws the same."""
    return json.dumps(
        {
            "folder": str(folder),
            "prompt": subject.prompt,
            "steps": subject.steps,
            "guidance": subject.guidance,
            "guidance_rescale": subject.guidance_rescale,
            "width": subject.width,
            "height": subject.height,
            "seed": subject.seed,
            "output": str(picture),
        }
    )


def stages_of(runs: Sequence[Ran]) -> dict[str, float]:
    """Return the median seconds of every stage of `sfumato generate`, from what it said itself.

    What it does not know, the start of the interpreter and of the command line, is what is left.
    """
    told: list[Mapping[str, Any]] = [json.loads(one.output)["seconds"] for one in runs]
    start = median(max(0.0, one.seconds - said["total"]) for one, said in zip(runs, told, strict=True))
    return {START: start, **{stage: median(said[stage] for said in told) for stage in (*STAGES, SAVE)}}


def psnr(first: Path, second: Path) -> float | None:
    """Return the PSNR between two picture files in dB, None when their sizes differ."""
    a, b = (np.asarray(Image.open(path).convert("RGB"), np.float64) for path in (first, second))
    if a.shape != b.shape:
        return None
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _at_home(home: Path, settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process whose data folder is `home`, and which knows the same models."""
    models = os.pathsep.join(map(str, (*settings.model_dirs, settings.data_dir / "models")))
    return {**environ, "SFUMATO_HOME": str(home), "SFUMATO_MODELS": models}


def _side(runs: Sequence[Ran]) -> Side:
    peaks = [one.peak_bytes for one in runs if one.peak_bytes is not None]
    return Side(
        spread([one.seconds for one in runs]),
        spread([one.exit_seconds for one in runs]),
        spread(peaks) if peaks else None,
    )

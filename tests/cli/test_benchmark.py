import subprocess
import sys

import pytest

from sfumato.cli.benchmark import COLD_STAGES, Benchmark, wait_for, warm_seconds
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

RESOLVED = resolve(Recipe(seed=7, steps=2), tiny_bundle().defaults)


def test_the_table() -> None:
    cold = {stage: 0.0 for stage in COLD_STAGES} | {"import": 1.5, "steps": 0.7, "total": 2.2}
    benchmark = Benchmark(RESOLVED, "torch cpu float32", 3, cold, {"steps": 0.5, "total": 0.5}, 450_000_000)
    assert benchmark.text().splitlines() == [
        "64x64, 2 steps of ddim, model tiny, torch cpu float32; medians of 3",
        "",
        "        COLD    WARM",
        "import  1.50 s  -",
        "steps   0.70 s  0.50 s",
        "total   2.20 s  0.50 s",
        "",
        "peak memory (resident, cold): 450 MB",
    ]
    assert benchmark.report()["peak_rss_bytes"] == 450_000_000


def test_a_warm_picture_spends_nothing_on_loading() -> None:
    seconds = warm_seconds(RESOLVED, tiny_bundle())
    assert set(seconds) == {"encode", "steps", "decode", "total"}
    assert seconds["total"] >= seconds["steps"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_the_memory_of_a_process_is_measured() -> None:
    code = "import sys; block = bytes(300_000_000); sys.exit(3)"
    process = subprocess.Popen([sys.executable, "-c", code])
    peak = wait_for(process)
    assert process.returncode == 3
    assert peak is not None
    assert peak > 300e6

"""Twenty switches between two full-size models, of which one at a time is kept, and what stays in memory.

    python tests/model_switches.py /tmp/sd15.safetensors /tmp/small-sd.safetensors --precision bf16

Files that are not there are written first, with random float16 weights in the original layout; a file's name
says its family. Each switch draws a picture of 256x256 pixels in one step. Prints the resident memory of the
process after each switch, in MB, before and after what the C library keeps for later is given back, and how
much more the last has than the one after the warm-up. Linux only.
"""

import argparse
import time
from contextlib import closing
from pathlib import Path

import sfumato
from memory_peaks import status
from sfumato.models.cache import ModelCache
from sfumato.models.memory import give_back

WARM_UP = 2  # switches: both models were there, and every library was used


def draw(path: Path, settings: sfumato.Settings, cache: ModelCache) -> None:
    """Draw one picture, and forget it."""
    part = sfumato.TextPart(prompt="a frog on a beach")
    recipe = sfumato.Recipe(
        model=str(path), parts=(part,), width=256, height=256, steps=1, guidance=1.0, seed=1
    )
    with closing(sfumato.run(recipe, settings, cache=cache)) as events:
        for _ in events:
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", type=Path, nargs=2)
    parser.add_argument("--backend", default="torch", choices=("torch", "openvino"))
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3600, help="begin no switch after so many")
    asked = parser.parse_args()
    for path in asked.models:
        if not path.exists():
            from full_size_families import write_full

            write_full(path.stem, path)
    environ = {
        "SFUMATO_HOME": str(asked.models[0].parent / "home"),
        "SFUMATO_BACKEND": asked.backend,
        "SFUMATO_DEVICE": "cpu",
        "SFUMATO_DTYPE": asked.precision,
    }
    settings = sfumato.Settings.from_environment(environ)
    cache = ModelCache(max_models=1)
    taken: dict[str, list[float]] = {path.stem: [] for path in asked.models}
    started = time.perf_counter()
    for number in range(asked.switches + 1):
        path = asked.models[number % 2]
        draw(path, settings, cache)
        drawn = status("VmRSS")
        give_back()
        now, own = status("VmRSS"), status("RssAnon")
        taken[path.stem].append(now)
        spent = time.perf_counter() - started
        sizes = f"{drawn:8,.0f} MB drawn, {now:8,.0f} MB given back, {own:8,.0f} MB of them its own"
        print(f"{number:2} {path.stem:12} {sizes}, {spent:5.0f} s", flush=True)
        if spent > asked.seconds:
            break
    for name, sizes in taken.items():
        first, last = sizes[WARM_UP // 2], sizes[-1]
        grown = 100 * (last / first - 1)
        print(f"{name}: {first:,.0f} MB after the warm-up, {last:,.0f} MB at last ({grown:+.2f} %)")
    cache.clear()
    give_back()
    print(f"both dropped: {status('VmRSS'):,.0f} MB")


if __name__ == "__main__":
    main()

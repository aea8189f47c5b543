"""What offloading and weights in eight bits come to at full size: memory and seconds, on a processor.

    python tests/memory_modes.py sd15
    python tests/memory_modes.py sdxl --dtype bfloat16 --modes sequential int8

Random weights of float16 in one file, as `full_size_families` writes them. Each mode draws in a process of
its own, after the file was read once: a text and an empty one, guided steps, and the picture. `resident` is
the most that the process had in memory at once, `private` the most of it that is no file's page (sampled
every 10 ms): the system can take pages of files back. `digest` is of the pixels: where it is the same, so are
they. `step` is the quickest, and `cpu` the least that one took of the processor: other programs change that
little, if OMP_NUM_THREADS is 1.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

MODES = {
    "none": ("none", "whole"),
    "component": ("component", "whole"),
    "sequential": ("sequential", "whole"),
    "float8": ("none", "float8"),
    "int8": ("none", "int8"),
    "component float8": ("component", "float8"),
    "component int8": ("component", "int8"),
}
TOKENS = 77


class Sampler(threading.Thread):
    """The largest private memory in MB between `start` and `stop`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, _status("RssAnon:"))

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self.most


def measure(path: Path, mode: str, dtype: str, side: int, steps: int) -> dict[str, Any]:
    """Draw in this process, and return what it took."""
    import torch

    from sfumato.models.backends.base import NOTHING, Extra
    from sfumato.models.backends.torch import load_torch
    from sfumato.models.files import locate

    files = locate(path)
    import diffusers.models.unets.unet_2d_condition  # noqa: F401 - what it imports is not measured

    libraries = _status("RssAnon:")
    sampler, started = Sampler(), time.perf_counter()
    sampler.start()
    backend = load_torch(files, "cpu", dtype, "off", *MODES[mode])
    load = time.perf_counter() - started
    ids = torch.full((2, TOKENS), 49407).numpy()
    ids[:, 0], ids[0, 1:8] = 49406, range(320, 327)
    started = time.perf_counter()
    extra = NOTHING
    if backend.text_encoder_2 is None:
        context = backend.encode_text(ids)
    else:
        first, _ = backend.encode_pooled(ids, 0)
        second, pooled = backend.encode_pooled(ids, 1)
        context = torch.cat([first, second], dim=-1)
        sizes = torch.tensor([[side, side, 0, 0, side, side]] * 2, dtype=torch.float32)
        extra = Extra(pooled=pooled, time_ids=sizes)
    text = time.perf_counter() - started
    x = torch.randn(1, 4, side // 8, side // 8, generator=torch.Generator().manual_seed(0))
    seconds: list[float] = []
    computing: list[float] = []
    for step in range(steps):
        started, computed = time.perf_counter(), time.process_time()
        prediction = backend.predict(x.expand(2, -1, -1, -1), 900.0 - 400 * step, context, extra)
        x = x - 0.1 * (prediction[1] + 5 * (prediction[0] - prediction[1]))
        seconds.append(time.perf_counter() - started)
        computing.append(time.process_time() - computed)
    started = time.perf_counter()
    pixels = backend.decode(x / x.std())
    decode = time.perf_counter() - started
    return {
        "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "private": sampler.stop(),
        "libraries": libraries,
        "load": load,
        "text": text,
        "steps": seconds,
        "computing": computing,
        "decode": decode,
        "digest": hashlib.sha256(pixels.tobytes()).hexdigest()[:8],
    }


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("family")
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16"))
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--modes", nargs="+", default=[*MODES][:5], choices=MODES)
    parser.add_argument("--file", type=Path, help="where the weights are, or are written and stay")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.file, asked.measure, asked.dtype, asked.side, asked.steps)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = asked.file or Path(folder) / "model.safetensors"
        if not path.exists():
            from full_size_families import write_full

            write_full(asked.family, path)
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
        size = path.stat().st_size / 2**20
        print(f"{asked.family}, {size:,.0f} MB of weights as float16, {asked.dtype},")
        print(f"{asked.side}x{asked.side}, {asked.steps} guided steps; MB and seconds\n")
        columns = f"{'resident':>9}{'private':>9}{'load':>7}{'text':>7}{'step':>7}{'cpu':>7}{'decode':>8}"
        print(f"{'mode':18}{columns}  digest", flush=True)
        for mode in asked.modes:
            command = [sys.executable, __file__, asked.family, "--measure", mode, "--file", str(path)]
            command += ["--dtype", asked.dtype, "--side", str(asked.side), "--steps", str(asked.steps)]
            environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if done.returncode:
                reason = (done.stderr.strip() or str(done.returncode)).splitlines()[-1]
                print(f"{mode:18}{reason}", flush=True)
                continue
            found = json.loads(done.stdout)
            step, computed = min(found["steps"]), min(found["computing"])
            print(
                f"{mode:18}{found['resident']:9,.0f}{found['private']:9,.0f}{found['load']:7.1f}"
                f"{found['text']:7.1f}{step:7.1f}{computed:7.1f}{found['decode']:8.1f}  {found['digest']}",
                flush=True,
            )


if __name__ == "__main__":
    main()

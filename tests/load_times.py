"""How long loading a family at full size takes, and how much memory, beside diffusers.

    python tests/load_times.py sd15 sdxl --pairs 5

Random float16 weights are written as a single file in the original layout, read once so that both programs
find them in the page cache, and loaded in turns, each time in a process of its own: the one that goes first
changes from pair to pair. diffusers is given the derived configurations, as it would otherwise ask the hub
for them. Two moments are looked at: when every network is loaded, and when every page of its weights was
touched once, as the first picture would; mapped weights are read from the file only then. What both import
beforehand is not measured. Seconds of a processor are told as well: others may be at work. Printed are
medians, and the median of the ratios within pairs (below one: Sfumato takes less).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import tiny_families as tiny
from full_size_families import FULL, write_full

FIGURES = {
    "loaded_s": "loaded, s",
    "loaded_cpu_s": "loaded, s of a processor",
    "touched_s": "every weight touched, s",
    "touched_cpu_s": "every weight touched, s of a processor",
    "loaded_mb": "peak when loaded, MB",
    "touched_mb": "peak when touched, MB",
    "private_mb": "of these its own, not the file's pages, MB",
}


def load_sfumato(path: Path, place: Path) -> list[torch.nn.Module]:
    """Load every network with Sfumato's torch backend, as float16; the autoencoder as float32."""
    from written_families import loaded

    return list(loaded(_located(path), "float16").values())


def load_diffusers(path: Path, place: Path) -> list[torch.nn.Module]:
    """Load every network with diffusers, as float16, with the configurations in `place`."""
    import diffusers

    index = json.loads((place / "model_index.json").read_text())
    kind = getattr(diffusers, index["_class_name"])
    pipe = kind.from_single_file(
        str(path), config=str(place), local_files_only=True, torch_dtype=torch.float16, safety_checker=None
    )
    pipe.vae.to(torch.float32)  # as Sfumato has it: common ones overflow float16
    parts = (pipe.unet, pipe.vae, pipe.text_encoder, pipe.components.get("text_encoder_2"))
    return [one for one in parts if one is not None]


LOADERS = {"sfumato": load_sfumato, "diffusers": load_diffusers}


def write_configs(path: Path, place: Path) -> None:
    """Write a folder of the derived configurations, without weights, for diffusers."""
    from sfumato.models.vocabulary import merges_txt, vocab_json

    files = _located(path)
    for network in files.networks:
        tiny.write_json(place / network.name / "config.json", dict(network.config))
        if network.name.startswith("text_encoder"):
            folder = place / network.name.replace("text_encoder", "tokenizer")
            config = files.tokenizer if network.name == "text_encoder" else files.tokenizer_2
            tiny.write_json(folder / "tokenizer_config.json", dict(config or {}))
            (folder / "vocab.json").write_bytes(vocab_json())
            (folder / "merges.txt").write_bytes(merges_txt())
    tiny.write_json(place / "scheduler" / "scheduler_config.json", dict(files.scheduler))
    if files.low_res is not None:
        tiny.write_json(place / "low_res_scheduler" / "scheduler_config.json", dict(files.low_res))
    tiny.write_json(place / "model_index.json", dict(files.index))


def measure(loader: str, path: Path, place: Path) -> None:
    """Load in this process, and print what it took as JSON."""
    import diffusers.models.autoencoders.autoencoder_kl
    import diffusers.models.unets.unet_2d_condition  # noqa: F401 - what both import is not measured
    from transformers import CLIPTextModel  # noqa: F401

    if loader == "diffusers":
        from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline  # noqa: F401
    else:
        import written_families  # noqa: F401 - with the torch backend
    before, private = _resident(), _private()
    started, worked = time.perf_counter(), time.process_time()
    networks = LOADERS[loader](path, place)
    figures = {"loaded_s": time.perf_counter() - started, "loaded_mb": _peak() - before}
    figures["loaded_cpu_s"] = time.process_time() - worked
    for network in networks:
        for weight in network.parameters():
            # As it lies in memory, whichever way that is: nothing is copied.
            whole = weight.detach().as_strided((weight.numel(),), (1,))
            whole[:: 2048 // weight.element_size()].sum()
    figures |= {"touched_s": time.perf_counter() - started, "touched_mb": _peak() - before}
    figures["touched_cpu_s"] = time.process_time() - worked
    print(json.dumps({**figures, "private_mb": _private() - private}))


def compared(name: str, pairs: int, where: Path | None) -> dict[str, list[dict[str, float]]]:
    """Return what each program took, pair by pair."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        path, place = Path(folder) / "model.safetensors", Path(folder) / "configs"
        write_full(name, path)
        write_configs(path, place)
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
        found: dict[str, list[dict[str, float]]] = {loader: [] for loader in LOADERS}
        for number in range(pairs):
            for loader in list(LOADERS)[:: 1 if number % 2 == 0 else -1]:
                found[loader].append(_in_a_process(name, loader, path, place))
                print(name, loader, json.dumps(found[loader][-1]), file=sys.stderr, flush=True)
        return found


def table(name: str, found: dict[str, list[dict[str, float]]]) -> str:
    """Return Markdown rows of medians, and of the median ratio within pairs."""
    lines: list[str] = []
    for key, title in FIGURES.items():
        ours, theirs = ([one[key] for one in found[loader]] for loader in LOADERS)
        ratios = [mine / yours for mine, yours in zip(ours, theirs, strict=True)]
        cells = f"{statistics.median(ours):,.2f} | {statistics.median(theirs):,.2f}"
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        lines.append(f"| {name} | {title} | {cells} | {statistics.median(ratios):.2f} | {spread} |")
    return "\n".join(lines)


def _in_a_process(name: str, loader: str, path: Path, place: Path) -> dict[str, float]:
    command = [sys.executable, __file__, name, "--measure", loader, str(path), str(place)]
    environment = {"HF_HUB_OFFLINE": "1", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def _located(path: Path) -> Any:
    from sfumato.models.files import locate

    return locate(path)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def _private() -> float:
    """Return the MB that are this process's alone: without pages of the file, which are the system's."""
    rows = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(row.split()[1]) for row in rows if row.startswith("Anonymous:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("families", nargs="+", metavar="FAMILY", help=f"of {', '.join(FULL)}")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--where", type=Path, help="the folder to write models into")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        loader, path, place = arguments.measure
        measure(loader, Path(path), Path(place))
        return
    load = os.getloadavg()[0]
    print(f"{arguments.pairs} pairs; load of the machine before: {load:.1f} on {os.cpu_count()} cores\n")
    print("| family | what | sfumato | diffusers | ratio | from pair to pair |\n|---|---|---|---|---|---|")
    for name in arguments.families:
        print(table(name, compared(name, arguments.pairs, arguments.where)), flush=True)


if __name__ == "__main__":
    main()

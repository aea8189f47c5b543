"""Families x layouts: every published family, tiny and at full size, written with random weights in every
layout, loaded without a network, and compared tensor by tensor with what was written.

    python tests/family_layouts.py --tiny                             # every family, every layout
    python tests/family_layouts.py --full sd15 ssd-1b                 # at full size: a file and a folder
    python tests/family_layouts.py --full sd15 --layouts all
    python tests/family_layouts.py --markdown                         # the table of all that was run

Rows are kept in the file that --rows names. Weights are written one tensor at a time, and removed after each
model: 14 GB of disk are needed for Stable Diffusion XL in float32, 7 GB in float16. Every look over a network
ends the process with an error.
"""

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tiny_families as tiny
from full_size_families import FULL, counts, full
from written_families import LAYOUTS, differing, write_layout

USUAL = ("file fp16", "folder")  # of what is run at full size when nothing is said


def checked(name: str, layout: str, at_full_size: bool, where: Path | None = None) -> dict[str, Any]:
    """Write the family `name` in `layout` below the folder `where`, load it and compare; return a row."""
    family, networks = full(name) if at_full_size else (tiny.FAMILIES[name], None)
    networks = tiny.networks_at(family) if networks is None else networks
    sizes = {part: sum(one.numel() for one in each.state_dict().values()) for part, each in networks.items()}
    with tempfile.TemporaryDirectory(dir=where) as folder:
        model = write_layout(layout, family, networks, Path(folder))
        started = time.perf_counter()
        tensors, bad = differing(layout, family, model)
        seconds = time.perf_counter() - started
        gc.collect()
    published = counts(name) if at_full_size else None
    return {
        "family": name,
        "layout": layout,
        "size": "full" if at_full_size else "tiny",
        "tensors": tensors,
        "differing": list(bad),
        "parameters": sizes,
        "as_published": None if published is None else sizes == published,
        "seconds": round(seconds, 1),
    }


def no_network() -> None:
    """Make every look over a network an error, for the rest of this process."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            raise RuntimeError(f"{event} {arguments!r}: this was to be done without a network")

    sys.addaudithook(watch)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the Markdown table of `rows`: tensors that were compared, and what differed."""
    found = {(row["family"], row["layout"], row["size"]): row for row in rows}
    lines = [
        f"| family | parameters of the UNet | {' | '.join(LAYOUTS)} |",
        "|---" * (2 + len(LAYOUTS)) + "|",
    ]
    for name in tiny.FAMILIES:
        cells = [_cell(found.get((name, one, "tiny")), found.get((name, one, "full"))) for one in LAYOUTS]
        known = next((row for key, row in found.items() if (key[0], key[2]) == (name, "full")), None)
        number = "" if known is None else f"{known['parameters']['unet']:,}"
        wrong = " (not as published)" if known is not None and not known["as_published"] else ""
        lines.append(f"| {name} | {number}{wrong} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(small: dict[str, Any] | None, large: dict[str, Any] | None) -> str:
    if small is None and large is None:
        return ""
    return " / ".join(
        "-"
        if row is None
        else str(row["tensors"])
        if not row["differing"]
        else f"{len(row['differing'])} differ"
        for row in (small, large)
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tiny", nargs="*", metavar="FAMILY", help="families at tiny width; default: all")
    parser.add_argument("--full", nargs="*", metavar="FAMILY", choices=FULL, help="families at full size")
    parser.add_argument("--layouts", nargs="*", help="all, or some of: " + ", ".join(LAYOUTS))
    parser.add_argument("--rows", type=Path, default=Path("family-layouts.jsonl"))
    parser.add_argument("--where", type=Path, help="the folder to write models into")
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    no_network()
    for size, names in (("tiny", arguments.tiny), ("full", arguments.full)):
        usual = tuple(LAYOUTS) if size == "tiny" or arguments.layouts == ["all"] else USUAL
        layouts = usual if arguments.layouts in (None, ["all"]) else arguments.layouts
        for name in [] if names is None else names or tuple(FULL):
            for layout in layouts:
                row = checked(name, layout, size == "full", arguments.where)
                print(json.dumps(row), flush=True)
                with arguments.rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    if arguments.markdown:
        print(table(_rows(arguments.rows)))


if __name__ == "__main__":
    main()

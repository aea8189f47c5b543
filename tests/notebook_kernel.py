"""Execute a notebook in a real kernel: `PYTHONPATH=tests python -m notebook_kernel --keep notebooks/*.ipynb`.

With `--keep`, what the cells show is written into the notebooks, in the little that a reader on GitHub wants:
texts and pictures, no warnings, and no frames with a studio that is closed by then. Cells with the tag
network are left out, and lose what they showed.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient

NETWORK: Final = "network"  # the tag of cells that are for people alone
MOST_SECONDS: Final = 240  # a cell, on the busiest machine


def execute(notebook: Path, folder: Path) -> dict[str, Any]:
    """Return `notebook` as it is after all cells ran, in `folder`. Raises CellExecutionError."""
    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    client = NotebookClient(
        book,
        timeout=MOST_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        skip_cells_with_tag=NETWORK,
    )
    return json.loads(nbformat.writes(client.execute()))


def tidy(book: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook with little of what its cells showed: see above. Counts and times are left out."""
    cells = []
    for cell in book["cells"]:
        kept = {**cell}
        if cell["cell_type"] == "code":
            kept["metadata"] = {name: one for name, one in cell["metadata"].items() if name != "execution"}
            kept["execution_count"] = None
            shown = [] if NETWORK in cell["metadata"].get("tags", ()) else map(_tidied, cell["outputs"])
            kept["outputs"] = [one for one in shown if one is not None]
        cells.append(kept)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        **book,
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
    }


def _tidied(shown: dict[str, Any]) -> dict[str, Any] | None:
    if shown["output_type"] == "stream":
        return shown if shown["name"] == "stdout" else None
    data: dict[str, Any] = shown.get("data", {})
    for kind in ("image/jpeg", "text/html"):  # Pillow gives JPEG beside the larger PNG
        if kind == "text/html" and not "".join(data.get(kind, ())).startswith("<img "):
            continue
        if kind in data:
            return {"output_type": "display_data", "metadata": {}, "data": {kind: data[kind]}}
    return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="notebook_kernel", description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--keep", action="store_true", help="write what the cells show into the notebooks")
    parser.add_argument("--to", type=Path, help="write the notebook as it was executed to this file")
    given = parser.parse_args()
    for notebook in given.notebooks:
        with tempfile.TemporaryDirectory() as folder:
            book = execute(notebook, Path(folder))
        if given.to is not None:
            given.to.write_text(json.dumps(book), encoding="utf-8")
        if given.keep:
            text = json.dumps(tidy(book), indent=1, ensure_ascii=False)
            notebook.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

"""Drawing under a limit of the system's that is reached: `python tests/memory_limit.py` draws in tiles and in
few rows, then limits its own address space to what it has by now and a little more, less and less of it, and
draws again as a whole until the memory really runs out. What is drawn then must be the same pictures. Linux
only; run by tests/engine/test_stepping_down.py.
"""

import json
import resource
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sfumato.engine.events import Event, Picture, SteppedDown
from sfumato.engine.run import draw
from sfumato.models.bundle import ModelBundle
from sfumato.models.memory import give_back
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

#: For each case: pictures, their side, and the rows that go through the network at a time.
CASES = {"decoding": (1, 256, 1), "predicting": (8, 128, 16)}
TILE = 256  # latents: what the engine decodes at a time once it must
MOST, LEAST, LESS = 24_000_000, 2_000_000, 0.87  # bytes beside what is there, and the share tried next


def main() -> None:
    """Print, for each case, what was said and how far the pictures are apart."""
    torch.set_num_threads(1)
    print(json.dumps({name: _case(*case) for name, case in CASES.items()}))


def _case(count: int, side: int, rows: int) -> dict[str, object]:
    bundle = replace(tiny_bundle(), max_rows=rows)
    wanted = _pixels(_drawn(replace(bundle, max_latents=TILE, max_rows=1), count, side))
    more, said, made = float(MOST), [], []
    while not said and more > LEAST:
        made = _limited(bundle, count, side, int(more))
        said = [one.warnings[0] for one in made if isinstance(one, SteppedDown)]
        more *= LESS
    drawn = _pixels(made)
    apart = max(int(np.abs(one - other).max()) for one, other in zip(wanted, drawn, strict=True))
    return {"apart": apart, "pictures": len(drawn), "said": said}


def _limited(bundle: ModelBundle, count: int, side: int, more: int) -> list[Event]:
    """Return the events of a drawing that may take so many bytes beside what is there."""
    give_back()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + more, before[1]))
    try:
        return _drawn(bundle, count, side)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _drawn(bundle: ModelBundle, count: int, side: int) -> list[Event]:
    part = TextPart(prompt="a frog on a beach")
    asked = Recipe(parts=(part,), seed=3, count=count, steps=1, width=side, height=side)
    with closing(draw(resolve(asked, bundle.defaults), bundle)) as events:
        return list(events)


def _pixels(events: Sequence[Event]) -> list[NDArray[np.int16]]:
    return [one.pixels.astype(np.int16) for one in events if isinstance(one, Picture)]


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())

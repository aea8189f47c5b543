"""Runs whose memory runs out: less at a time, the same pictures, and a clear end where nothing helps.

The backend below is torch's, with real allocations that fail when it is asked for more than it may take.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sfumato.engine.animator import Animator
from sfumato.engine.events import Done, Event, Picture, Started, StepDone, SteppedDown
from sfumato.engine.run import draw
from sfumato.engine.seeing import Look, watched
from sfumato.engine.trace_folder import TraceFolder
from sfumato.errors import OutOfMemoryError
from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.backends.torch import TorchBackend
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.models.memory import DECODING, PREDICTING, tells_of_memory
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.refining import RefinePart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

LARGE = 160  # 20 x 20 latents: more than the smallest tile


@dataclass(frozen=True, eq=False)
class Cramped(TorchBackend):
    """Predicts so many rows at a time, and decodes so many latents (h * w), and no more; nor at the call of
    number `fails_at`, nor, unless it `holds_all`, with all of the model in memory. `calls` and `decoded` are
    what it was asked for.
    """

    most_rows: int = 64
    most_latents: int = 1 << 30
    fails_at: int | None = None
    holds_all: bool = True
    calls: list[int] = field(default_factory=list[int])
    decoded: list[int] = field(default_factory=list[int])

    @tells_of_memory(PREDICTING)
    def predict(
        self, x: torch.Tensor, t: float, context: torch.Tensor, extra: Extra = NOTHING
    ) -> torch.Tensor:
        self.calls.append(x.shape[0])
        if x.shape[0] > self.most_rows or (self.keeping is None and not self.holds_all):
            torch.empty(1 << 60)
        return super().predict(x, t, context, extra)

    @tells_of_memory(DECODING)
    def decode(self, latents: torch.Tensor) -> NDArray[np.float32]:
        self.decoded.append(latents.shape[2] * latents.shape[3])
        if self.decoded[-1] > self.most_latents or len(self.decoded) == self.fails_at:
            np.empty(1 << 60, np.float32)
        return super().decode(latents)


def cramped(bundle: ModelBundle | None = None, **limits: Any) -> ModelBundle:
    """Return the tiny model with these limits; without a `bundle` of its own, it cannot be read again, as
    others share it.
    """
    shared = tiny_bundle() if bundle is None else bundle
    own = {one.name: vars(shared.backend)[one.name] for one in fields(shared.backend)}  # type: ignore[arg-type]
    if bundle is None:
        own["files"] = None
    return replace(shared, backend=Cramped(**own, **limits))


def recipe(count: int = 4, side: int = 64) -> Resolved:
    part = TextPart(prompt="a frog on a beach")
    wanted = Recipe(parts=(part,), seed=3, count=count, steps=2, width=side, height=side)
    return resolve(wanted, tiny_bundle().defaults)


def run(resolved: Resolved, bundle: ModelBundle) -> list[Event]:
    with closing(draw(resolved, bundle)) as events:
        return list(events)


def pictures(events: Sequence[Event]) -> dict[int, NDArray[np.int16]]:
    return {one.index: one.pixels.astype(np.int16) for one in events if isinstance(one, Picture)}


def assert_same(events: Sequence[Event], wanted: Sequence[Event], most: int = 1) -> None:
    ours, theirs = pictures(events), pictures(wanted)
    assert sorted(ours) == sorted(theirs)
    for index, pixels in ours.items():
        # Batches of another size round differently in the last digit.
        assert np.abs(pixels - theirs[index]).max() <= most


@pytest.mark.parametrize("most", [4, 1])
def test_fewer_rows_draw_the_same_pictures(most: int) -> None:
    bundle = cramped(most_rows=most)
    events = run(recipe(), bundle)
    assert_same(events, run(recipe(), tiny_bundle()))
    downs = [one for one in events if isinstance(one, SteppedDown)]
    assert [one.indices for one in downs] == [(0, 1, 2, 3)] * (1 if most == 4 else 2)
    assert "ran out while predicting" in downs[0].warnings[0]
    assert "at most 4 of 8 rows" in downs[0].warnings[0]
    assert isinstance(bundle.backend, Cramped)
    assert bundle.backend.calls[0] == 8
    assert bundle.backend.calls[-1] == most


def test_events_are_one_run() -> None:
    events = run(recipe(), cramped(most_rows=2))
    kinds = [type(one) for one in events]
    assert kinds.count(Started) == kinds.count(Done) == 1
    assert kinds[0] is Started
    assert kinds[-1] is Done
    steps = [one for one in events if isinstance(one, StepDone)]
    assert [one.finished_steps for one in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].total_steps == len(steps) == 8


def test_what_was_finished_stays() -> None:
    """Memory that runs out when the second picture is decoded: the first does not come twice."""
    resolved, bundle = recipe(2, LARGE), cramped(fails_at=2)
    events = run(resolved, bundle)
    assert [one.index for one in events if isinstance(one, Picture)] == [0, 1]
    assert [one.indices for one in events if isinstance(one, SteppedDown)] == [(1,)]
    tiled = pictures(run(resolved, replace(tiny_bundle(), max_latents=256)))
    whole = pictures(run(resolved, tiny_bundle()))
    assert np.abs(pictures(events)[0] - whole[0]).max() <= 1
    assert np.abs(pictures(events)[1] - tiled[1]).max() <= 1
    assert np.abs(whole[1] - tiled[1]).max() > 1


def test_decoding_in_tiles() -> None:
    resolved = recipe(2, LARGE)
    events = run(resolved, cramped(most_latents=256))
    downs = [one for one in events if isinstance(one, SteppedDown)]
    assert [one.indices for one in downs] == [(0, 1)]
    assert "decoded in tiles" in downs[0].warnings[0]
    # As it is where tiles are asked for from the beginning.
    assert_same(events, run(resolved, replace(tiny_bundle(), max_latents=256)))


def test_rows_and_tiles_both() -> None:
    resolved = recipe(2, LARGE)
    events = run(resolved, cramped(most_rows=2, most_latents=300))
    downs = [one.warnings[0].split(":")[0] for one in events if isinstance(one, SteppedDown)]
    assert downs == ["The memory ran out while predicting", "The memory ran out while decoding"]
    assert_same(events, run(resolved, replace(tiny_bundle(), max_latents=256)))


def test_less_of_the_model() -> None:
    own = load_bundle(str(tiny_folder()), tiny_settings())
    events = run(recipe(1), cramped(own, holds_all=False))
    downs = [one.warnings[0] for one in events if isinstance(one, SteppedDown)]
    assert len(downs) == 2  # one row first, which does not help
    assert "less of the model is in memory at a time; what was begun is drawn again" in downs[1]
    assert_same(events, run(recipe(1), tiny_bundle()), most=0)


def test_less_of_a_refiner_where_the_model_cannot_have_less() -> None:
    """A model with adapters over it stays whole; the refiner, which ran out, need not."""
    own = load_bundle(str(tiny_folder()), tiny_settings())
    refiner = cramped(own, holds_all=False)
    wanted = Recipe(parts=(TextPart(prompt="a frog"), RefinePart(model="it", start=0.5)), seed=3, steps=4)
    resolved = resolve(wanted, tiny_bundle().defaults, refiner=refiner.defaults)
    events = run(resolved, replace(cramped(), refiner=refiner))
    downs = [one.warnings[0] for one in events if isinstance(one, SteppedDown)]
    assert "less of the model is in memory at a time" in downs[-1]
    assert_same(events, run(resolved, replace(tiny_bundle(), refiner=tiny_bundle())))


def test_nothing_helps() -> None:
    with pytest.raises(OutOfMemoryError, match=r"predicting: the memory ran out .* less cannot be asked for"):
        run(recipe(), cramped(most_rows=0))
    with pytest.raises(OutOfMemoryError, match=r"decoding: .* Draw a smaller picture"):
        run(recipe(1, LARGE), cramped(most_latents=100))


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space that is kept to")
def test_memory_that_really_runs_out() -> None:
    """In a process of its own, under a limit of the system's."""
    program = Path(__file__).parents[1] / "memory_limit.py"
    # Memory that is let go of goes back to the system at once, so that the limit means what it says.
    exact = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    env = {**os.environ, **exact, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(program.parent)}
    ran = subprocess.run([sys.executable, program], env=env, check=True, capture_output=True, text=True)
    made = json.loads(ran.stdout)
    assert "ran out while decoding: pictures are decoded in tiles" in made["decoding"]["said"][0]
    assert "ran out while predicting: at most " in made["predicting"]["said"][0]
    assert (made["decoding"]["pictures"], made["predicting"]["pictures"]) == (1, 8)
    assert max(one["apart"] for one in made.values()) <= 1


def test_watchers_forget_what_comes_again(tmp_path: Path) -> None:
    bundle = cramped(most_rows=1)
    trace, animator = TraceFolder(tmp_path / "trace"), Animator(tmp_path / "x.webp")
    with closing(watched(draw(recipe(1), bundle), bundle, (trace, animator))) as events:
        list(events)
    rows = (tmp_path / "trace" / "trace.csv").read_text().splitlines()
    assert len(rows) == 1 + 2


def test_a_watcher_is_told() -> None:
    seen: list[object] = []

    class Watching:
        def start(self, started: Started) -> None: ...
        def look(self, look: Look) -> None:
            seen.append(look.before is not None)

        def picture(self, picture: Picture) -> None: ...
        def again(self, indices: tuple[int, ...]) -> None:
            seen.append(indices)

        def finish(self) -> tuple[()]:
            return ()

        def close(self) -> None: ...

    bundle = cramped(most_latents=300)
    with closing(watched(draw(recipe(1, LARGE), bundle), bundle, (Watching(),))) as events:
        list(events)
    assert seen == [True, False, (0,), True, False]

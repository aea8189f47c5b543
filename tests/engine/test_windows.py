"""Windows: where they lie, that they sum to one, and what the network is asked in them."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recording import Recorder
from sfumato.engine.conditions import compile_plan
from sfumato.engine.denoiser import Denoiser
from sfumato.engine.plan import Plan
from sfumato.engine.preparing import encode_plan, tokenise_plan
from sfumato.engine.steering import ControlSteering
from sfumato.engine.windows import ROWS, Chunk, Windows, over_windows, windows_of
from sfumato.imaging.tiles import Tile, Tiling
from sfumato.models.controlnets import locate_controlnet
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Part, TextPart
from sfumato.recipe.resolve import resolve
from tiny_controlnets import write_controlnet
from tiny_models import tiny_bundle

Floats = NDArray[np.float32]
FROG = TextPart(prompt="a frog")
WINDOWS = Windows(8, 4, 8)


def plan_of(*parts: Part, interval: int = 1) -> Plan:
    recipe = Recipe(seed=0, steps=10, guidance=3.0, cache_interval=interval, parts=parts)
    return compile_plan(resolve(recipe, tiny_bundle().defaults))


def denoiser(plan: Plan, backend: Any = None, windows: Windows | None = WINDOWS, **more: Any) -> Denoiser:
    bundle = tiny_bundle()
    contexts, _ = encode_plan(plan, tokenise_plan(plan, bundle), bundle)
    backend = bundle.backend if backend is None else backend
    return Denoiser(backend, bundle.schedule, plan, contexts, 64, windows=windows, **more)


def latents(height: int, width: int, rows: int = 1) -> torch.Tensor:
    return 3 * torch.randn(rows, 4, height, width, generator=torch.Generator().manual_seed(0))


def total_weight(tiling: Tiling) -> Floats:
    total = np.zeros((tiling.height, tiling.width), np.float32)
    for tile, weight in zip(tiling.tiles(), tiling.weights(), strict=True):
        total[tile.place] += weight
    return total


@pytest.mark.parametrize(("side", "overlap"), [(8, 4), (8, 2), (8, 0), (16, 12), (7, 3)])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 20), (8, 40), (17, 9)])
def test_the_weights_of_every_step_sum_to_one(side: int, overlap: int, height: int, width: int) -> None:
    windows = Windows(side, overlap, 8)
    for step in range(12):
        tiling = windows.at(step, height, width)
        assert np.allclose(total_weight(tiling), 1, atol=1e-5)
        assert all(0 <= top <= height - tiling.tile_height for top in tiling.tops)
        assert tiling.tile_height <= side
        assert tiling.tile_width <= side
        assert min(float(weight.min()) for weight in tiling.weights()) > 0


def test_neighbours_share_at_least_the_overlap() -> None:
    for step in range(20):
        for starts in (WINDOWS.at(step, 40, 29).tops, WINDOWS.at(step, 40, 29).lefts):
            assert all(after - before <= 4 for before, after in pairwise(starts))


def test_the_grid_lies_elsewhere_at_every_step_and_the_same_in_every_run() -> None:
    windows = Windows(16, 8, 8)
    tops = [windows.at(step, 64, 64).tops for step in range(8)]
    assert len(set(tops)) >= 6
    inner = {top for one in tops for top in one if 0 < top < 48}
    assert len({top % 8 for top in inner}) >= 6  # no border lies where all others lie
    assert tops == [Windows(16, 8, 8).at(step, 64, 64).tops for step in range(8)]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (4, 8), (2, 3)])
def test_what_fits_into_one_window_is_not_cut(height: int, width: int) -> None:
    assert not WINDOWS.needed(height, width)
    assert WINDOWS.at(3, height, width).tiles() == (Tile(0, 0, height, width),)


def test_windows_are_made_of_pixels_and_a_share() -> None:
    assert windows_of(128, 0.5, 8) == Windows(16, 8, 8)
    assert windows_of(100, 0.25, 8) == Windows(12, 3, 8)
    assert windows_of(4, 0.75, 8) == Windows(1, 0, 8)


@pytest.mark.parametrize("windows", [Windows(8, 4, 8), Windows(64, 32, 8)])
def test_a_picture_of_one_window_is_the_plain_one_bit_for_bit(windows: Windows) -> None:
    plan, x = plan_of(FROG), latents(8, 8, rows=2)
    assert torch.equal(
        denoiser(plan, windows=windows).at(0)(x, 3.0), denoiser(plan, windows=None).at(0)(x, 3.0)
    )


def test_one_window_of_a_chunk_is_what_the_network_sees_there() -> None:
    tiling = Tiling(8, 16, (0,), (0, 8), 8, 8)  # windows that share nothing
    x = np.random.default_rng(0).standard_normal((1, 4, 8, 16)).astype(np.float32)
    (made,) = over_windows(tiling, 1, 64, lambda chunk: (chunk.cut(x) * 2,), np.asarray)
    assert np.array_equal(made, x * 2)


@pytest.mark.parametrize("wanted", [1, 3, 5, 64])
def test_a_network_that_answers_the_same_everywhere_leaves_no_seams(wanted: int) -> None:
    for step in range(5):
        tiling = Windows(8, 4, 8).at(step, 33, 27)

        def constant(chunk: Chunk) -> tuple[Floats, Floats]:
            assert len(chunk.rows) == len(chunk.tiles) == min(wanted, ROWS)
            each = np.asarray(chunk.rows, np.float32)[:, None, None, None]
            ones = np.ones((len(chunk.rows), 5, 8, 8), np.float32)
            return np.broadcast_to(each, (len(chunk.rows), 2, 8, 8)), ones

        made = over_windows(tiling, 3, wanted, constant, np.asarray)
        assert [one.shape for one in made] == [(3, 2, 33, 27), (3, 5, 33, 27)]
        assert np.allclose(made[0], np.arange(3)[:, None, None, None], atol=1e-5)
        assert np.allclose(made[1], 1, atol=1e-5)


def test_all_calls_have_as_many_rows_and_no_more_than_allowed() -> None:
    recorder = Recorder(tiny_bundle().backend)
    denoiser(plan_of(FROG), recorder).at(0)(latents(40, 40, rows=2), 3.0)
    assert set(recorder.rows) == {ROWS}
    recorder = Recorder(tiny_bundle().backend)
    replace(denoiser(plan_of(FROG), recorder), max_rows=3).at(0)(latents(24, 24), 3.0)
    assert set(recorder.rows) == {3}


def test_the_rows_of_a_call_do_not_change_the_picture() -> None:
    run, x = denoiser(plan_of(FROG)), latents(20, 13, rows=2)
    assert torch.allclose(replace(run, max_rows=1).at(2)(x, 3.0), run.at(2)(x, 3.0), atol=1e-4)


def test_a_picture_of_a_batch_equals_the_picture_alone() -> None:
    run, x = denoiser(plan_of(FROG)), latents(20, 13, rows=2)
    together = run.at(1)(x, 3.0)
    assert torch.allclose(run.at(1)(x[1:], 3.0), together[1:], atol=1e-4)


def test_two_evaluations_of_one_step_see_the_same_windows() -> None:
    run, x = denoiser(plan_of(FROG)), latents(20, 20)
    assert torch.equal(run.at(4)(x, 3.0), run.at(4)(x, 3.0))
    assert not torch.equal(run.at(4)(x, 3.0), run.at(5)(x, 3.0))


def test_features_are_reused_in_other_windows_than_they_were_made_in() -> None:
    recorder = Recorder(tiny_bundle().backend)
    run = denoiser(plan_of(FROG, interval=2), recorder)
    x = latents(20, 20)
    full = [run.at(step)(x, 3.0) for step in range(4)]
    per_step = len(recorder.reused) // 4
    assert recorder.reused[0] is False
    assert recorder.reused[-1] is True
    assert per_step > 1
    exact = denoiser(plan_of(FROG)).at(1)(x, 3.0)
    size = exact.std()
    assert (full[1] - exact).square().mean().sqrt() < 0.8 * size  # near it, and not it
    assert not torch.equal(full[1], exact)


def test_a_controlnet_sees_the_part_of_its_picture_that_a_window_shows(tmp_path: Path) -> None:
    write_controlnet(tmp_path)
    network = tiny_bundle().backend.control(locate_controlnet(tmp_path))
    plan, x, windows = plan_of(FROG), latents(16, 16), Windows(8, 0, 8)

    def steered(hint: torch.Tensor) -> torch.Tensor:
        steering = ControlSteering(network, hint, 1.0, frozenset(range(10)))
        return denoiser(plan, windows=windows, controls=(steering,)).at(0)(x, 3.0)

    hint = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    changed = hint.clone()
    changed[..., 120:] = 0
    before, after = steered(hint), steered(changed)
    assert torch.equal(before[..., :8], after[..., :8])
    assert not torch.equal(before[..., 8:], after[..., 8:])
    assert not torch.allclose(before, denoiser(plan, windows=windows).at(0)(x, 3.0))


def test_a_chunk_cuts_its_windows_out() -> None:
    x = torch.arange(2 * 6 * 6).reshape(2, 1, 6, 6)
    chunk = Chunk((1, 0), (Tile(2, 1, 2, 3), Tile(0, 3, 2, 3)))
    cut = chunk.cut(x)
    assert torch.equal(cut[0, 0], x[1, 0, 2:4, 1:4])
    assert torch.equal(cut[1, 0], x[0, 0, 0:2, 3:6])
    assert torch.equal(chunk.of_rows(torch.tensor([[[1.0]], [[2.0]]])).ravel(), torch.tensor([2.0, 1.0]))
    hint = torch.rand(1, 3, 12, 12)
    assert torch.equal(chunk.cut_hint(hint, 2)[0], hint[0, :, 4:8, 2:8])

"""The training loop: resuming is exact, and what goes wrong is said before it is saved."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sfumato.errors import InputError, NumericalError, RecipeError
from sfumato.recipe.train import Reporting
from sfumato.training import checkpoints
from sfumato.training.loop import Averages, learning_rate, step_generator, train
from training.tiny_tasks import Waves, plan, run, same, state

OPTIMIZERS = ("adamw", "muon")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in another order are other sums: two processes compare only at the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("stops", [(4,), (2, 5), (3,)], ids=str)
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, optimizer: str, stops: tuple[int, ...]) -> None:
    whole = run(tmp_path / "whole", optimizer=optimizer)
    for stop in stops:
        run(tmp_path / "stopped", steps=stop, optimizer=optimizer)
        torch.manual_seed(123)  # whatever else happened in between
    last = run(tmp_path / "stopped", optimizer=optimizer)
    assert same(state(tmp_path / "stopped", 7), state(tmp_path / "whole", 7))
    assert last[-1].loss == whole[-1].loss
    assert last[-1].figures == whole[-1].figures


def test_a_killed_process_goes_on_bit_for_bit(tmp_path: Path) -> None:
    folder, optimizer = tmp_path / "killed", "muon"
    source = Path(__file__).parents[2] / "src"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), str(source.parent / "tests")])}
    command = [sys.executable, "-m", "training.tiny_tasks", str(folder), optimizer]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 9:
                process.send_signal(signal.SIGKILL)  # amid whatever it is doing
                break
        process.stdout.close()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    killed = checkpoints.find(folder)[-1].step
    assert killed >= 8

    more: dict[str, Any] = {"steps": 100_000, "optimizer": optimizer, "decay": "constant"}
    reporting = Reporting(every=1, checkpoint=killed + 4)
    for place in (folder, tmp_path / "whole"):
        steps = train(Waves(), plan(**more), reporting, seed=5, folder=place, digest="a", device="cpu")
        while next(steps).checkpoint is None:
            pass
        steps.close()
    assert same(state(folder, killed + 4), state(tmp_path / "whole", killed + 4))


def test_half_a_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "killed", steps=4)
    draft = tmp_path / "killed" / ".draft-000000006"
    draft.mkdir()
    (draft / "state.safetensors").write_bytes(b"half")
    removed = tmp_path / "killed" / ".old-step-000000001"
    removed.mkdir()
    assert run(tmp_path / "killed")[0].step == 4
    assert same(state(tmp_path / "killed", 7), state(tmp_path / "whole", 7))
    assert not draft.exists()
    assert not removed.exists()


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    assert [step.step for step in run(tmp_path)] == [1, 2, 3, 4, 5, 6, 7]
    before = state(tmp_path, 7)
    assert run(tmp_path) == []
    assert same(state(tmp_path, 7), before)


def test_the_folder_of_another_recipe_is_refused(tmp_path: Path) -> None:
    run(tmp_path, steps=3)
    with pytest.raises(RecipeError, match="holds a run of another recipe") as caught:
        run(tmp_path, digest="b")
    assert caught.value.exit_code == 2
    assert [one.step for one in checkpoints.find(tmp_path)] == [3]


def test_reports_are_means_since_the_last(tmp_path: Path) -> None:
    alone = run(tmp_path / "alone")
    reporting = Reporting(every=2, checkpoint=5)
    steps = list(train(Waves(), plan(), reporting, seed=5, folder=tmp_path / "two", digest="a", device="cpu"))
    assert [step.step for step in steps] == [2, 4, 5, 6, 7]
    assert [step.checkpoint is not None for step in steps] == [False, False, True, False, True]
    assert steps[0].loss == pytest.approx((alone[0].loss + alone[1].loss) / 2)
    assert steps[0].figures == pytest.approx({"error": steps[0].loss})
    assert steps[2].loss == pytest.approx(alone[4].loss)
    assert steps[1].samples == 16
    assert steps[1].samples_per_second > 0
    assert steps[-1].seconds_left == 0


def test_it_learns(tmp_path: Path) -> None:
    reporting = Reporting(every=20, checkpoint=1000)
    chosen = plan(steps=60, optimizer="muon", batch_size=16, learning_rate=0.01)
    steps = list(train(Waves(), chosen, reporting, seed=5, folder=tmp_path, digest="a", device="cpu"))
    assert steps[-1].loss < 0.7 * steps[0].loss


class Diverging(Waves):
    """Waves, until a step whose loss (or only its gradient) is not a number."""

    def __init__(self, at: int, *, gradient_only: bool) -> None:
        self._at = at
        self._gradient_only = gradient_only

    def batch(self, step: int, size: int) -> dict[str, Any]:
        return {**super().batch(step, size), "bad": step == self._at}

    def loss(self, modules: Any, batch: Any, random: torch.Generator) -> Any:
        loss, figures = super().loss(modules, batch, random)
        if batch["bad"]:
            # The square root of zero is zero, and its slope is not finite.
            loss = loss + (loss * 0).sqrt() if self._gradient_only else loss * math.nan
        return loss, figures


@pytest.mark.parametrize("gradient_only", [False, True])
def test_a_diverging_run_stops_with_its_last_checkpoint_intact(tmp_path: Path, gradient_only: bool) -> None:
    task, reporting = Diverging(5, gradient_only=gradient_only), Reporting(every=1, checkpoint=3)
    with pytest.raises(NumericalError, match="is not finite at step 5"):
        list(train(task, plan(), reporting, seed=5, folder=tmp_path, digest="a", device="cpu"))
    assert all(bool(torch.isfinite(value).all()) for value in state(tmp_path, 3).values())
    assert [one.step for one in checkpoints.find(tmp_path)] == [3]


def test_one_process_can_train_at_one_precision_after_another(tmp_path: Path) -> None:
    exact = run(tmp_path / "exact", steps=2)
    rough = run(tmp_path / "rough", steps=2, precision="bf16")
    again = run(tmp_path / "again", steps=2)
    assert exact[1].loss == again[1].loss != rough[1].loss
    assert rough[1].loss == pytest.approx(exact[1].loss, rel=0.05)


def test_what_the_machine_lacks_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"optimisation.precision: training on cpu cannot"):
        run(tmp_path, precision="fp16")
    reporting = Reporting()
    absent = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(InputError, match="no such device"):
        next(train(Waves(), plan(), reporting, seed=5, folder=tmp_path, digest="a", device=absent))
    assert list(tmp_path.iterdir()) == []


def test_a_network_can_have_its_share_of_the_rate(tmp_path: Path) -> None:
    def moved(folder: Path, **changes: Any) -> float:
        # AdamW's first step is the learning rate, whatever the gradient.
        run(folder, steps=3, warmup=0, decay="constant", weight_decay=0.0, clip=1e9, **changes)
        torch.manual_seed(5)
        begun = Waves().modules()["words"].state_dict()["weight"]
        return float((state(folder, 3)["model.words.weight"] - begun).abs().max())

    whole, fifth = moved(tmp_path / "a"), moved(tmp_path / "b", rates={"words": 0.2})
    assert fifth == pytest.approx(0.2 * whole, rel=0.2)
    with pytest.raises(RecipeError, match=r"rates: names no network of this stage \(got 'unet'\)"):
        run(tmp_path / "c", rates={"unet": 0.5})


@pytest.mark.parametrize(
    ("decay", "middle", "last"),
    [("constant", 1.0, 1.0), ("linear", 0.75, 0.5025), ("cosine", 0.75, 0.50001)],
)
def test_the_learning_rate_warms_up_and_decays(decay: str, middle: float, last: float) -> None:
    chosen = plan(steps=200, learning_rate=3.0, warmup=10, decay=decay, decay_start=0.0, final_rate=0.5)
    assert learning_rate(chosen, 0) == pytest.approx(0.3, rel=0.01)
    assert learning_rate(chosen, 100) == pytest.approx(3 * middle)
    assert learning_rate(chosen, 199) == pytest.approx(3 * last, rel=1e-4)
    late = plan(steps=200, learning_rate=3.0, warmup=0, decay=decay, decay_start=0.5, final_rate=0.5)
    assert [learning_rate(late, step) for step in (0, 50, 100)] == [3.0] * 3
    assert learning_rate(late, 150) == pytest.approx(3 * middle)


def test_every_step_has_its_own_random_numbers() -> None:
    def drawn(seed: int, step: int) -> list[float]:
        return torch.rand(3, generator=step_generator(seed, step)).tolist()

    assert drawn(1, 2) == drawn(1, 2)
    assert len({tuple(drawn(seed, step)) for seed in (0, 1, 11) for step in (0, 1, 11)}) == 9


def test_averages_follow_the_formula_and_copy_buffers() -> None:
    net = nn.BatchNorm1d(2)
    averages = Averages({"net": net}, 0.5)
    expected = net.weight.detach().clone()
    for step, decay in enumerate((0.1, 2 / 11, 0.25, 4 / 13, 0.5 if 5 / 14 > 0.5 else 5 / 14)):
        with torch.no_grad():
            net.weight += 1
            net.running_mean += 1
        expected = expected * decay + net.weight.detach() * (1 - decay)
        averages.update({"net": net}, step)
        kept = averages.modules["net"]
        assert isinstance(kept, nn.BatchNorm1d)
        torch.testing.assert_close(kept.weight.detach(), expected)
        assert torch.equal(kept.running_mean, net.running_mean)
    before = kept.weight.detach().clone()
    averages.update({"net": net}, 1000)
    torch.testing.assert_close(kept.weight.detach(), (before + net.weight.detach()) / 2)
    assert not any(parameter.requires_grad for parameter in kept.parameters())

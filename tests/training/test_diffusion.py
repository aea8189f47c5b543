"""The diffusion stage: which latents a step sees, how captions are dropped, what is minimised."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sfumato.errors import InputError
from sfumato.recipe.train import DiffusionStage
from sfumato.samplers.schedule import Schedule, add_noise
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene
from sfumato.training.diffusion import SCHEDULER, DiffusionTask, Origin, build_unet
from sfumato.training.latents import LatentCache
from sfumato.training.loop import step_generator
from sfumato.training.objectives import denoising_loss
from sfumato.training.text import CaptionEncoder
from training.tiny_runs import DIFFUSION, write_runs

PAIR = Scene(("frog", "rabbit"), relation="next to")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("diffusion"))


def make(runs: Path, *, steps: int = 8, cache: LatentCache | None = None, **stage: Any) -> DiffusionTask:
    chosen = DiffusionStage.model_validate({**DIFFUSION, **stage})
    origin = Origin(chosen, 3, runs / "text" / "text_encoder", 2, 4, None)
    return DiffusionTask(origin, steps, cache or numbered(6), CaptionEncoder(runs / "text" / "tokenizer"))


def numbered(number: int, *pairs: int) -> LatentCache:
    """Latents that hold their own number; those in `pairs` show two objects."""
    latents = torch.arange(number).half()[:, None, None, None].expand(number, 2, 4, 4).contiguous()
    return LatentCache(latents, tuple(PAIR if i in pairs else Scene(("frog",)) for i in range(number)))


def seen(task: DiffusionTask, steps: range, size: int) -> list[int]:
    return [int(one) for step in steps for one in task.batch(step, size)["latents"][:, 0, 0, 0]]


def test_every_latent_is_seen_once_an_epoch(runs: Path) -> None:
    order = seen(make(runs), range(6), 4)
    epochs = [order[i : i + 6] for i in range(0, 24, 6)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4, 5] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert seen(make(runs), range(3, 6), 4) == order[12:]


def test_single_objects_can_come_first(runs: Path) -> None:
    task = make(runs, cache=numbered(6, 1, 4), single_first=0.5)
    assert sorted(seen(task, range(4), 2)) == [0, 0, 2, 2, 3, 3, 5, 5]
    assert sorted(seen(task, range(4, 7), 2)) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="no single objects"):
        make(runs, cache=numbered(2, 0, 1), single_first=0.5)


def test_captions_are_phrased_anew_and_dropped_at_the_rate(runs: Path) -> None:
    task = make(runs, caption_dropout=0.3)
    batches = [task.batch(step, 50)["ids"] for step in range(8)]
    assert torch.equal(batches[5], task.batch(5, 50)["ids"])
    ids = torch.cat(batches)
    empty = (ids[:, 1] == CaptionEncoder(runs / "text" / "tokenizer").end).float().mean()
    assert 0.22 < float(empty) < 0.38
    assert len({tuple(row) for row in ids.tolist()}) > 3
    never = make(runs, caption_dropout=0.0).batch(0, 50)["ids"]
    assert not bool((never[:, 1] == never[:, -1]).any())


def test_the_loss_is_the_objective_of_the_step_s_noise(runs: Path) -> None:
    task = make(runs)
    modules, batch = task.modules(), task.batch(0, 4)
    loss, figures = task.loss(modules, batch, step_generator(3, 0))
    assert figures == {}
    random = step_generator(3, 0)
    spread = (torch.randperm(4, generator=random) + torch.rand(4, generator=random)) / 4
    t = (spread * 1000).long()
    assert sorted((4 * t // 1000).tolist()) == [0, 1, 2, 3]  # one from each quarter of the schedule
    noise = torch.randn(batch["latents"].shape, generator=random)
    alphas = torch.from_numpy(np.array(Schedule.from_diffusers_config(SCHEDULER).alphas_cumprod))[t]
    unet: Any = modules["unet"]
    context = modules["text_encoder"](input_ids=batch["ids"]).last_hidden_state
    output = unet(add_noise(batch["latents"], noise, alphas), t, encoder_hidden_states=context).sample
    expected = denoising_loss(output, batch["latents"], noise, alphas, "v", 5.0, 0.25)
    assert torch.equal(loss, expected)
    loss.backward()
    assert all(p.grad is not None for p in unet.parameters())


def test_hybrids_can_be_told_by_the_average_of_two_captions(runs: Path) -> None:
    """Row by row what the engine's mix of the two prompts is: the encoded texts, weighted by their shares."""
    hybrid = Scene(("frog", "rabbit"), "red", relation=words.MIXED, share=0.3)
    cache = replace(numbered(4), scenes=(hybrid, Scene(("frog",)), hybrid, PAIR))
    task = make(runs, cache=cache, averaged=1.0, caption_dropout=0.0)
    batch = task.batch(0, 4)
    rows = batch["averaged"].tolist()
    assert sorted(int(batch["latents"][row, 0, 0, 0]) for row in rows) == [0, 2]
    assert batch["shares"].tolist() == pytest.approx([0.3, 0.3])
    assert batch["ids"].shape[0] == 6
    modules = task.modules()
    asked: list[torch.Tensor] = []
    modules["unet"].register_forward_pre_hook(
        lambda _, given, kwargs: asked.append(kwargs["encoder_hidden_states"]), with_kwargs=True
    )
    loss, _ = task.loss(modules, batch, step_generator(3, 0))
    encoded = modules["text_encoder"](input_ids=batch["ids"]).last_hidden_state
    for place, row in enumerate(rows):
        torch.testing.assert_close(asked[0][row], 0.3 * encoded[row] + 0.7 * encoded[4 + place])
    others = [row for row in range(4) if row not in rows]
    torch.testing.assert_close(asked[0][others], encoded[others])
    loss.backward()
    alone = {tuple(ids) for ids in task.batch(1, 4)["ids"].tolist()}
    assert len(alone) > 3
    told = make(runs, cache=cache, averaged=0.0, caption_dropout=0.0).batch(0, 4)
    assert told["averaged"].tolist() == []
    assert told["ids"].shape[0] == 4


def test_networks_begin_the_same_every_time(runs: Path) -> None:
    first, second = (make(runs).modules() for _ in range(2))
    for name, module in first.items():
        rows = second[name].state_dict()
        assert all(torch.equal(value, rows[key]) for key, value in module.state_dict().items())
        assert all(parameter.dtype == torch.float32 for parameter in module.parameters())


def test_the_unet_attends_where_the_recipe_says() -> None:
    stage = DiffusionStage.model_validate(DIFFUSION)
    config = build_unet(stage, 2, 4, 16).config
    assert config["down_block_types"] == ("DownBlock2D", "CrossAttnDownBlock2D")
    assert config["up_block_types"] == ("CrossAttnUpBlock2D", "UpBlock2D")
    assert (config["in_channels"], config["out_channels"], config["sample_size"]) == (2, 2, 4)
    assert config["cross_attention_dim"] == 16
    turned = build_unet(stage.model_copy(update={"attention": (True, False)}), 2, 4, 16).config
    assert turned["down_block_types"] == ("CrossAttnDownBlock2D", "DownBlock2D")


def test_the_schedule_ends_in_pure_noise() -> None:
    schedule = Schedule.from_diffusers_config(SCHEDULER)
    assert schedule.prediction == "v"
    assert schedule.alphas_cumprod[-1] < 1e-6
    assert replace(schedule).alphas_cumprod[0] > 0.99

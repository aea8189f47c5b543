"""Checkpoints: complete or invisible; damage is reported with what to do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sfumato.errors import ModelFileError, OutputError
from sfumato.training import checkpoints


def network(seed: int = 0) -> dict[str, nn.Module]:
    torch.manual_seed(seed)
    return {"net": nn.Linear(3, 2)}


def optimizer(models: dict[str, nn.Module]) -> torch.optim.Optimizer:
    chosen = torch.optim.AdamW(models["net"].parameters(), lr=0.1)
    models["net"](torch.ones(1, 3)).sum().backward()
    chosen.step()
    return chosen


def save(folder: Path, step: int, keep: int = 2) -> checkpoints.Checkpoint:
    models = network(step)
    chosen = optimizer(models)
    return checkpoints.save(folder, step, models, network(step + 100), chosen, {"recipe": "r"}, keep)


def test_everything_comes_back(tmp_path: Path) -> None:
    saved = save(tmp_path, 3)
    assert checkpoints.find(tmp_path) == [saved]
    assert checkpoints.read_facts(saved) == {"recipe": "r", "step": 3}
    models, averages = network(50), network(51)
    chosen = optimizer(models)
    checkpoints.restore(saved, models, averages, chosen)
    begun = network(3)
    expected = optimizer(begun)
    assert torch.equal(models["net"].weight, begun["net"].weight)
    assert torch.equal(averages["net"].weight, network(103)["net"].weight)
    rows, wanted = chosen.state_dict()["state"], expected.state_dict()["state"]
    assert rows.keys() == wanted.keys() == {0, 1}
    for index, row in wanted.items():
        assert row.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(rows[index][name], value) for name, value in row.items())
    alone = network(60)
    checkpoints.load_averages(saved, alone)
    assert torch.equal(alone["net"].weight, network(103)["net"].weight)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 10, 9):
        save(tmp_path, step)
    assert [found.step for found in checkpoints.find(tmp_path)] == [9, 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000009", "step-000000010"]


def test_a_checkpoint_can_be_saved_again(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "step-000000001" / "facts.json").write_text("{}")
    assert checkpoints.read_facts(save(tmp_path, 1)) == {"recipe": "r", "step": 1}


def test_other_folders_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("model", ".draft-000000004", ".old-step-000000003", "step-4", "step-0000000004"):
        (tmp_path / name).mkdir()
    assert checkpoints.find(tmp_path) == []
    assert checkpoints.find(tmp_path / "absent") == []


def read(saved: checkpoints.Checkpoint) -> None:
    checkpoints.read_facts(saved)
    models = network()
    checkpoints.restore(saved, models, network(), optimizer(models))


def damage_truncated(folder: Path) -> None:
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def damage_missing(folder: Path) -> None:
    (folder / "state.safetensors").unlink()


def damage_facts(folder: Path) -> None:
    (folder / "facts.json").write_text('{"recipe": ')


def damage_moved(folder: Path) -> None:
    (folder / "facts.json").write_text(json.dumps({"recipe": "r", "step": 99}))


@pytest.mark.parametrize("damage", [damage_truncated, damage_missing, damage_facts, damage_moved])
def test_a_damaged_checkpoint_says_what_to_do(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    damage(newest.folder)
    with pytest.raises(ModelFileError, match="Remove this folder: the run goes on") as caught:
        read(newest)
    assert str(newest.folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    saved = save(tmp_path, 1)
    with pytest.raises(ModelFileError, match="cannot be read"):
        checkpoints.load_averages(saved, {"net": nn.Linear(4, 2)})
    with pytest.raises(ModelFileError, match="cannot be read"):
        checkpoints.load_averages(saved, {"other": nn.Linear(3, 2)})


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="the checkpoint cannot be written") as caught:
        save(tmp_path / "file", 1)
    assert caught.value.exit_code == 2

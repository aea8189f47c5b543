"""Events are frozen, and hold what a front end shows."""

import dataclasses
from typing import get_args

import pytest

from sfumato.engine.events import Done, Event


@pytest.mark.parametrize("kind", get_args(Event))
def test_events_are_frozen(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_done_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Done({}).seconds = {}  # type: ignore[misc]

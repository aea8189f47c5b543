from sfumato.evaluation.speed.events import Advanced


def test_an_event_is_a_value() -> None:
    assert Advanced("cold: sfumato", 1, 8) == Advanced("cold: sfumato", 1, 8)

import numpy as np

from sfumato.models.adapters.changes import TOKENS, UNCHANGED, Changes, Latest, NetworkChanges
from sfumato.models.adapters.kinds import Difference, Rescaling, Row

WEIGHT = np.ones((3, 2), np.float32)


def test_rows_act_one_after_the_other():
    more = Row("w", "a", "difference", Difference(WEIGHT))
    twice = Row("w", "b", "(IA)^3", Rescaling(np.ones(3, np.float32), on_input=False))
    assert (NetworkChanges({"w": ((more, 1.0), (twice, 1.0))}).applied("w", WEIGHT) == 4).all()
    assert (NetworkChanges({"w": ((twice, 1.0), (more, 1.0))}).applied("w", WEIGHT) == 3).all()
    assert "v" not in NetworkChanges({"w": ((more, 1.0),)})
    assert "w" not in UNCHANGED


def test_words_are_rows_behind_the_table():
    words = NetworkChanges(words=np.zeros((2, 2), np.float32))
    assert TOKENS in words
    assert words.applied(TOKENS, WEIGHT).shape == (5, 2)
    assert (words.applied(TOKENS, WEIGHT)[:3] == WEIGHT).all()


def test_networks_that_stay_have_no_changes():
    changes = Changes("f", {"unet": NetworkChanges()})
    assert changes.of("text_encoder") is UNCHANGED


def test_the_latest_is_kept():
    made = []
    latest = Latest[int]()

    def make() -> int:
        made.append(0)
        return len(made)

    assert [latest.get(name, make) for name in ("a", "a", "b", "a")] == [1, 1, 2, 3]


def test_what_is_kept_can_be_let_go_of():
    latest = Latest[int]()
    assert latest.made is None
    assert latest.get("a", lambda: 1) == latest.made == 1
    latest.clear()
    assert latest.made is None

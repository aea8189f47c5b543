from sfumato.evaluation.speed.turns import Taken, play


def test_a_task_is_done_once_at_least() -> None:
    calls: list[int] = []
    taken = play(lambda: calls.append(1), 0.0)
    assert (taken.times, len(calls)) == (1, 1)


def test_a_task_is_repeated_until_the_time_is_over() -> None:
    taken = play(lambda: None, 0.01)
    assert taken.times > 1
    assert taken.seconds >= 0.01


def test_seconds_for_one() -> None:
    assert Taken(4, 2.0).each == 0.5

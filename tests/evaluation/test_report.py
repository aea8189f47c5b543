import json

import pytest

from judged import judgements, report
from sfumato.evaluation.metrics import wilson
from sfumato.evaluation.prompts import QUICK, SECTIONS
from sfumato.evaluation.report import SCORED, score, table_rows, to_json


def test_scores_count_the_right_sections_and_questions() -> None:
    scores = {(one.label, one.question): one for one in score(judgements(), {})}
    singles = scores["single objects", "object"]
    assert singles.share == wilson(16, 32)
    assert singles.ceiling == wilson(32, 32)
    assert singles.rebuilt == wilson(24, 32)
    assert scores["single objects without a style", "object"].share.n == QUICK.plain
    assert scores["pairs", "both objects"].share.n == QUICK.pairs
    assert scores["held out: pairs", "both objects"].share.n == QUICK.held_out_pairs


def test_a_question_that_was_never_asked_has_no_score() -> None:
    assert {one.question for one in score(judgements(), {})} == {"object", "both objects"}


def test_without_real_renders_the_stored_accuracies_are_the_ceilings() -> None:
    for one in score(judgements(real=False), {"objects": 0.97, "style": 0.99}):
        assert one.ceiling is None
        assert one.rebuilt is None
        assert one.stored_ceiling == (0.97 if one.question == "object" else None)


def test_scored_sections_exist_and_extra_seeds_are_not_scored() -> None:
    used = {section for _, sections, _ in SCORED for section in sections}
    assert used == {section.name for section in SECTIONS} - {"diversity"}


def test_table_rows_are_text_with_sample_sizes_and_intervals() -> None:
    rows = table_rows(report())
    first = rows[0]
    assert (first.label, first.question, first.value, first.n) == ("single objects", "object", "50.0 %", 32)
    assert first.interval == "33.6 to 66.4 %"
    assert (first.ceiling, first.rebuilt) == ("100.0 %", "75.0 %")
    distance, spread, kept, speed = rows[-4:]
    assert (distance.value, distance.interval, distance.ceiling) == ("1.25", "1 to 1.5", "0.5")
    assert (spread.value, spread.n) == ("0.75", 2)
    assert (kept.value, kept.question, kept.interval) == ("27.5", "PSNR in dB", "27.2 to 27.8")
    assert (speed.value, speed.interval, speed.question) == ("2", "1.5 to 3", "pictures per second")


def test_table_rows_without_the_font_say_that_ceilings_are_stored() -> None:
    rows = table_rows(report(real=False, stored={"objects": 0.97}))
    assert rows[0].ceiling == "97.0 % (stored)"
    assert [row.label for row in rows if "Fréchet" in row.label or "diversity" in row.label] == []
    assert [row.label for row in rows if row.rebuilt or "autoencoder" in row.label] == []


@pytest.mark.parametrize("real", [True, False])
def test_json_holds_every_figure_and_every_answer(real: bool) -> None:
    whole = report(real=real)
    data = json.loads(to_json(whole))
    assert data["version"] == 1
    assert data["setup"]["model"] == "tiny"
    shown = data["scores"][0]
    assert shown["share"] == {"value": 0.5, "low": 0.336309, "high": 0.663691, "n": 32}
    assert (data["frechet"] is not None) == (data["psnr"] is not None) == real
    assert (shown["rebuilt"] is not None) == real
    assert data["speed"] == {"value": 2.0, "low": 1.5, "high": 3.0, "n": 71}
    assert len(data["pictures"]) == QUICK.pictures
    second = data["pictures"][1]
    assert second["prompt"] == whole.judgements[1].asked.prompt
    assert not second["right"]
    assert second["answers"][0]["seen"] == "something else"
    assert set(data["sections"]) >= {picture["section"] for picture in data["pictures"]}

"""The words of the tab Models."""

import re
from pathlib import Path

from sfumato.models.report import lines_of
from sfumato.serving.studio.models_showing import COLUMNS, FIRST
from sfumato.serving.studio.models_texts import MODELS
from sfumato.serving.studio.words import ENGLISH

#: What a report without a gap is told as.
REPORT = {
    **dict.fromkeys(("file", "kind", "layout", "family", "title", "seen", "prediction_type"), "x"),
    **dict.fromkeys(("digest", "sha256", "auto_v2", "auto_v3"), "x"),
    **{"kind": "LoRA", "zero_terminal_snr": True, "because": ["x"], "num_bytes": 1, "tensors": 1},
    **{"parameters": 1, "numbers": {"F16": 1}, "memory": None, "metadata": {"a": "b"}, "not_finite": []},
    "says": {
        **dict.fromkeys(("title", "author", "licence", "date", "architecture", "base", "resolution"), "x"),
        **dict.fromkeys(("library", "task"), "x"),
        "words": [{"word": "x", "count": 1}],
        "loras": [{"lora": "x", "sha256": "x"}],
    },
}


def test_everything_that_is_told_of_a_model_has_a_title() -> None:
    told = {*lines_of(REPORT), *FIRST}
    assert {f"model_fact_{one}" for one in told} <= MODELS.keys()
    assert all(f"column_{one}" in ENGLISH for one in COLUMNS)


def test_the_page_says_them_all() -> None:
    assert all(ENGLISH[name] == text for name, text in MODELS.items())


def test_every_one_of_them_is_said_somewhere() -> None:
    folder = Path(__file__).parents[3] / "src" / "sfumato" / "serving" / "studio"
    files = [one for one in folder.glob("models_*.py") if one.name != "models_texts.py"]
    source = "".join(one.read_text(encoding="utf-8") for one in files)
    said = set(re.findall(r"""['"](models_[a-z_]+)['"]""", source))
    made = {"models_layout_folder", "models_layout_file"}
    assert {one for one in MODELS if one.startswith("models_")} == said | made

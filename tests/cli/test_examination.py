from dataclasses import replace

from sfumato.cli.examination import LIBRARIES, examine
from sfumato.settings import Settings
from tiny_models import tiny_folder, tiny_settings


def test_findings() -> None:
    found = examine(tiny_settings(tiny_folder().parent))
    assert tuple(found.libraries) == LIBRARIES
    assert found.settings["max inputs"] == "1 GB of copies of pictures"
    assert "tiny" in found.settings["models"]
    assert (found.backend is None) is (found.problem is not None)
    assert found.machine["memory"].endswith(" GB")


def test_the_memory_limit() -> None:
    assert examine(tiny_settings()).settings["max memory"].startswith("auto (")
    limited = replace(tiny_settings(), max_memory=1_500_000_000)
    assert examine(limited).settings["max memory"] == "1.5 GB for decoding"


def test_the_limit_of_copies() -> None:
    limited = Settings.from_environment({"HOME": "/nowhere", "SFUMATO_MAX_INPUTS": "250MB"})
    found = examine(replace(tiny_settings(), max_inputs=limited.max_inputs))
    assert found.settings["max inputs"] == "0.25 GB of copies of pictures"
    assert "0.25 GB of copies of pictures" in found.text()
    assert found.report()["settings"] == found.settings


def test_what_cannot_draw_is_a_problem() -> None:
    found = examine(replace(tiny_settings(), dtype="int8"))
    assert (found.backend, found.reason) == (None, None)
    assert str(found.problem).startswith("precision: only openvino draws with weights of eight bits")


def test_good_and_bad_news_in_words() -> None:
    found = examine(tiny_settings())
    assert (found.backend, found.reason) == ("torch cpu float32", "as asked")
    good = replace(found, reason="fastest here; no GPU", libraries={"torch": None})
    assert good.text().endswith("draws with   torch cpu float32 (fastest here; no GPU)")
    assert good.report()["reason"] == "fastest here; no GPU"
    assert "torch        not installed" in good.text()
    bad = replace(found, backend=None, problem="model: is missing")
    assert bad.text().endswith("cannot draw   model: is missing")
    assert bad.report()["problem"] == "model: is missing"

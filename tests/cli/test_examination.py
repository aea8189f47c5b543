from dataclasses import replace

from sfumato.cli.examination import LIBRARIES, examine
from tiny_models import tiny_folder, tiny_settings


def test_findings() -> None:
    found = examine(tiny_settings(tiny_folder().parent))
    assert tuple(found.libraries) == LIBRARIES
    assert "tiny" in found.settings["models"]
    assert (found.backend is None) is (found.problem is not None)
    assert found.machine["memory"].endswith(" GB")


def test_good_and_bad_news_in_words() -> None:
    found = examine(tiny_settings())
    good = replace(found, backend="torch cpu float32", problem=None, libraries={"torch": None})
    assert good.text().endswith("draws with   torch cpu float32")
    assert "torch        not installed" in good.text()
    bad = replace(found, backend=None, problem="model: is missing")
    assert bad.text().endswith("cannot draw   model: is missing")
    assert bad.report()["problem"] == "model: is missing"

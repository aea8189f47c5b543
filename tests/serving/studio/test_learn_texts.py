"""What the tab Learn says: whole, its own, and with a source for every why."""

import re

from sfumato.serving.studio.learn_texts import LEARN
from sfumato.serving.studio.words import ENGLISH


def test_names_are_of_the_tab_and_of_the_page() -> None:
    assert all(name.startswith("learn_") for name in LEARN)
    assert LEARN.items() <= ENGLISH.items()


def test_every_why_has_a_source() -> None:
    claims = [name.removesuffix("_why") for name in LEARN if name.endswith("_why")]
    assert len(claims) >= 9
    assert [name for name in claims if f"{name}_source" not in LEARN] == []


def test_sources_can_be_found() -> None:
    sources = [text for name, text in LEARN.items() if name.endswith("_source") and name != "learn_source"]
    assert all(re.search(r"(19|20)\d\d|edition", text) for text in sources)
    papers = re.findall(r"arXiv (\S+?)[,;.]?(?:\s|$)", " ".join(sources))
    assert len(papers) >= 10
    assert all(re.fullmatch(r"\d{4}\.\d{4,5}", one) for one in papers)

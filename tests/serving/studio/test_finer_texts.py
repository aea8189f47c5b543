"""What the fold of finer points says is part of the page's words."""

from sfumato.serving.studio.finer_texts import FINER
from sfumato.serving.studio.words import ENGLISH


def test_its_words_are_on_the_page_and_its_own() -> None:
    assert all(ENGLISH[name] == text for name, text in FINER.items())
    assert all(name == "finer" or name.startswith("finer_") for name in FINER)


def test_labels_tell_fields_apart() -> None:
    labels = [text for name, text in FINER.items() if not name.endswith("_info")]
    fields = [text for text in labels if text[0].isupper()]
    assert len(fields) == len(set(fields))

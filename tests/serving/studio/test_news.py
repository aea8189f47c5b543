"""What stands in the page about its look; what it does is tested in browser/test_live_page.py."""

import json
from pathlib import Path

from sfumato.serving.studio.look import Dressed, Look, Source, built_in
from sfumato.serving.studio.news import PAINT, PLACE, STYLE, answer_of, fonts_of, script_of


def test_notes_and_fonts_cannot_end_the_script() -> None:
    note = "</script><script>alert(1)</script>"
    script = script_of(Dressed(Look(font="No Such Font"), Path(), notes=(note,)), "1b", "1a")
    assert script.count("</script>") == script.count("<script>") == 1
    assert "No Such Font" in script
    assert PLACE in script
    assert PAINT in script
    assert '"made": "1b", "built": "1a"' in script


def test_fonts_that_come_along_are_not_looked_for() -> None:
    for look in (Look(font="Montserrat", heading_font="Sans-Serif"), Look(theme="soft", font="No Such Font")):
        assert '"fonts": []' in script_of(Dressed(look, Path()), "1b", "1a")


def test_what_is_said_of_a_font_that_may_not_be_there_is_in_the_words_of_the_look() -> None:
    fonts = fonts_of(Dressed(Look(font="No Such Font", language="de"), Path()))
    assert [name for name, _ in fonts] == ["No Such Font"]
    assert "No Such Font" in fonts[0][1]
    assert fonts != fonts_of(Dressed(Look(font="No Such Font"), Path()))


def test_only_a_look_with_a_source_is_asked_about() -> None:
    paper = built_in("paper")
    assert '"live": false' in script_of(paper, "1b", "1a")
    assert '"live": true' in script_of(Dressed(paper.look, Path(), source=Source(Path())), "1b", "1a")


def test_the_page_is_told_which_language_it_speaks() -> None:
    script = script_of(Dressed(Look(language="de"), Path()), "1b", "1a")
    assert '"language": "de"' in script
    assert '"close": "Schlie\\u00dfen"' in script


def test_an_answer_is_json_and_nothing_is_fetched() -> None:
    answer = json.loads(answer_of("1b", "1a", ("ü <b>",)))
    assert answer == {"made": "1b", "built": "1a", "notes": ["ü <b>"]}
    assert "url(" not in STYLE

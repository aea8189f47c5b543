import help_page


def test_the_page_says_what_help_says() -> None:
    hint = "stale: run .venv/bin/python tests/help_page.py"
    assert help_page.PAGE.read_text(encoding="utf-8") == help_page.page(), hint


def test_the_page_holds_every_command_and_option() -> None:
    page = help_page.page()
    for name, command in help_page.commands().items():
        assert f"## {name}\n" in page
        for parameter in command.params:
            assert all(f"`{option}" in page for option in parameter.opts if option.startswith("--"))


def test_no_line_is_too_long_and_no_markup_is_left() -> None:
    page = help_page.page()
    assert max(len(line) for line in page.splitlines()) <= 120
    assert "[bold]" not in page
    assert r"\[" not in page

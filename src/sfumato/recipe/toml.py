"""Writing TOML, which the standard library only reads: what recipes need, exact to the last bit."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeGuard, cast


def dump_toml(table: Mapping[str, object]) -> str:
    """Return `table` as TOML 1.0. None entries are left out, as TOML has none.

    Keys must be bare (letters, digits, "_", "-"). Numbers must be finite, strings free of lone surrogates.
    """
    lines: list[str] = []
    _write(table, "", lines)
    return "\n".join(lines).strip("\n") + "\n"


def _write(table: Mapping[str, object], path: str, lines: list[str]) -> None:
    later: list[tuple[str, object]] = []
    for key, value in table.items():
        if _is_table(value) or _is_tables(value):
            later.append((key, value))  # a table swallows every key after it, so plain values come first
        elif value is not None:
            lines.append(f"{key} = {_value(value)}")
    for key, value in later:
        name = f"{path}{key}"
        if _is_table(value):
            lines += ["", f"[{name}]"]
            _write(value, f"{name}.", lines)
        elif _is_tables(value):
            for entry in value:
                lines += ["", f"[[{name}]]"]
                _write(entry, f"{name}.", lines)


def _is_table(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping)


def _is_tables(value: object) -> TypeGuard[Sequence[Mapping[str, object]]]:
    if not isinstance(value, list | tuple):
        return False
    entries = cast(Sequence[object], value)
    return bool(entries) and all(_is_table(entry) for entry in entries)


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(entry) for entry in cast(Sequence[object], value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which TOML forbids bare.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)

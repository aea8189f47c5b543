"""Adapters, laid over a recipe's parts by the option --lora, and in words."""

from pathlib import Path
from typing import Any, Final

from sfumato.cli.flags import Flags
from sfumato.recipe.adapters import ResolvedAdapters, read_mark

OFF: Final = "off"


def with_adapters(parts: dict[str, dict[str, Any]], flags: Flags) -> dict[str, dict[str, Any]]:
    """Return `parts`, by kind, with the adapters of `flags` in the place of those before; embeddings stay.
    Raises RecipeError naming the option.
    """
    if not flags.lora:
        return parts
    wanted = [one for one in flags.lora if one.strip().lower() != OFF]
    adapters = [_adapter(one) for one in wanted]
    before: dict[str, Any] = parts.get("adapters", {"kind": "adapters"})
    return {**parts, "adapters": {**before, "adapters": adapters}}


def adapters_in_words(part: ResolvedAdapters) -> dict[str, str]:
    """Return names and values for people."""
    lines: dict[str, str] = {}
    loras: list[str] = []
    for one in part.adapters:
        text = "" if one.text_weight == one.weight else f", {one.text_weight:g} in the text"
        blocks = "".join(f", {name} x {factor:g}" for name, factor in one.blocks.items())
        loras.append(f"{one.name} ({one.hash}), weight {one.weight:g}{text}{blocks}")
    if loras:
        lines["lora"] = "\n".join(loras)
    if part.embeddings:
        lines["embeddings"] = "\n".join(f"{one.name} ({one.hash})" for one in part.embeddings)
    return lines


def _adapter(written: str) -> dict[str, Any]:
    """Return the fields of an adapter; a file may have colons in its name, as drives have on Windows."""
    path, kept = written, ""
    if (name := Path(written)).suffix and name.is_file():
        return {"name": written}
    if len(path) > 2 and path[1] == ":" and path[2] in "/\\":
        kept, path = path[:2], path[2:]
    one = read_mark(path, "lora")
    return {**one.model_dump(exclude_none=True), "name": f"{kept}{one.name}"}

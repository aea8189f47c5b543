"""`sfumato models`: what there is to draw with, what a file is, and its hashes."""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.console import bar, examples, printable, result, result_json, table, warn
from sfumato.errors import InputError, ModelFileError, closest
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.models.library import Entry
    from sfumato.models.load import ListedModel

EXAMPLES = examples(
    "sfumato models",
    "SFUMATO_MODELS=/data/ComfyUI/models sfumato models --json",
    "sfumato models info dreamshaper_8",
    "sfumato models info add-detail.safetensors --json",
    "sfumato models hash",
    "sfumato models pull segmind/tiny-sd",
)
ACTIONS = ("info", "hash", "pull")
KEPT = ("NAME", "KIND", "SIZE", "FOLDER")  # columns that are shown even where they are empty


def models(
    action: Annotated[
        str | None,
        typer.Argument(
            help="info: say what the file or model of that name is, from its header alone. hash: take the "
            "sha256 of files (of all, without names), and remember it. pull: fetch OWNER/NAME from "
            "huggingface.co, or one file of it, OWNER/NAME/FILE; @REVISION may follow. Without: list all."
        ),
    ] = None,
    names: Annotated[
        list[str] | None, typer.Argument(help="Names that are listed, or paths of files and folders.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="With info: also read all weights, and name those that are no numbers."),
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Use no network, whatever is asked for; as SFUMATO_OFFLINE=1 does."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """List models, and the LoRAs, embeddings and other files that go with them.

    Looked through are the folders of SFUMATO_MODELS and the folder "models" of SFUMATO_HOME, as A1111,
    ComfyUI and InvokeAI have them, or plain: diffusers folders and .safetensors files, whatever they are
    called. KIND and FAMILY are told from the header of each file, never from its name. What can be drawn with
    is called by its NAME after --model; a path to any other works as well. COMPILED is what "sfumato compile"
    stored: the precision, and how near its pictures are to those of float32 (the median PSNR).
    """
    settings = Settings.from_environment(os.environ)
    settings = replace(settings, offline=True) if offline else settings
    given = [] if names is None else names
    if action is None:
        _list(settings, as_json)
    elif action == "info":
        from sfumato.cli.model_info import info

        info(_some(given), settings, as_json=as_json, check=check)
    elif action == "hash":
        _hash(given, settings, as_json)
    elif action == "pull":
        _pull(_some(given), settings, as_json)
    else:
        near = closest(action, ACTIONS)
        guess = f"Did you mean {near}? " if near is not None else ""
        hint = f"{guess}There are {', '.join(ACTIONS)}; without any, models are listed."
        raise InputError("unknown action", field="models", value=action, hint=hint)


def _some(names: Sequence[str]) -> Sequence[str]:
    if not names:
        hint = "For example: sfumato models info bundled"
        raise InputError("info and pull need the name of a model", field="models", hint=hint)
    return names


def _list(settings: Settings, as_json: bool) -> None:
    from sfumato.evaluation.parity import stored_parities
    from sfumato.models.backends.openvino.cache import COMPILED
    from sfumato.models.library import MODELS, list_library
    from sfumato.models.load import list_models

    drawn = {model.name: model for model in list_models(settings)}
    rows: list[dict[str, Any]] = []
    for entry in list_library(settings):
        listed = drawn.get(entry.name)
        # What draws is checked whole, and not only its header.
        listed = (
            listed if entry.kind in MODELS and listed is not None and listed.folder == entry.path else None
        )
        compiled = stored_parities(settings.data_dir / COMPILED, entry.path) if listed is not None else ()
        rows.append(_row(entry, listed))
        rows[-1]["compiled"] = [
            {**one.model_dump(mode="json"), "stale": one.stale, "text": one.text()} for one in compiled
        ]
    if as_json:
        for row in rows:
            for one in row["compiled"]:
                del one["text"]
        result_json(rows)
        return
    lines = [_line(row) for row in rows]
    shown = [name for name in lines[0] if name in KEPT or any(line[name] != "-" for line in lines)]
    result(table([[line[name] for name in shown] for line in lines], shown))


def _row(entry: "Entry", listed: "ListedModel | None") -> dict[str, Any]:
    """Return what is told of an entry in JSON."""
    facts = entry.facts
    problem = entry.problem if listed is None or entry.problem is not None else listed.problem
    return {
        "name": entry.name,
        "kind": entry.kind,
        "family": None if facts is None else facts.family,
        "folder": str(entry.path),
        "width": None if listed is None else listed.width,
        "height": None if listed is None else listed.height,
        "num_bytes": entry.num_bytes if listed is None else listed.num_bytes,
        "hash": entry.digest,
        "words": [] if facts is None else [word for word, _ in facts.notes.words],
        "licence": None if facts is None else facts.notes.licence,
        "problem": problem,
    }


def _line(row: dict[str, Any]) -> dict[str, str]:
    """Return the columns of an entry."""
    size = row["num_bytes"] / 1e6
    compiled = ", ".join(one["text"] for one in row["compiled"])
    place = row["folder"] if row["problem"] is None else f"cannot be used: {row['problem']}"
    return {
        "NAME": printable(row["name"]),
        "KIND": row["kind"],
        "FAMILY": row["family"] or "-",
        "PICTURES": "-" if row["width"] is None else f"{row['width']}x{row['height']}",
        "SIZE": f"{size:.0f} MB" if size >= 1 else f"{size:.2f} MB",
        "HASH": row["hash"] or "-",
        "WORDS": ", ".join(row["words"][:3]) or "-",
        "LICENCE": row["licence"] or "-",
        "COMPILED": compiled or "-",
        "FOLDER": printable(place).replace("\n", " "),
    }


def _hash(names: Sequence[str], settings: Settings, as_json: bool) -> None:
    from sfumato.models.digests import digests_of
    from sfumato.models.library import find_any, list_library

    if not names:
        from sfumato.cli.hashing import hash_all

        hash_all(settings)
    paths = (
        [find_any(name, settings) for name in names]
        if names
        else [entry.path for entry in list_library(settings) if entry.problem is None]
    )
    files = [file for path in paths for file in _files(path)]
    rows: list[dict[str, str]] = []
    with bar("reading") as progress:
        for number, file in enumerate(files):
            progress.update(number, len(files), file.name)
            try:
                digests = digests_of(file, settings)
            except ModelFileError as error:  # it went away meanwhile: of those that were named it is an error
                if names:
                    raise
                warn(str(error))
                continue
            short = {"auto_v2": digests.auto_v2, "auto_v3": digests.auto_v3}
            rows.append({"file": str(file), **short, "sha256": digests.whole})
        progress.update(len(files), len(files))
    if as_json:
        result_json(rows)
        return
    lines = [(row["auto_v2"], row["auto_v3"], row["sha256"], printable(row["file"])) for row in rows]
    result(table(lines, ("AUTOV2", "AUTOV3", "SHA256", "FILE")))


def _pull(names: Sequence[str], settings: Settings, as_json: bool) -> None:
    from sfumato.models.pulling import pull

    places: list[str] = []
    for name in names:
        with (
            bar(f"fetching {name}") as progress,
            closing(pull(name, settings, os.environ.get("HF_ENDPOINT") or None)) as reports,
        ):
            for report in reports:
                progress.update(report.finished, max(report.total, 1), report.file)
                if report.place is not None:
                    places.append(str(report.place))
        if not as_json:
            result(printable(places[-1]))
    if as_json:
        result_json(places)


def _files(path: Path) -> list[Path]:
    """Return the safetensors files of a model."""
    return sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]

"""`sfumato models info`: all that the header of a file tells, for people or as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfumato.cli.console import bar, pairs, result, result_json
from sfumato.errors import ModelFileError
from sfumato.models.digests import digests_of
from sfumato.models.facts import FOLDER, Facts, read_facts
from sfumato.models.finite import not_finite
from sfumato.models.library import find_any
from sfumato.models.report import lines_of, report_of
from sfumato.settings import Settings


def info(names: Sequence[str], settings: Settings, *, as_json: bool, check: bool) -> None:
    """Print what each of `names` is. Raises ModelFileError, with `check` also for weights that are no
    numbers, and RecipeError for a name that is not known.
    """
    reports = [_report(find_any(name, settings), settings) for name in names]
    bad = {report["file"]: _bad(Path(report["file"])) for report in reports} if check else {}
    for report in reports:
        if check:
            report["not_finite"] = bad[report["file"]]
    if as_json:
        result_json(reports if len(reports) > 1 else reports[0])
    else:
        result("\n\n".join(pairs(lines_of(report)) for report in reports))
    for place, tensors in bad.items():
        if tensors:
            more = f" and {len(tensors) - 1} more" if len(tensors) > 1 else ""
            hint = "Copy or download the model again; if it was merged, merge it again in float32."
            what = f"{Path(place).name} holds NaN or infinity in {tensors[0]}{more}"
            raise ModelFileError(what, field="model", value=place, hint=hint)


def _report(path: Path, settings: Settings) -> dict[str, Any]:
    facts = read_facts(path)
    return report_of(facts, settings, _hashes(facts, settings))


def _hashes(facts: Facts, settings: Settings) -> dict[str, str | None]:
    if facts.kind == FOLDER:
        from sfumato.models.files import locate

        with bar(f"reading {facts.path.name}"):
            try:
                digest = locate(facts.path).digest()
            except ModelFileError:  # its header can be told all the same
                digest = None
        return {"digest": digest}
    if facts.path.is_dir():
        return {}
    with bar(f"reading {facts.path.name}"):
        digests = digests_of(facts.path, settings)
    return {"sha256": digests.whole, "auto_v2": digests.auto_v2, "auto_v3": digests.auto_v3}


def _bad(path: Path) -> list[str]:
    """Return the tensors of a model that are no numbers."""
    files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
    with bar(f"checking {path.name}"):
        return [name for file in files for name in not_finite(file)]

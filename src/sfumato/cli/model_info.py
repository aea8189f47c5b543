"""`sfumato models info`: all that the header of a file tells, for people or as JSON."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfumato.cli.console import bar, pairs, result, result_json
from sfumato.errors import ModelFileError, SfumatoError
from sfumato.models.digests import digests_of
from sfumato.models.facts import CHECKPOINT, FOLDER, LORA, Facts, read_facts
from sfumato.models.finite import not_finite
from sfumato.models.library import find_any
from sfumato.models.notes import line
from sfumato.settings import Settings

MAX_METADATA = 2_000  # characters of one text of the metadata in JSON
SHOWN = 12  # entries of the metadata for people
BAD_SHOWN = 5


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
        result("\n\n".join(pairs(_lines(report)) for report in reports))
    for place, tensors in bad.items():
        if tensors:
            more = f" and {len(tensors) - 1} more" if len(tensors) > 1 else ""
            hint = "Copy or download the model again; if it was merged, merge it again in float32."
            what = f"{Path(place).name} holds NaN or infinity in {tensors[0]}{more}"
            raise ModelFileError(what, field="model", value=place, hint=hint)


def _report(path: Path, settings: Settings) -> dict[str, Any]:
    facts = read_facts(path)
    notes = facts.notes
    return {
        "file": str(path),
        "kind": facts.kind,
        "layout": facts.layout,
        "family": facts.family,
        "title": facts.title,
        "seen": facts.seen,
        "prediction_type": facts.prediction,
        "zero_terminal_snr": facts.zero_snr,
        "because": list(facts.because),
        "num_bytes": facts.num_bytes,
        "tensors": facts.tensors,
        "parameters": facts.parameters,
        "numbers": dict(facts.numbers),
        "memory": _memory(facts, settings),
        **_hashes(facts, settings),
        "says": {
            "title": notes.title,
            "author": notes.author,
            "licence": notes.licence,
            "date": notes.date,
            "architecture": notes.architecture,
            "base": notes.base,
            "resolution": notes.resolution,
            "words": [{"word": word, "count": count} for word, count in notes.words],
            "loras": [{"lora": lora, "sha256": digest} for lora, digest in notes.loras],
        },
        "metadata": {line(key): line(text, MAX_METADATA) for key, text in facts.metadata.items()},
    }


def _memory(facts: Facts, settings: Settings) -> dict[str, Any] | None:
    """Return what drawing with a model is estimated to take, one picture of its own size with guidance; None
    of what is no whole model, and where it cannot be drawn with here.
    """
    if facts.kind not in (CHECKPOINT, FOLDER):
        return None
    from sfumato.models.backends.selection import choose
    from sfumato.models.estimate import Drawing, estimate
    from sfumato.models.files import locate
    from sfumato.models.fitting import way_of
    from sfumato.models.load import read_defaults

    try:
        files = locate(facts.path)
        defaults = read_defaults(files, name="", digest="")
        way = way_of(settings, choose(files, settings).backend, _device(settings))
        made = estimate(files, way, Drawing(defaults.width, defaults.height))
    except (SfumatoError, LookupError, TypeError, ValueError):  # what is wrong is said by who draws with it
        return None
    return {
        "backend": way.backend,
        "device": way.device,
        "precision": way.dtype,
        "offload": way.offload,
        "storage": way.storage,
        "width": defaults.width,
        "height": defaults.height,
        "loading": made.loading,
        "loaded": made.loaded,
        "drawing": made.draw,
    }


def _device(settings: Settings) -> str:
    """Return the kind of device that would draw, as far as that is known without importing torch."""
    kind = settings.device.partition(":")[0]
    if kind != "auto":
        return kind
    torch = sys.modules.get("torch")  # which was asked where a GPU is in sight
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"


def _memory_line(memory: dict[str, Any] | None) -> str | None:
    if memory is None:
        return None
    draws, loads = (f"{memory[one] / 1e9:.1f} GB" for one in ("drawing", "loading"))
    how = " ".join(memory[one] for one in ("backend", "device", "precision"))
    kept = [memory[one] for one in ("offload", "storage") if memory[one] not in ("none", "whole")]
    how = ", ".join([how, *kept])
    # openvino loads what it needs when it is first needed.
    loading = "" if memory["backend"] == "openvino" else f"; loads in {loads}"
    return f"draws {memory['width']}x{memory['height']} in about {draws}{loading} ({how})"


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


def _lines(report: dict[str, Any]) -> dict[str, str]:
    """Return a report as names and lines for people, without what is not known."""
    says = report["says"]
    numbers = ", ".join(f"{count:,} {kind}" for kind, count in report["numbers"].items())
    family = report["family"] if report["title"] is None else f"{report['family']} ({report['title']})"
    words = ", ".join(
        one["word"] if not one["count"] else f"{one['word']} ({one['count']})" for one in says["words"]
    )
    prediction = report["prediction_type"]
    if prediction is not None and report["zero_terminal_snr"]:
        prediction += ", zero terminal SNR"
    elif report["zero_terminal_snr"]:
        prediction = "zero terminal SNR"
    if prediction is not None and report["because"]:
        prediction += f" (as said by {' and '.join(map(line, report['because']))})"
    hashes = {
        "digest": report.get("digest"),
        "sha256": report.get("sha256"),
        "AutoV2": report.get("auto_v2"),
        "AutoV3": report.get("auto_v3") if report["kind"] == LORA else None,
    }
    found: dict[str, str | None] = {
        "file": line(report["file"], 1000),
        "kind": f"{report['kind']}, {report['layout']} layout",
        "family": family,
        "seen": report["seen"],
        "predicts": prediction,
        "size": f"{report['num_bytes'] / 1e6:,.1f} MB",
        "tensors": f"{report['tensors']:,}",
        "parameters": f"{report['parameters']:,}",
        "numbers": numbers,
        "memory": _memory_line(report["memory"]),
        **hashes,
        **{name: says[name] for name in ("title", "author", "licence", "date", "architecture", "base")},
        "resolution": says["resolution"],
        "words": words,
        "baked in": "\n".join(f"{one['lora']} ({one['sha256'][:12]})" for one in says["loras"]),
        "metadata": "\n".join(
            f"{key}: {line(text, 80)}" for key, text in sorted(report["metadata"].items())[:SHOWN]
        ),
        "not finite": ", ".join(line(one) for one in report.get("not_finite", [])[:BAD_SHOWN]),
    }
    return {name: text for name, text in found.items() if text}


def _bad(path: Path) -> list[str]:
    """Return the tensors of a model that are no numbers."""
    files = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
    with bar(f"checking {path.name}"):
        return [name for file in files for name in not_finite(file)]

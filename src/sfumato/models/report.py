"""What is told of a model, told from its header and its notes: for `sfumato models info`, and for pages."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from sfumato.errors import SfumatoError
from sfumato.models.facts import CHECKPOINT, FOLDER, LORA, Facts
from sfumato.models.notes import line
from sfumato.settings import Settings

MAX_METADATA: Final = 2_000  # characters of one text of the metadata in JSON
SHOWN: Final = 12  # entries of the metadata for people
BAD_SHOWN: Final = 5


def report_of(facts: Facts, settings: Settings, hashes: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what is known of a model, and the `hashes` of it that the caller has, as values for JSON."""
    notes = facts.notes
    return {
        "file": str(facts.path),
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
        "memory": memory_of(facts, settings),
        **hashes,
        "says": {
            "title": notes.title,
            "author": notes.author,
            "licence": notes.licence,
            "date": notes.date,
            "architecture": notes.architecture,
            "base": notes.base,
            "resolution": notes.resolution,
            "words": [{"word": word, "count": count} for word, count in notes.words],
            "library": notes.library,
            "task": notes.task,
            "loras": [{"lora": lora, "sha256": digest} for lora, digest in notes.loras],
        },
        "metadata": {line(key): line(text, MAX_METADATA) for key, text in facts.metadata.items()},
    }


def lines_of(report: dict[str, Any]) -> dict[str, str]:
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
        "memory": memory_line(report["memory"]),
        **hashes,
        **{name: says[name] for name in ("title", "author", "licence", "date", "architecture", "base")},
        "resolution": says["resolution"],
        "task": says["task"],
        "library": says["library"],
        "words": words,
        "baked in": "\n".join(f"{one['lora']} ({one['sha256'][:12]})" for one in says["loras"]),
        "metadata": "\n".join(
            f"{key}: {line(text, 80)}" for key, text in sorted(report["metadata"].items())[:SHOWN]
        ),
        "not finite": ", ".join(line(one) for one in report.get("not_finite", [])[:BAD_SHOWN]),
    }
    return {name: text for name, text in found.items() if text}


def memory_of(facts: Facts, settings: Settings) -> dict[str, Any] | None:
    """Return what drawing with a model is estimated to take, one picture of its own size with guidance; None
    of what is no whole model, and where it cannot be drawn with here.
    """
    if facts.kind not in (CHECKPOINT, FOLDER):
        return None
    from sfumato.models.backends.selection import choose
    from sfumato.models.defaults import read_defaults
    from sfumato.models.estimate import Drawing, estimate
    from sfumato.models.files import locate
    from sfumato.models.fitting import way_of

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


def memory_line(memory: Mapping[str, Any] | None) -> str | None:
    """Return `memory_of` as a line for people."""
    if memory is None:
        return None
    draws, loads = (f"{memory[one] / 1e9:.1f} GB" for one in ("drawing", "loading"))
    how = " ".join(memory[one] for one in ("backend", "device", "precision"))
    kept = [memory[one] for one in ("offload", "storage") if memory[one] not in ("none", "whole")]
    how = ", ".join([how, *kept])
    # openvino loads what it needs when it is first needed.
    loading = "" if memory["backend"] == "openvino" else f"; loads in {loads}"
    return f"draws {memory['width']}x{memory['height']} in about {draws}{loading} ({how})"


def _device(settings: Settings) -> str:
    """Return the kind of device that would draw, as far as that is known without importing torch."""
    kind = settings.device.partition(":")[0]
    if kind != "auto":
        return kind
    torch = sys.modules.get("torch")  # which was asked where a GPU is in sight
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"

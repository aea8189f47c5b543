"""What `sfumato doctor` finds out about this machine."""

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata

from sfumato import __version__
from sfumato.cli.console import pairs
from sfumato.errors import InputError, SfumatoError
from sfumato.models.backends.selection import choose
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model, list_models, load
from sfumato.models.memory import system_memory
from sfumato.scenes.drawing import find_font
from sfumato.settings import Settings

LIBRARIES = (
    "openvino",
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "numpy",
    "pillow",
    "tokenizers",
    "safetensors",
)
GB = 1e9


@dataclass(frozen=True)
class Examination:
    """Names and values for people, the library versions (None: not installed), and the verdict: the `backend`
    that will draw and the `reason` for it, or the `problem` that prevents it.
    """

    machine: dict[str, str]
    libraries: dict[str, str | None]
    settings: dict[str, str]
    backend: str | None
    reason: str | None
    problem: str | None

    def text(self) -> str:
        """Return the findings as lines."""
        versions = {
            name: "not installed" if found is None else found for name, found in self.libraries.items()
        }
        verdict = (
            {"draws with": f"{self.backend} ({self.reason})"}
            if self.backend is not None
            else {"cannot draw": str(self.problem)}
        )
        return pairs({**self.machine, **versions, **self.settings, **verdict})

    def report(self) -> dict[str, object]:
        """Return the findings for JSON."""
        return {
            "machine": self.machine,
            "libraries": self.libraries,
            "settings": self.settings,
            "backend": self.backend,
            "reason": self.reason,
            "problem": self.problem,
        }


def examine(settings: Settings) -> Examination:
    """Look around, and load the bundled model: nothing else says for certain what will draw."""
    backend, reason, problem = None, None, None
    try:
        found = find_model(BUNDLED, settings)
        reason = choose(found.files, settings).reason
        backend = load(found, settings).backend.name
    except SfumatoError as error:
        problem = str(error)
    models = [model.name for model in list_models(settings) if model.problem is None]
    return Examination(
        machine=_machine(),
        libraries={name: _version(name) for name in LIBRARIES},
        settings={
            "backend": settings.backend,
            "device": settings.device,
            "dtype": settings.dtype,
            "offload": settings.offload,
            "storage": settings.storage,
            "max memory": _limit(settings),
            "max inputs": f"{settings.max_inputs / GB:.3g} GB of copies of pictures",
            "data folder": str(settings.data_dir),
            "models": ", ".join(models) if models else "none",
            "emoji font": _font(),
        },
        backend=backend,
        reason=reason,
        problem=problem,
    )


def _machine() -> dict[str, str]:
    return {
        "sfumato": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "processors": _processors(),
        "memory": _memory(),
    }


def _processors() -> str:
    # A container may grant fewer than the machine has.
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return f"{usable} ({platform.machine()})"


def _memory() -> str:
    if not hasattr(os, "sysconf"):  # Windows
        return "unknown"
    return f"{system_memory() / GB:.1f} GB"


def _limit(settings: Settings) -> str:
    if settings.max_memory is None:
        return "auto (decoding takes half of it at most)"
    return f"{settings.max_memory / GB:.3g} GB for decoding"


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _font() -> str:
    try:
        return str(find_font())
    except InputError:
        return "not found (needed to train and evaluate: Debian package fonts-noto-color-emoji)"

"""Which backend draws a model, decided before any of them is imported, and why.

On a GPU that is torch, on a processor the compiled graphs of openvino, wherever they can draw the model.
torch takes seconds to import, so it is asked only where the machine shows a GPU: it alone knows whether it
can use that one.
"""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from os import environ
from pathlib import Path
from typing import Final, Literal

from sfumato.errors import InputError, MissingExtraError
from sfumato.models.files import ModelFiles
from sfumato.settings import EIGHT_BITS, Settings

INSTALL_TORCH: Final = 'Run: pip install "sfumato[torch]"'
TORCH_STACK: Final = ("torch", "diffusers", "transformers")  # what the torch backend imports
GPUS: Final = ("cuda", "mps")

# What drivers leave on a machine, below its root or Windows' folder: NVIDIA's, those of WSL 2, and AMD's.
_DRIVER_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "linux": ("proc/driver/nvidia/version", "dev/nvidiactl", "dev/dxg", "dev/kfd"),
    "win32": ("System32/nvcuda.dll",),
}


@dataclass(frozen=True)
class Choice:
    """The backend that draws and the `reason`, a clause for people.

    `warning` is a sentence when auto had to take a slower one than this machine is made for, else None.
    """

    backend: Literal["torch", "openvino"]
    reason: str
    warning: str | None = None


@dataclass(frozen=True)
class Facts:
    """What there is to choose from.

    `missing` names the first module of the torch backend that is not installed, `gpu` the kind of GPU (cuda,
    mps) that torch can use, and `gpu_seen` tells whether the machine shows one. `broken` says why openvino
    cannot be used here, and `unsupported` why it cannot draw this model; None: it can.
    """

    missing: str | None = None
    gpu: str | None = None
    gpu_seen: bool = False
    broken: str | None = None
    unsupported: str | None = None


def choose(files: ModelFiles, settings: Settings) -> Choice:
    """Return what draws the model of these files. Raises as `decide` does.

    Imports openvino when that is chosen, and torch only where a GPU is in sight.
    """
    missing = next((name for name in TORCH_STACK if find_spec(name) is None), None)
    looking = settings.backend == "auto" and settings.device == "auto" and settings.dtype not in EIGHT_BITS
    root = Path(environ.get("SYSTEMROOT", "C:/Windows") if sys.platform == "win32" else "/")
    seen = looking and gpu_in_sight(root, sys.platform, platform.machine())
    gpu = _usable_gpu() if seen and missing is None else None
    if settings.backend == "torch" or _kind(settings) in GPUS or gpu is not None or _only_torch(settings):
        return decide(settings, Facts(missing, gpu, seen))
    from sfumato.models.backends.openvino.support import unsupported

    reason = unsupported(files)
    broken = _broken_openvino() if reason is None else None
    return decide(settings, Facts(missing, gpu, seen, broken, reason))


def decide(settings: Settings, facts: Facts) -> Choice:
    """Return the choice that follows from settings and facts.

    Raises InputError for settings that contradict each other or the model, MissingExtraError when what is
    needed is not installed.
    """
    on_gpu = _kind(settings) in GPUS
    only_torch = _only_torch(settings)
    if only_torch is not None and (settings.backend == "openvino" or settings.dtype in EIGHT_BITS):
        field, value = only_torch
        if settings.backend == "openvino":
            raise InputError(
                "is for the backend torch",
                field=field,
                value=value,
                hint=f"Leave out {field}, or let the backend be chosen.",
            )
        raise InputError(
            f"is for openvino, and the {field} {value} for torch",
            field="precision",
            value=settings.dtype,
            hint="Use bf16 or f32; the storage int8 has torch keep weights of eight bits.",
        )
    if settings.dtype in EIGHT_BITS and (settings.backend == "torch" or on_gpu):
        raise InputError(
            "only openvino draws with weights of eight bits, on the processor",
            field="precision",
            value=settings.dtype,
            hint="Use bf16 or f32, or leave backend and device to be chosen.",
        )
    if settings.backend == "openvino":
        return _asked_openvino(settings, facts)
    if settings.backend == "torch":
        return _torch("as asked", facts)
    if on_gpu:
        return _torch(f"the device {settings.device} was asked for", facts)
    if facts.gpu is not None:
        return _torch(f"fastest here; the GPU is {facts.gpu}", facts)
    if only_torch is not None:
        return _torch(f"the one with the {only_torch[0]} {only_torch[1]}", facts)
    obstacle = facts.unsupported if facts.broken is None else facts.broken
    if settings.dtype == "float16":
        obstacle = "float16 is not compiled (bf16 and f32 are)"
    if obstacle is None:
        return Choice("openvino", _why_openvino(settings, facts))
    if settings.dtype in EIGHT_BITS:
        raise InputError(
            f"only openvino draws with weights of eight bits, and {obstacle}",
            field="precision",
            value=settings.dtype,
            hint="Use bf16 or f32.",
        )
    if facts.missing is not None:
        raise MissingExtraError(
            f"this is drawn with torch, as {obstacle}, and {facts.missing} is not installed",
            hint=INSTALL_TORCH,
        )
    return Choice("torch", obstacle, f"Drawing with torch, which is slower here: {obstacle}.")


def gpu_in_sight(root: Path, system: str, machine: str) -> bool:
    """Tell whether a machine looks as if torch could find a GPU, without importing torch.

    `root` is the root of its files (on Windows, Windows' own folder), `system` as in `sys.platform`,
    `machine` as `platform.machine` says it.
    """
    if system == "darwin":
        return machine == "arm64"
    return any((root / name).exists() for name in _DRIVER_FILES.get(system, ()))


def _asked_openvino(settings: Settings, facts: Facts) -> Choice:
    if _kind(settings) in GPUS:
        raise InputError(
            "openvino draws on the processor here",
            field="device",
            value=settings.device,
            hint="For a GPU use the backend torch, or leave it to be chosen.",
        )
    if settings.dtype == "float16":
        raise InputError(
            "the compiled backend does not compute in float16",
            field="precision",
            value="float16",
            hint="Use bf16 or f32, or the backend torch.",
        )
    if facts.broken is not None:
        raise MissingExtraError(facts.broken, hint="Run: pip install --force-reinstall openvino")
    if facts.unsupported is not None:
        raise InputError(
            f"cannot draw this model: {facts.unsupported}",
            field="backend",
            value="openvino",
            hint="Use the backend torch.",
        )
    return Choice("openvino", "as asked")


def _torch(reason: str, facts: Facts) -> Choice:
    if facts.missing is not None:
        raise MissingExtraError(f"{facts.missing} is not installed", hint=INSTALL_TORCH)
    return Choice("torch", reason)


def _why_openvino(settings: Settings, facts: Facts) -> str:
    if settings.dtype in EIGHT_BITS:
        return f"the only one for {settings.dtype}"
    if settings.device != "auto":
        return "fastest on a processor"
    if not facts.gpu_seen:
        return "fastest here; no GPU"
    if facts.missing is not None:
        return 'fastest without torch; for the GPU: pip install "sfumato[torch]"'
    return "fastest here; this torch cannot use the GPU"


def _only_torch(settings: Settings) -> tuple[str, str] | None:
    """Return the field and the value of a setting that only torch can follow; None where there is none."""
    if settings.offload not in ("auto", "none"):
        return "offload", settings.offload
    return None if settings.storage in ("auto", "whole") else ("storage", settings.storage)


def _kind(settings: Settings) -> str:
    return settings.device.partition(":")[0]


def _usable_gpu() -> str | None:
    from importlib import metadata  # brings along the parts of an HTTP client

    try:
        # A build for processors alone says so in its version, which spares the import.
        if metadata.version("torch").endswith("+cpu"):
            return None
        import torch
    except (metadata.PackageNotFoundError, ImportError, OSError):  # OSError: one of its libraries is missing
        return None
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def _broken_openvino() -> str | None:
    if find_spec("openvino") is None:
        return "openvino is not installed"
    try:
        import sfumato.models.backends.openvino.runtime  # noqa: F401 - whether it can be imported
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            # Compiled modules say of whatever stops their import that they cannot be imported.
            raise KeyboardInterrupt from error
        return f"openvino cannot be imported ({' '.join(str(error).split())})"
    return None

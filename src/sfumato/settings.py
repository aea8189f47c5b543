"""Where things are and how much is allowed: read once from the environment, then passed down as a value."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sfumato.errors import InputError, closest

BACKENDS: Final = ("auto", "torch", "openvino")
DEVICES: Final = ("auto", "cpu", "cuda", "mps")
DTYPES: Final = ("auto", "float32", "float16", "bfloat16", "int8", "int8-full")
EIGHT_BITS: Final = ("int8", "int8-full")  # which openvino alone computes in
TORCH_COMPILE: Final = ("off", "on", "graphs")
OFFLOADS: Final = ("auto", "none", "component", "sequential")
STORAGES: Final = ("auto", "whole", "float8", "int8")
PRECISIONS: Final = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}  # the short names of dtypes

LEAST_MEMORY: Final = 10**6  # "4" is no limit that anybody means
MOST_MEMORY: Final = 10**15
_SIZE: Final = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*(?:([kmgt])(i)?)?b?")
_USUAL_WORDS: Final = {
    **{"gpu": "cuda", "nvidia": "cuda", "metal": "mps"},
    **{"compiled": "openvino", "pytorch": "torch"},
    **{"fp32": "f32", "fp16": "f16", "half": "f16"},
    **{"fp8": "float8", "f8": "float8"},
}


@dataclass(frozen=True)
class Settings:
    """Paths, device and limits of one process.

    `backend` says what runs the networks, `device` where, and `dtype` what they compute in; "auto" leaves it
    to `sfumato.models.backends.selection`. openvino alone has int8, weights of eight bits, and int8-full:
    what they are multiplied with too, in the UNet.

    `max_pixels` bounds width * height of one picture, read or drawn; `max_count` the pictures of one recipe;
    `max_steps` the steps of one picture; `max_prompt_chars` the characters of one prompt. `max_memory` bounds
    the bytes that decoding one picture may take beside the model's weights: what needs more is decoded in
    tiles. None stands for half of the memory of what decodes. `max_inputs` bounds the bytes of the copies of
    pictures that recipes begin with, in the data folder. `torch_compile`, in the torch backend: "on" has
    torch.compile make kernels for the UNet, "graphs" also records them as CUDA graphs. `offline`: nothing may
    use the network, not even `sfumato models pull`, which with shared themes of the studio is all that does.

    `offload`, in the torch backend, says what of a model is in memory (that of the device) while it draws:
    "none" leaves all of it there, "component" has the networks there that are at work, "sequential" one layer
    at a time; "auto" leaves it to what the model is estimated to need. `storage` is how its matrices are kept
    there: "whole", in what is computed with, or in 8 bits, "float8" or "int8"; "auto" is whole.
    `cache_memory` bounds the bytes of loaded models that are kept for the next drawing by who draws several
    times; None stands for half of the memory. `visitors_manage`: visitors whom a password let in may convert
    models and give them back, and not only whoever opened the studio.
    """

    data_dir: Path
    model_dirs: tuple[Path, ...] = ()
    backend: str = "auto"
    device: str = "auto"
    dtype: str = "auto"
    max_pixels: int = 16_777_216  # 4096 x 4096: 50 MB as RGB, far below what a decompression bomb asks for
    max_count: int = 1000
    max_steps: int = 1000
    max_prompt_chars: int = 2_000_000
    max_memory: int | None = None
    max_inputs: int = 1_000_000_000
    torch_compile: str = "off"
    offload: str = "auto"
    storage: str = "auto"
    offline: bool = False
    cache_memory: int | None = None
    visitors_manage: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Build the settings from environment variables (give it `os.environ`).

        Read: ``SFUMATO_HOME`` (data folder), ``SFUMATO_MODELS`` (model folders, separated as in PATH),
        ``SFUMATO_BACKEND`` (auto, torch or openvino), ``SFUMATO_DEVICE`` (auto, cpu, mps, cuda or cuda:N),
        ``SFUMATO_DTYPE`` (a name of `DTYPES` or `PRECISIONS`), ``SFUMATO_MAX_MEMORY``,
        ``SFUMATO_MAX_INPUTS`` and ``SFUMATO_CACHE_MEMORY`` (auto, or a size, as 800MB, 4GB or 4GiB),
        ``SFUMATO_TORCH_COMPILE`` (off, on or graphs), ``SFUMATO_OFFLOAD`` and ``SFUMATO_STORAGE`` (a name of
        `OFFLOADS`, of `STORAGES`), ``SFUMATO_OFFLINE``, ``HF_HUB_OFFLINE`` and ``SFUMATO_VISITORS_MANAGE``
        (anything but 0, no, off and false);
        ``XDG_DATA_HOME`` and ``HOME`` for the default data folder. An empty variable counts as not
        set.

        Raises InputError for a name that does not exist, and for a size that is none.
        """
        inputs = _memory("SFUMATO_MAX_INPUTS", environ.get("SFUMATO_MAX_INPUTS") or "auto")
        return cls(
            data_dir=_data_dir(environ),
            model_dirs=_model_dirs(environ),
            backend=_backend("SFUMATO_BACKEND", environ.get("SFUMATO_BACKEND") or "auto"),
            device=_device(environ),
            dtype=_dtype("SFUMATO_DTYPE", environ.get("SFUMATO_DTYPE") or "auto"),
            max_memory=_memory("SFUMATO_MAX_MEMORY", environ.get("SFUMATO_MAX_MEMORY") or "auto"),
            max_inputs=cls.max_inputs if inputs is None else inputs,
            cache_memory=_memory("SFUMATO_CACHE_MEMORY", environ.get("SFUMATO_CACHE_MEMORY") or "auto"),
            torch_compile=_torch_compile(environ.get("SFUMATO_TORCH_COMPILE") or "off"),
            offload=_named("SFUMATO_OFFLOAD", environ.get("SFUMATO_OFFLOAD") or "auto", OFFLOADS),
            storage=_named("SFUMATO_STORAGE", environ.get("SFUMATO_STORAGE") or "auto", STORAGES),
            visitors_manage=_is_on(environ.get("SFUMATO_VISITORS_MANAGE", "")),
            offline=any(_is_on(environ.get(name, "")) for name in ("SFUMATO_OFFLINE", "HF_HUB_OFFLINE")),
        )

    def asked(
        self,
        *,
        backend: str | None = None,
        precision: str | None = None,
        offload: str | None = None,
        storage: str | None = None,
    ) -> "Settings":
        """Return these settings with what was asked for on the command line; None leaves a value as it is.

        Raises InputError naming the flag for a name that does not exist.
        """
        return replace(
            self,
            backend=self.backend if backend is None else _backend("backend", backend),
            dtype=self.dtype if precision is None else _dtype("precision", precision),
            offload=self.offload if offload is None else _named("offload", offload, OFFLOADS),
            storage=self.storage if storage is None else _named("storage", storage, STORAGES),
        )


def _is_on(text: str) -> bool:
    return text.strip().casefold() not in ("", "0", "no", "off", "false")


def _data_dir(environ: Mapping[str, str]) -> Path:
    if home := environ.get("SFUMATO_HOME"):
        return Path(home).expanduser()
    if xdg := environ.get("XDG_DATA_HOME"):
        return Path(xdg) / "sfumato"
    user = environ.get("HOME")
    return (Path(user) if user else Path.home()) / ".local" / "share" / "sfumato"


def _model_dirs(environ: Mapping[str, str]) -> tuple[Path, ...]:
    parts = environ.get("SFUMATO_MODELS", "").split(os.pathsep)
    return tuple(Path(part).expanduser() for part in parts if part)


def _device(environ: Mapping[str, str]) -> str:
    name = environ.get("SFUMATO_DEVICE") or "auto"
    kind, _, index = name.partition(":")
    if kind in DEVICES and (not index or (kind == "cuda" and index.isdecimal())) and not name.endswith(":"):
        return name
    raise _unknown("SFUMATO_DEVICE", name, DEVICES)


def _backend(field: str, name: str) -> str:
    if name in BACKENDS:
        return name
    raise _unknown(field, name, BACKENDS)


def _named(field: str, name: str, known: tuple[str, ...]) -> str:
    if name in known:
        return name
    raise _unknown(field, name, known)


def _dtype(field: str, name: str) -> str:
    name = PRECISIONS.get(name, name)
    if name in DTYPES:
        return name
    raise _unknown(field, name, (*DTYPES, *PRECISIONS))


def _torch_compile(name: str) -> str:
    if name in TORCH_COMPILE:
        return name
    raise _unknown("SFUMATO_TORCH_COMPILE", name, TORCH_COMPILE)


def _memory(field: str, text: str) -> int | None:
    """Return the bytes in a text such as 4GB; None for auto."""
    if text == "auto":
        return None
    hint = "Write for example 800MB, 4GB or 4GiB; or auto."
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None:
        raise InputError("is no size of memory", field=field, value=text, hint=hint)
    number, prefix, binary = match.groups()
    num_bytes = float(number) * (1024 if binary else 1000) ** " kmgt".index(prefix or " ")
    if not LEAST_MEMORY <= num_bytes <= MOST_MEMORY:
        raise InputError("must be between 1 MB and 1000 TB", field=field, value=text, hint=hint)
    return int(num_bytes)


def _unknown(field: str, name: str, known: tuple[str, ...]) -> InputError:
    near = _USUAL_WORDS.get(name.casefold()) or closest(name, known)
    guess = f"Did you mean {near}? " if near is not None else ""
    return InputError(
        "unknown name", field=field, value=name, hint=f"{guess}Choose one of {', '.join(known)}."
    )

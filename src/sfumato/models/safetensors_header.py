"""The header of a safetensors file: what tensors it says it holds, and whether that can be true.

Read and checked before anything else of the file is, and before memory is taken for what it claims: a file
from elsewhere may say anything. The layout (https://github.com/huggingface/safetensors, "Format"): 8 bytes
with the length N of the header, little-endian; N bytes of JSON, `{"NAME": {"dtype": ..., "shape": [...],
"data_offsets": [BEGIN, END]}, ..., "__metadata__": {TEXT: TEXT, ...}}`; then the body, which the tensors must
cover from its first byte to its last, without holes and without overlap.

The reference reader takes headers of 100 MB. Here the largest is 16 MB with 20,000 tensors: checkpoints have
2,600, adapters of every layer 10,000, and what training tools note beside them a few MB.
"""

import errno
import json
import math
import os
import re
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from json.decoder import scanstring  # pyright: ignore[reportAttributeAccessIssue] - public, and untyped
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final, NamedTuple

from sfumato.errors import ModelFileError, shown

MAX_HEADER: Final = 16 * 2**20  # bytes
MAX_TENSORS: Final = 20_000
MAX_NOTES: Final = 10_000  # texts of the metadata
MAX_NAME: Final = 255  # characters of the name of a tensor; the longest that adapters have is 90
MAX_ENTRY: Final = 1_000  # characters of what stands behind a name; 120 is usual
MAX_DIMENSIONS: Final = 8
LENGTH: Final = 8  # bytes that say how long the header is
KEPT: Final = 8  # headers that are remembered, of at most so many bytes, of files so many nanoseconds old
MAX_KEPT: Final = 2**20
SETTLED: Final = 2 * 10**9

#: Bits of one number, by the name of its kind.
BITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
        **dict.fromkeys(("F32", "I32", "U32"), 32),
        **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
        **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
        **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
        **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
        "F4": 4,
    }
)

_METADATA: Final = "__metadata__"
_AGAIN: Final = "Copy or download the model again."
_ONLY: Final = "Only safetensors weights are loaded; get or convert this model as safetensors."
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_COUNT: Final = r"(?:0|[1-9][0-9]{0,18})"
# An entry that is not the first, as all writers write it: read three times as fast as by JSON's own rules,
# which are there for any other.
_PLAIN: Final = re.compile(
    rf',"([^"\\\x00-\x1f]{{1,{MAX_NAME}}})":\{{"dtype":"([A-Z0-9_]{{1,20}})",'
    rf'"shape":\[((?:{_COUNT}(?:,{_COUNT}){{0,7}})?)\],"data_offsets":\[({_COUNT}),({_COUNT})\]\}}'
)
_OTHERS: Final = (  # what other files begin with, what they are, and what to do
    (b"PK\x03\x04", "is a zip archive under the name of a safetensors file, as PyTorch's pickles are", _ONLY),
    (b"version https://git-lfs", "is a git-lfs pointer, which stands for the file", "Run: git lfs pull"),
    (b"GGUF", "is a GGUF file under the name of a safetensors file", _ONLY),
    (b"\x89HDF", "is an HDF5 file under the name of a safetensors file", _ONLY),
    (b"\x1f\x8b", "is compressed with gzip", "Unpack it first: gunzip -k FILE"),
)
_PICKLE: Final = re.compile(rb"\x80[\x01-\x06]")
_PAGE: Final = re.compile(rb"\s*<(?:!doctype|html|head|\?xml|!--)", re.IGNORECASE)
_TEXT: Final = re.compile(rb'\s*[{\[]\s*["}\]]')  # JSON where 8 bytes of length belong
_LINKS: Final = "is a symbolic link that leads back to itself"
_UNREADABLE: Final = {
    errno.ENOENT: ("is missing", _AGAIN),
    errno.ENOTDIR: ("is missing", _AGAIN),
    errno.ELOOP: (_LINKS, "Remove the link, and put the file itself there."),
    errno.EACCES: ("may not be read", "Give yourself the right to read it."),
    errno.EPERM: ("may not be read", "Give yourself the right to read it."),
    errno.ENAMETOOLONG: ("has a name that is too long for this file system", "Give it a shorter name."),
}


class Tensor(NamedTuple):  # a file has thousands of them, and a tuple is made soonest
    """A tensor as the header has it: `dtype` is a key of `BITS`, its numbers are the bytes `start` to `end`
    of the file.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def num_elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """A checked header: the `metadata` as texts, the `tensors` by name in the order of the file, and where
    the `body` behind it begins. The file has `num_bytes`. Metadata and names are as the file has them: they
    may hold any character.
    """

    metadata: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    body: int
    num_bytes: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}


class _Fault(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its name."""

    def __init__(self, what: str, hint: str = _AGAIN) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def read_header(path: Path, *, field: str = "model") -> Header:
    """Read and check the header of the safetensors file `path`; of its body nothing is read.

    Takes less than 150 MB of memory, whatever is in the file. Raises ModelFileError, which names `field`, for
    a file that is missing, unreadable, of another kind (a pickle is not opened, however it is called), not
    whole, or whose header contradicts itself or goes beyond the limits of this module.
    """
    try:
        return _known(path)
    except _Fault as fault:
        what, hint = fault.what, fault.hint
    except OSError as error:
        what, hint = _UNREADABLE.get(error.errno or 0, (f"cannot be read ({error.strerror})", _AGAIN))
    except ValueError:  # a name with a zero byte in it
        what, hint = "has a name that no file can have", "Give the file another name."
    place = f"{path.parent.name}/{path.name}" if path.parent.name else path.name
    raise ModelFileError(f"{_cut(place)} {what}", field=field, value=str(path), hint=hint)


_lock: Final = threading.Lock()
_kept: Final[OrderedDict[tuple[str, int, int, int, int], Header]] = OrderedDict()


def _known(path: Path) -> Header:
    """Return the header of `path`, and remember it: who draws with a file asks for it several times."""
    now = os.stat(path)  # before it is opened: opening a pipe would wait for somebody to write
    key = (os.path.abspath(path), now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
    with _lock:
        header = _kept.get(key)
    if header is None:
        header = _read(path, now.st_mode)
        # A file that is being written may change again before its clock does.
        if header.body <= MAX_KEPT and time.time_ns() - now.st_mtime_ns > SETTLED:
            with _lock:
                _kept[key] = header
                while len(_kept) > KEPT:
                    _kept.popitem(last=False)
    return header


def _read(path: Path, kind: int) -> Header:
    if stat.S_ISDIR(kind):
        raise _Fault("is a folder where a safetensors file belongs", "Give the file in it.")
    if not stat.S_ISREG(kind):
        raise _Fault("is no ordinary file", "Give a safetensors file.")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        text, body = _text(file, size)
    metadata, tensors = _parsed(text, body)
    del text
    _check_places(tensors, body, size)
    return Header(MappingProxyType(metadata), MappingProxyType(tensors), body, size)


def _text(file: BinaryIO, size: int) -> tuple[str, int]:
    """Return the header as text, and where it ends."""
    first = file.read(64)
    if not first:
        raise _Fault("is damaged or truncated (it is empty)")
    length = int.from_bytes(first[:LENGTH], "little")
    if len(first) <= LENGTH or length > size - LENGTH or first[LENGTH : LENGTH + 1] != b"{":
        _check_disguise(first)
        if len(first) <= LENGTH:
            raise _broken(f"it has {len(first)} bytes")
        if length > size - LENGTH:
            raise _broken(f"its header would have {length} bytes, and the file has {size}")
        raise _broken("its header does not begin with a brace")
    if length > MAX_HEADER:
        raise _Fault(
            f"has a header of {length / 2**20:.0f} MB, more than the {MAX_HEADER // 2**20} MB that are read",
            "If it is no damage: remove what its metadata holds beside the tensors.",
        )
    file.seek(LENGTH)
    data = file.read(length)
    if len(data) < length:
        raise _broken("it became shorter while it was read")
    try:
        return data.decode("utf-8"), LENGTH + length
    except UnicodeDecodeError:
        raise _broken("its header is not in UTF-8") from None


def _check_disguise(first: bytes) -> None:
    """Raise a fault that says what a file is that begins with `first` and is no safetensors file."""
    for begin, what, hint in _OTHERS:
        if first.startswith(begin):
            raise _Fault(what, hint)
    if _PICKLE.match(first):
        what = "is a pickle under the name of a safetensors file, which can run any program when opened"
        raise _Fault(what, _ONLY)
    if _PAGE.match(first):
        what = "is a web page, not the model: what was saved is the page of a site, or its refusal"
        raise _Fault(what, "Open it in a browser to see what the site says, and download the file itself.")
    if _TEXT.match(first):
        raise _Fault("is a JSON text, not the model: a site's answer, or an index", _AGAIN)


def _parsed(text: str, body: int) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return metadata and tensors of a header, read one entry at a time: what JSON makes of 16 MB of brackets
    would take hundreds.
    """
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] | None = None
    at = _next(text, 1)
    while text[at : at + 1] != "}":
        if plain := _PLAIN.match(text, at):
            name, dtype, numbers, first, last = plain.groups()
            shape = [int(one) for one in numbers.split(",")] if numbers else []
            first, last, at = int(first), int(last), plain.end()
        else:
            if tensors or metadata is not None:
                at = _past(text, at, ",")
            name, at = _string(text, at)
            at = _past(text, at, ":")
            if name == _METADATA:
                if metadata is not None:
                    raise _broken("its header has two __metadata__")
                metadata, at = _notes(text, at)
                continue
            _check_name(name)
            dtype, shape, first, last, at = _described(name, text, at)
        if name in tensors:
            raise _broken(f"its header names {_cut(name)} twice")
        if len(tensors) == MAX_TENSORS:
            raise _Fault(f"holds more than {MAX_TENSORS} tensors, which no model does")
        tensors[name] = _tensor(name, dtype, shape, body + first, body + last)
    if text[at + 1 :].strip(" \t\r\n\0"):
        raise _broken("its header goes on behind its last brace")
    if not tensors:
        raise _Fault("holds no tensors")
    return metadata or {}, tensors


def _tensor(name: str, dtype: str, shape: list[int], start: int, end: int) -> Tensor:
    """Return the tensor that is described so, once its numbers agree."""
    bits = BITS.get(dtype)
    if bits is None:
        what = f"holds {shown(dtype)} in {_cut(name)}, a kind of number that is not known"
        raise _Fault(what, "If it is no damage: convert it to float16, bfloat16 or float32.")
    if end < start:
        raise _broken(f"{_cut(name)} ends before it begins")
    if math.prod(shape) * bits != 8 * (end - start):
        sizes = f"{'x'.join(map(str, shape)) or 'one number'} of {dtype}, in {end - start} bytes"
        raise _broken(f"{_cut(name)} would be {shown(sizes)[1:-1]}")
    return Tensor(dtype, tuple(shape), start, end)


def _described(name: str, text: str, at: int) -> tuple[str, list[int], int, int, int]:
    """Return what JSON says of a tensor at `at`: dtype, shape, both offsets; and where the text goes on."""
    end = text.find("}", at, at + MAX_ENTRY) + 1
    if not end or text[at] != "{":
        raise _broken(f"its header holds no description of {_cut(name)}")
    try:
        entry = dict(json.loads(text[at:end], object_pairs_hook=_once))
        dtype, shape, (first, last) = (entry.pop(key) for key in ("dtype", "shape", "data_offsets"))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _broken(f"its header holds no description of {_cut(name)}") from None
    if entry:
        raise _broken(f"its header says {shown(next(iter(entry)))} of {_cut(name)}")
    if not isinstance(dtype, str):
        raise _broken(f"{_cut(name)} has the dtype {shown(dtype)}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(map(_is_count, shape)):
        raise _broken(f"{_cut(name)} has the shape {shown(shape)}")
    if not _is_count(first) or not _is_count(last):
        raise _broken(f"{_cut(name)} lies at {shown(first)} to {shown(last)}")
    return dtype, shape, first, last, _next(text, end)


def _notes(text: str, at: int) -> tuple[dict[str, str], int]:
    """Return the metadata that begin at `at`, and where the text goes on."""
    notes: dict[str, str] = {}
    at = _past(text, at, "{")
    while text[at : at + 1] != "}":
        if notes:
            at = _past(text, at, ",")
        key, at = _string(text, at)
        value, at = _string(text, _past(text, at, ":"))
        if key in notes:
            raise _broken(f"its metadata has {shown(key)} twice")
        if len(notes) == MAX_NOTES:
            raise _Fault(f"has more than {MAX_NOTES} entries in its metadata")
        notes[key] = value
    return notes, _next(text, at + 1)


def _check_places(tensors: Mapping[str, Tensor], body: int, size: int) -> None:
    """Raise a fault unless the tensors cover the file from `body` to `size`, each byte once."""
    last, before = body, ""
    for name, tensor in sorted(tensors.items(), key=lambda one: (one[1].start, one[1].end)):
        if tensor.end > size:
            lacks = f"{_cut(name)} ends at byte {tensor.end}, and the file has {size}"
            raise _broken(lacks)
        if tensor.start < last:
            raise _broken(f"{_cut(name)} and {_cut(before)} lie upon each other")
        if tensor.start > last:
            raise _broken(f"{tensor.start - last} bytes before {_cut(name)} belong to no tensor")
        last, before = tensor.end, name
    if last < size:
        raise _broken(f"{size - last} bytes behind {_cut(before)} belong to no tensor")


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME:
        raise _Fault(f"holds a tensor whose name has {len(name)} characters, more than {MAX_NAME}")
    if not name.isascii():
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:  # half a character, written as an escape
            raise _broken(f"its header has a name that is no text, {shown(name)}") from None


def _string(text: str, at: int) -> tuple[str, int]:
    """Return the JSON string that begins at `at`, and where the text goes on."""
    if text[at : at + 1] != '"':
        raise _broken(f"its header is no JSON at character {at}")
    try:
        value, at = scanstring(text, at + 1, True)
    except JSONDecodeError as error:
        raise _broken(f"its header is no JSON at character {error.pos}") from None
    return value, _next(text, at)


def _past(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        raise _broken(f"its header is no JSON at character {at}")
    return _next(text, at + 1)


def _next(text: str, at: int) -> int:
    """Return where the next character is that is no space."""
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(items)
    if len(entry) != len(items):
        raise ValueError("a key stands there twice")
    return entry


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63  # True is an int, too


def _broken(why: str) -> _Fault:
    return _Fault(f"is damaged or truncated ({why})")


def _cut(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:97]}..."

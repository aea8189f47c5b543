"""Safetensors files that are damaged, made up or something else: a table of cases.

`python tests/damaged_headers.py` reads each in a process of its own, and prints what is said and the most
memory that it took.
"""

import io
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Write = Callable[[Path], None]
MARK = "SFUMATO_TEST_MARK"  # names the file that a pickle would write if it were ever opened


class Payload:
    """What runs when somebody unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f'touch "${MARK}"',)


def file_of(header: object, body: int = 0, *, length: int | None = None) -> bytes:
    """Return a file with `header`, a text or what becomes JSON, and `body` bytes of zeros."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + bytes(body)


def entry(start: int = 0, end: int = 8, shape: object = (2,), dtype: object = "F32") -> dict[str, object]:
    """Return how a header describes a tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def data(content: Callable[[], bytes] | bytes) -> Write:
    """Return what writes a file of `content`."""
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content()) and None


def header(content: object, body: int = 8) -> Write:
    """Return what writes a file with a header of `content`."""
    return data(lambda: file_of(content, body))


def said(text: bytes, body: int = 8) -> Write:
    """Return what writes a file with a header of `text`, as it is."""
    return header(text, body)


def _long_header(path: Path) -> None:
    with path.open("wb") as file:
        file.write((100 * 2**20 + 1).to_bytes(8, "little") + b"{")
        file.truncate(101 * 2**20 + 8)  # sparse: takes no room


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _zipped_pickle() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload()))
    return buffer.getvalue()


def _many() -> bytes:
    one = '"layer.%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'
    tensors = ",".join(one % (n, n, n + 1) for n in range(100_000))
    return file_of(f"{{{tensors}}}".encode(), 100_000)


def _notes(text: str) -> bytes:
    return file_of({"__metadata__": {"notes": text}, "a": entry(0, 8, "no")})


_ONE = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
_SAFE = 16 * 2**20 - 200  # the largest header that is parsed, about
_HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4265146304\n"

#: What writes the file, and what must be said of it.
CASES: dict[str, tuple[Write, str]] = {
    # the length of the header
    "empty file": (data(b""), "it is empty"),
    "seven bytes": (data(b"1234567"), "it has 7 bytes"),
    "length alone": (data(bytes(8)), "it has 8 bytes"),
    "length of 2^63": (data(file_of(b"{}", 8, length=2**63)), "header would have 9223372036854775808 bytes"),
    "length of 2^64-1": (data(file_of(b"{}", 8, length=2**64 - 1)), "and the file has 18"),
    "length beyond the file": (data(file_of(b"{}", 8, length=11)), "its header would have 11 bytes"),
    "length of zero": (data(file_of(b"{}", 8, length=0)), "its header is no JSON at character 0"),
    "header of 100 MB": (_long_header, "has a header of 100 MB, more than the 16 MB"),
    # what is no JSON, or another one
    "no JSON": (said(b"{tensors"), "is no JSON at character 1"),
    "half a JSON": (said(_ONE), "is no JSON at character"),
    "a list": (said(b"[1,2,3]"), "does not begin with a brace"),
    "spaces before it": (said(b" " + _ONE + b"}"), "does not begin with a brace"),
    "a surplus comma": (said(_ONE + b",}"), "is no JSON at character"),
    "something behind it": (said(_ONE + b"}{}"), "goes on behind its last brace"),
    "not in UTF-8": (said(b'{"\xff\xfe":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'), "not in UTF-8"),
    "half a character": (said(rb'{"\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'), "no text"),
    "nested 100,000 deep": (said(b'{"a":' + b"[" * 100_000), "no description of a"),
    "nested inside": (said(b'{"a":{"dtype":"F32","shape":' + b"[" * 900 + b"}}"), "no description of a"),
    "nested dictionaries": (said(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "no description of a"),
    "16 MB of brackets": (data(lambda: file_of(b'{"a":[' + b"[]," * (_SAFE // 3))), "no description of a"),
    "16 MB of names": (
        data(lambda: file_of(b"{" + b",".join(b'"%x":0' % n for n in range(_SAFE // 13)) + b"}")),
        "no description of 0",
    ),
    "16 MB of notes": (
        data(lambda: file_of(b'{"__metadata__":{' + b",".join(b'"%x":""' % n for n in range(_SAFE // 14)))),
        "more than 10000 entries in its metadata",
    ),
    "16 MB of one note": (data(lambda: _notes("x" * (_SAFE - 200))), "has the shape 'no'"),
    "16 MB with one wide character": (
        data(lambda: _notes("x" * (_SAFE - 200)).replace(b"xxxx", "\U0001f438".encode(), 1)),
        "has the shape 'no'",
    ),
    "a number of 100,000 digits": (
        said(b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,8]}}'),
        "no description of a",
    ),
    # counts and names
    "100,000 tensors": (data(_many), "holds more than 20000 tensors"),
    "no tensors": (said(b'{"__metadata__":{"format":"pt"}}', 0), "holds no tensors"),
    "nothing at all": (said(b"{}      ", 0), "holds no tensors"),
    "a name twice": (said(_ONE + b"," + _ONE[1:] + b"}"), "names a twice"),
    "a key twice": (said(_ONE[:-1] + b',"dtype":"F32"}}'), "no description of a"),
    "metadata twice": (said(_ONE + b',"__metadata__":{},"__metadata__":{}}'), "two __metadata__"),
    "a note twice": (said(_ONE + b',"__metadata__":{"k":"1","k":"2"}}'), "metadata has 'k' twice"),
    "notes that are no texts": (said(_ONE + b',"__metadata__":{"k":1}}'), "is no JSON at character"),
    "notes that are a list": (said(_ONE + b',"__metadata__":[]}'), "is no JSON at character"),
    "a name of 300 characters": (header({"n" * 300: entry()}), "whose name has 300 characters"),
    # kinds and shapes
    "unknown dtype": (
        header({"a": entry(dtype="F7")}),
        "holds 'F7' in a, a kind of number that is not known",
    ),
    "dtype that is no text": (header({"a": entry(dtype=4)}), "a has the dtype 4"),
    "no dtype": (header({"a": {"shape": [2], "data_offsets": [0, 8]}}), "no description of a"),
    "another key": (header({"a": {**entry(), "code": "x"}}), "says 'code' of a"),
    "negative shape": (header({"a": entry(shape=[-2])}), "a has the shape [-2]"),
    "shapes that multiply to what is there": (header({"a": entry(shape=[-1, -2])}), "has the shape [-1, -2]"),
    "shape that overflows": (header({"a": entry(shape=[2**62, 2**62])}), "in 8 bytes"),
    "shape that overflows to the size": (header({"a": entry(shape=[2**32, 2**32, 2])}), "in 8 bytes"),
    "dimension beyond 64 bits": (header({"a": entry(shape=[2**63])}), "a has the shape"),
    "9 dimensions": (header({"a": entry(shape=[1] * 8 + [2])}), "a has the shape"),
    "fractional shape": (header({"a": entry(shape=[2.0])}), "a has the shape [2.0]"),
    "true as a shape": (header({"a": entry(0, 4, [True])}), "a has the shape [True]"),
    "size against shape": (header({"a": entry(shape=[3])}), "a would be 3 of F32, in 8 bytes"),
    "size against dtype": (header({"a": entry(dtype="F16")}), "a would be 2 of F16, in 8 bytes"),
    # places
    "beyond the end": (header({"a": entry()}, 7), "a ends at byte"),
    "far beyond the end": (header({"a": entry(0, 4 * 10**18, [10**18])}), "a ends at byte 4000000000000000"),
    "backwards": (header({"a": entry(8, 0)}), "a ends before it begins"),
    "negative place": (header({"a": entry(-8, 0)}), "a lies at -8 to 0"),
    "overlapping": (header({"a": entry(0, 8), "b": entry(4, 12)}, 12), "b and a lie upon each other"),
    "the same place": (header({"a": entry(), "b": entry()}), "b and a lie upon each other"),
    "a hole": (header({"a": entry(0, 8), "b": entry(12, 20)}, 20), "4 bytes before b belong to no tensor"),
    "a hole at the beginning": (header({"a": entry(4, 12)}, 12), "4 bytes before a belong to no tensor"),
    "surplus": (header({"a": entry()}, 9), "1 bytes behind a belong to no tensor"),
    "truncated": (header({"a": entry(), "b": entry(8, 16)}, 15), "b ends at byte"),
    # what is no safetensors file
    "pickle": (data(lambda: pickle.dumps(Payload())), "is a pickle under the name of a safetensors file"),
    "old pickle": (data(lambda: pickle.dumps(Payload(), 2)), "is a pickle under the name"),
    "zipped pickle": (data(_zipped_pickle), "is a zip archive under the name of a safetensors file"),
    "web page": (data(_HTML), "is a web page, not the model"),
    "web page behind spaces": (data(b"\n\n  " + _HTML.lower()), "is a web page, not the model"),
    "git-lfs pointer": (data(_POINTER), "is a git-lfs pointer, which stands for the file"),
    "a site's answer": (data(b'{"error": "Unauthorized"}'), "is a JSON text, not the model"),
    "GGUF": (data(b"GGUF\x03\0\0\0" + bytes(64)), "is a GGUF file"),
    "text": (data(b"I am a network"), "its header would have"),
    # what is no file
    "nothing there": (lambda path: None, "is missing"),
    "folder": (lambda path: path.mkdir(), "is a folder where a safetensors file belongs"),
    "symbolic link to itself": (_loop, "leads back to itself"),
    "broken link": (lambda path: path.symlink_to("gone.safetensors"), "is missing"),
    "pipe": (lambda path: os.mkfifo(path), "is no ordinary file"),
}


def _measure(name: str) -> None:
    """Read one case in this process, and print what was said and how much memory was needed."""
    from sfumato.errors import ModelFileError
    from sfumato.models.safetensors_header import read_header

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        subprocess.run([sys.executable, __file__, "write", name, path], check=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            read_header(path)
            line = "NOT REFUSED"
        except ModelFileError as error:
            line = error.message.removeprefix(f"{path.parent.name}/{path.name} ")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"| {name} | {line} | {after * 1024 / 1e6:.0f} | {(after - before) * 1024 / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", name, path]:
            CASES[name][0](Path(path))
        case [name]:
            _measure(name)
        case _:
            print(
                "| the file | what is said: it ... | peak, MB | of these, reading |\n|---|---|---|---|",
                flush=True,
            )
            for name in CASES:
                subprocess.run([sys.executable, __file__, name], check=True)

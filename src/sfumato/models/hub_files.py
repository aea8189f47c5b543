"""Which files of a repository on a hub make a model, and by which names people ask for them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from sfumato.errors import InputError, ModelFileError, closest, shown
from sfumato.models.places import CONFIG, INDEX, PICKLES, WEIGHTS

MAX_FILES: Final = 500

_NAME: Final = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:/(?P<file>[^@]{1,300}))?(?:@(?P<revision>[\w./-]{1,100}))?",
    re.ASCII,
)
_TOKENS: Final = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
_NETWORKS: Final = ("unet", "vae", "text_encoder", "text_encoder_2")
_SHARD: Final = re.compile(r".*-\d{5}-of-\d{5}\.safetensors")


@dataclass(frozen=True)
class Wanted:
    """What is asked for: `repo` as OWNER/NAME, one `file` of it or all, a `revision` or the pinned one."""

    repo: str
    file: str | None
    revision: str | None


@dataclass(frozen=True)
class Remote:
    """A file of a repository: its size, and the digest by which the hub knows it; `sha256` of large files."""

    name: str
    size: int
    sha256: str | None
    blob: str | None


def parse_wanted(name: str) -> Wanted:
    """Read OWNER/NAME, OWNER/NAME/FILE.safetensors, with @REVISION behind it or not. Raises InputError."""
    match = _NAME.fullmatch(name)
    if match is None or (match["file"] is not None and not is_safe(match["file"])):
        hint = "Give OWNER/NAME, or OWNER/NAME/FILE.safetensors, as on huggingface.co; @REVISION may follow."
        raise InputError("no name of a model on the hub", field="model", value=name, hint=hint)
    return Wanted(match["repo"], match["file"], match["revision"])


def choose(listed: Sequence[Remote], wanted: Wanted) -> tuple[Remote, ...]:
    """Return the files of a repository that make the model that is `wanted`. Raises ModelFileError where
    there is none, or several.
    """
    there = {one.name: one for one in listed if is_safe(one.name)}
    if wanted.file is not None:
        found = there.get(wanted.file)
        if found is None or not wanted.file.endswith(WEIGHTS):
            near = closest(wanted.file, [one for one in there if one.endswith(WEIGHTS)])
            hint = "Only safetensors is fetched." if near is None else f"Did you mean {shown(near)}?"
            raise refused(wanted.repo, f"has no safetensors file {shown(wanted.file)}", hint)
        return (found,)
    names = _folder(there) if INDEX in there else _network(there, "") if CONFIG in there else []
    if not names:
        names = [one for one in there if "/" not in one and one.endswith(WEIGHTS)]
        if len(names) > 1:
            hint = f"Name one, for example: sfumato models pull {wanted.repo}/{names[0]}"
            raise refused(wanted.repo, f"has {len(names)} files and is no diffusers folder", hint)
    if not any(one.endswith(WEIGHTS) for one in names):
        pickles = any(one.lower().endswith(PICKLES) for one in there)
        what = "has no safetensors file, but pickles" if pickles else "has no safetensors file"
        raise refused(wanted.repo, what, "Pickles can run any program; look for a copy in safetensors.")
    if len(names) > MAX_FILES:
        raise refused(wanted.repo, f"is a model of {len(names)} files", "Give one file of it.")
    return tuple(there[one] for one in names)


def _folder(there: Mapping[str, Remote]) -> list[str]:
    """Return the files of a diffusers folder that are read."""
    names = [INDEX, *(one for one in there if re.fullmatch(r"\w*scheduler/scheduler_config\.json", one))]
    for folder in ("tokenizer", "tokenizer_2"):
        names += [one for one in (f"{folder}/{part}" for part in _TOKENS) if one in there]
    for folder in _NETWORKS:
        names += _network(there, f"{folder}/")
    return names + [one for one in there if one in ("README.md", "LICENSE", "LICENSE.md", "LICENSE.txt")]


def _network(there: Mapping[str, Remote], folder: str) -> list[str]:
    """Return the files of one network: the plain weights, else those in half precision, else their pieces."""
    if f"{folder}{CONFIG}" not in there:
        return []
    weights = [one for one in there if one.startswith(folder) and "/" not in one[len(folder) :]]
    weights = [one for one in weights if one.endswith(WEIGHTS)]
    plain = [one for one in weights if one[len(folder) :].count(".") == 1 and not _SHARD.fullmatch(one)]
    half = [one for one in weights if one.endswith(f".fp16{WEIGHTS}")]
    index = [one for one in there if one.startswith(folder) and one.endswith(f"{WEIGHTS}.index.json")]
    pieces = [one for one in weights if _SHARD.fullmatch(one)]
    chosen = plain[:1] or half[:1] or (index[:1] + pieces if index else [])
    return [f"{folder}{CONFIG}", *chosen] if chosen else []


def is_safe(name: str) -> bool:
    """Tell whether a name from elsewhere stays within its folder."""
    path = PurePosixPath(name)
    bad = path.is_absolute() or "\\" in name or ":" in name or not name.isprintable()
    return not bad and not any(part in ("..", ".") or part.startswith(".") for part in name.split("/"))


def refused(repo: str, what: str, hint: str) -> ModelFileError:
    """Return the error for a repository that cannot be used; `what` follows its name."""
    return ModelFileError(f"{repo} {what}", field="model", value=repo, hint=hint)

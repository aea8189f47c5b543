"""Models fetched from a hub that speaks huggingface.co's API: pinned to a revision, checked, and remembered.

The only code of Sfumato that uses a network, beside that of shared themes (serving/studio/hub_theme.py), and
only when it is asked to. What it fetches: safetensors and the JSON and text files beside them, never a pickle
and never a program. Every file is compared with the digest that the hub names (sha256 of large files, git's
of small ones); the digests of the first download are written down, and whatever comes later under the same
revision must have them.
"""

import hashlib
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sfumato.errors import InputError, MissingExtraError, ModelFileError, OutputError, shown
from sfumato.imaging.writing import make_folder
from sfumato.models.facts import CONTROLNET, EMBEDDING, LORA, UPSCALER, VAE, read_facts
from sfumato.models.hub_files import Remote, Wanted, choose, parse_wanted, refused
from sfumato.models.places import CONFIG, INDEX, WEIGHTS
from sfumato.models.pulled import COMMIT, read_record, write_record
from sfumato.settings import Settings

STAGE: Final = "pulling"  # in the data folder: what is on its way
HUB: Final = "https://huggingface.co"

#: Where single files go, by what they are; in the data folder.
_PLACES: Final[Mapping[str, str]] = {
    LORA: "loras",
    EMBEDDING: "embeddings",
    CONTROLNET: "controlnets",
    VAE: "models/vae",
    UPSCALER: "models/upscale_models",
}


@dataclass(frozen=True)
class Pulling:
    """A report: `finished` of `total` bytes are there, `file` comes next. The last one has the `place`."""

    finished: int
    total: int
    file: str
    place: Path | None = None


def pull(name: str, settings: Settings, endpoint: str | None = None) -> Generator[Pulling]:
    """Fetch the model called `name` into the data folder, yielding a report before each file and at the end.

    `endpoint` is another hub than huggingface.co. Without a revision, the one that was fetched last is taken,
    so that nothing changes by itself. What was fetched before it was stopped is not
    fetched again. Raises InputError with `offline`, before anything is looked up; ModelFileError for what is
    not there, is no model, or is not what the hub or the record says; MissingExtraError without
    huggingface_hub; OutputError where it cannot be written.
    """
    wanted = parse_wanted(name)
    if settings.offline:
        hint = "Leave out --offline, and unset SFUMATO_OFFLINE and HF_HUB_OFFLINE."
        raise InputError("pulling needs the network", field="model", value=name, hint=hint)
    hub = _Hub(wanted.repo, endpoint)
    record = read_record(wanted.repo, settings)
    commit, listed = hub.listed(wanted.revision or record.revision)
    chosen = choose(listed, wanted)
    known = record.digests.get(commit, {})
    _check_known(wanted.repo, chosen, known)
    total = sum(one.size for one in chosen)
    there = _there(record.places.get(commit), chosen, known)
    if there is not None:
        yield Pulling(total, total, "", there)
        return
    stage = settings.data_dir / STAGE / f"{wanted.repo.replace('/', '--')}-{commit[:12]}"
    make_folder(stage)
    _check_room(stage, total)
    finished = 0
    digests: dict[str, str] = {}
    for one in chosen:
        yield Pulling(finished, total, one.name)
        hub.fetch(one, commit, stage)
        digests[one.name] = _checked(stage / one.name, one, known.get(one.name))
        finished += one.size
    place = _settle(stage, chosen, wanted, settings)
    write_record(wanted.repo, record.with_download(commit, digests, place), settings)
    yield Pulling(total, total, "", place)


def _there(place: str | None, chosen: Sequence[Remote], known: Mapping[str, str]) -> Path | None:
    """Return where an earlier download of all that is chosen is still whole; None where it is not."""
    if place is None or not all(one.name in known for one in chosen):
        return None
    path = Path(place)
    single = path.is_file() and len(chosen) == 1
    files = {path if single else path / one.name: known[one.name] for one in chosen}
    whole = all(file.is_file() and _contents(file) == digest for file, digest in files.items())
    return path if whole else None


class _Hub:
    """A repository on the hub, through its own client, which is imported here and not before."""

    def __init__(self, repo: str, endpoint: str | None) -> None:
        try:
            import huggingface_hub
            from huggingface_hub import constants
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"{error.name} is not installed", hint="Run: pip install 'sfumato[torch]'"
            ) from error
        # Else it asks huggingface.co, whatever the endpoint, what program it runs in.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        self._client = huggingface_hub
        self._repo = repo
        self._endpoint = HUB if endpoint is None else endpoint

    def listed(self, revision: str | None) -> tuple[str, tuple[Remote, ...]]:
        """Return the commit that `revision` is (None: the newest), and all files in it."""
        try:
            api = self._client.HfApi(endpoint=self._endpoint)
            found = api.model_info(self._repo, revision=revision, files_metadata=True)
            files = tuple(_remote(one) for one in found.siblings or ())
        except Exception as error:  # it fails in as many ways as there are networks
            raise self._failed(error, revision) from error
        if found.sha is None or COMMIT.fullmatch(found.sha) is None:
            raise refused(self._repo, "has no commit that could be pinned", "Try another hub.")
        return found.sha, files

    def fetch(self, file: Remote, commit: str, stage: Path) -> None:
        """Fetch a file into `stage`, going on where it was stopped."""
        try:
            self._client.hf_hub_download(
                self._repo, file.name, revision=commit, local_dir=stage, endpoint=self._endpoint
            )
        except Exception as error:
            raise self._failed(error, file.name) from error

    def _failed(self, error: Exception, what: str | None) -> ModelFileError:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        missing = "NotFound" in type(error).__name__
        said = f"is not on {self._endpoint}" if missing else f"could not be fetched from {self._endpoint}"
        about = "" if what is None else f" ({shown(what)})"
        hint = "Look up its name there; models that ask for consent need: hf auth login"
        return refused(self._repo, f"{said}{about}: {why}", hint if missing else "Try again: it goes on.")


def _remote(sibling: Any) -> Remote:
    lfs = sibling.lfs
    size = sibling.size if lfs is None else lfs.size
    return Remote(sibling.rfilename, int(size or 0), None if lfs is None else lfs.sha256, sibling.blob_id)


def _check_known(repo: str, chosen: Sequence[Remote], known: Mapping[str, str]) -> None:
    for one in chosen:
        before = known.get(one.name)
        if before is not None and one.sha256 is not None and one.sha256 != before:
            what = f"now names {one.sha256[:12]} for {shown(one.name)}, which was {before[:12]} at first"
            raise refused(repo, what, "One revision must not change: do not trust this source.")


def _checked(path: Path, remote: Remote, before: str | None) -> str:
    """Return the sha256 of a file that was fetched; remove it where it is not what it should be."""
    whole, blob = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    blob.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
            blob.update(block)
    found = whole.hexdigest()
    good = found == remote.sha256 if remote.sha256 is not None else remote.blob in (None, blob.hexdigest())
    if good and before in (None, found):
        return found
    path.unlink()
    what = f"{remote.name} has not the digest that {'the first download had' if good else 'the hub says'}"
    hint = "It was removed; try again."
    raise ModelFileError(what, field="model", value=found, hint=hint)


def _check_room(stage: Path, total: int) -> None:
    there = sum(one.stat().st_size for one in stage.rglob("*") if one.is_file())
    if shutil.disk_usage(stage).free < total - there:
        hint = f"It needs {total / 1e9:.1f} GB; free some space."
        raise OutputError("the disk is too full", field="output", value=str(stage), hint=hint)


def _settle(stage: Path, chosen: Sequence[Remote], wanted: Wanted, settings: Settings) -> Path:
    """Move what was fetched to where models are found, and return the place."""
    whole = wanted.file is None and any(one.name in (INDEX, CONFIG) for one in chosen)
    shutil.rmtree(stage / ".cache", ignore_errors=True)  # the client's own notes
    fetched = stage if whole else stage / next(one.name for one in chosen if one.name.endswith(WEIGHTS))
    kind = read_facts(fetched).kind
    owner, _, name = wanted.repo.partition("/")
    folder = settings.data_dir / _PLACES.get(kind, "models")
    make_folder(folder)
    place = folder / (name if whole else fetched.name)
    if place.exists() and not _is_same(fetched, place):
        place = folder / (f"{owner}-{name}" if whole else f"{owner}-{name}-{fetched.name}")
    if place.exists() and not _is_same(fetched, place):
        hint = "Move it away, or rename it."
        raise OutputError("another model is there already", field="output", value=str(place), hint=hint)
    try:
        if not place.exists():
            os.replace(fetched, place)
        shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"cannot be moved: {error.strerror}", field="output", value=str(place)) from error
    return place


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether two places hold the same files, by name and content."""
    if one.is_file() or other.is_file():
        return one.is_file() and other.is_file() and _contents(one) == _contents(other)
    names = [sorted(str(file.relative_to(place)) for file in _files(place)) for place in (one, other)]
    return names[0] == names[1] and all(_contents(one / name) == _contents(other / name) for name in names[0])


def _files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file() and ".cache" not in one.parts]


def _contents(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

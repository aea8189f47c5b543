"""Models fetched from a hub on this machine: pinned, checked, resumed, and never without being asked."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from safetensors.numpy import save

from loopback_hub import Hub, serving
from sfumato.errors import InputError, ModelFileError, OutputError
from sfumato.models import pulling
from sfumato.models.folders import known_folders
from sfumato.models.pulled import FOLDER
from sfumato.models.pulling import Pulling, pull
from sfumato.settings import Settings
from sparse_models import LORA
from tiny_models import tiny_folder

REPO = "frogs/green-1"
LATER = "b" * 40


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    tiny_folder()  # its makers would look things up as well
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with serving() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def tiny() -> dict[str, bytes]:
    """Return the tiny model as a repository has it, with files that are none of our business."""
    here = tiny_folder()
    files = {one.relative_to(here).as_posix(): one.read_bytes() for one in here.rglob("*") if one.is_file()}
    return {
        **files,
        "unet/diffusion_pytorch_model.bin": b"\x80\x04}.",
        "pipeline.py": b"print('hello')",
        "../evil.json": b"{}",
        "README.md": b"# A frog",
    }


def lora() -> bytes:
    return save({name: np.zeros(shape, np.float16) for name, shape in LORA.items()})


def last(name: str, settings: Settings, hub: Hub) -> Path:
    *_, report = pull(name, settings, hub.url)
    assert report.place is not None
    assert report.finished == report.total
    return report.place


def test_a_folder_is_fetched_checked_and_found_by_name(hub: Hub, settings: Settings) -> None:
    hub.put(REPO, tiny())
    reports = list(pull(REPO, settings, hub.url))
    place = settings.data_dir / "models" / "green-1"
    assert reports[-1] == Pulling(reports[-1].total, reports[-1].total, "", place)
    assert [one.finished for one in reports] == sorted(one.finished for one in reports)
    assert known_folders(settings)["green-1"] == place
    names = {one.relative_to(place).as_posix() for one in place.rglob("*") if one.is_file()}
    assert {"model_index.json", "unet/diffusion_pytorch_model.safetensors", "README.md"} <= names
    assert not any(name.endswith((".bin", ".py")) for name in names)
    assert not (settings.data_dir / "evil.json").exists()
    assert (place / "model_index.json").read_bytes() == tiny()["model_index.json"]
    record = json.loads((settings.data_dir / FOLDER / "frogs--green-1.json").read_text())
    assert record["revision"] == "a" * 40
    weights = (place / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    digests = record["digests"]["a" * 40]
    assert digests["unet/diffusion_pytorch_model.safetensors"] == hashlib.sha256(weights).hexdigest()
    assert digests.keys() == names
    assert not list((settings.data_dir / "pulling").iterdir())


def test_what_is_there_is_not_fetched_again_and_stays_pinned(hub: Hub, settings: Settings) -> None:
    hub.put(REPO, tiny())
    place = last(REPO, settings, hub)
    hub.put(REPO, {**tiny(), "README.md": b"# Another frog"}, LATER)
    hub.asked.clear()
    assert last(REPO, settings, hub) == place
    assert hub.asked == [f"GET /api/models/{REPO}/revision/{'a' * 40}"]
    assert (place / "README.md").read_bytes() == b"# A frog"


def test_a_later_revision_is_fetched_when_it_is_named(hub: Hub, settings: Settings) -> None:
    first, second = lora(), save({"lora_unet_conv_in.lora_down.weight": np.ones((4, 4), np.float16)})
    hub.put(REPO, {"ink.safetensors": first})
    assert last(REPO, settings, hub) == settings.data_dir / "loras" / "ink.safetensors"
    hub.put(REPO, {"ink.safetensors": second}, LATER)
    place = last(f"{REPO}@{LATER}", settings, hub)
    assert place.name == "frogs-green-1-ink.safetensors"  # the first one is not replaced
    assert place.read_bytes() == second
    assert last(REPO, settings, hub) == place


def test_one_file_of_many_is_named(hub: Hub, settings: Settings) -> None:
    hub.put(REPO, {"a.safetensors": lora(), "b.safetensors": lora(), "c.ckpt": b"\x80\x04}."})
    assert last(f"{REPO}/b.safetensors", settings, hub).name == "b.safetensors"
    for name, words in (
        (REPO, "has 2 files and is no diffusers folder"),
        (f"{REPO}/x.safetensors", "has no safetensors file 'x.safetensors'"),
        (f"{REPO}/c.ckpt", "Only safetensors is fetched"),
    ):
        with pytest.raises(ModelFileError, match=words):
            list(pull(name, settings, hub.url))


def test_a_download_that_was_cut_goes_on(hub: Hub, settings: Settings) -> None:
    weights = save({"lora_unet_conv_in.lora_down.weight": np.arange(6e6, dtype=np.float32).reshape(2, -1)})
    hub.put(REPO, {"ink.safetensors": weights})
    hub.stop_after = 15_000_000  # the client writes pieces of 10 MB
    assert last(REPO, settings, hub).read_bytes() == weights
    assert hub.ranges == ["bytes=10485760-"]


def test_files_that_are_whole_are_not_fetched_again(hub: Hub, settings: Settings) -> None:
    hub.put(REPO, tiny())
    reports = pull(REPO, settings, hub.url)
    for report in reports:
        if report.file.startswith("vae"):  # all before it is there
            break
    reports.close()
    hub.asked.clear()
    last(REPO, settings, hub)
    fetched = [one for one in hub.asked if one.startswith("GET") and "resolve" in one]
    assert any("vae" in one for one in fetched)
    assert not any("unet" in one for one in fetched)


def test_a_file_that_is_not_what_the_hub_says_is_removed(hub: Hub, settings: Settings) -> None:
    hub.put(REPO, {"ink.safetensors": lora()})
    hub.lies["ink.safetensors"] = "0" * 64
    with pytest.raises(ModelFileError, match="has not the digest that the hub says"):
        list(pull(REPO, settings, hub.url))
    assert not list(settings.data_dir.rglob("*.safetensors"))
    hub.lies.clear()
    assert last(REPO, settings, hub).read_bytes() == lora()


def test_a_revision_must_not_change(hub: Hub, settings: Settings) -> None:
    hub.put(REPO, {"ink.safetensors": lora()})
    last(REPO, settings, hub)
    hub.put(REPO, {"ink.safetensors": save({"x.lora_down.weight": np.ones((1, 1))})})
    with pytest.raises(ModelFileError, match=r"now names \w{12} for 'ink.safetensors', which was"):
        list(pull(REPO, settings, hub.url))


def test_what_comes_is_looked_at_before_it_counts(hub: Hub, settings: Settings) -> None:
    hub.put(REPO, {"ink.safetensors": b"<html>Sign in</html>"})
    with pytest.raises(ModelFileError, match="is a web page, not the model"):
        list(pull(REPO, settings, hub.url))
    assert not (settings.data_dir / "models").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"model.ckpt": b"\x80\x04}."}, "has no safetensors file, but pickles"),
        ({"README.md": b"#"}, "has no safetensors file"),
        ({"../x.safetensors": lora(), "/etc/x.safetensors": lora()}, "has no safetensors file"),
    ],
)
def test_what_is_no_model_is_refused(
    hub: Hub, settings: Settings, files: dict[str, bytes], words: str
) -> None:
    hub.put(REPO, files)
    with pytest.raises(ModelFileError, match=words):
        list(pull(REPO, settings, hub.url))


def test_what_is_not_there_is_one_line(hub: Hub, settings: Settings) -> None:
    hub.put(REPO, tiny())
    for name in ("frogs/brown", f"{REPO}@{'c' * 40}"):
        with pytest.raises(ModelFileError, match=f"is not on {hub.url}") as caught:
            list(pull(name, settings, hub.url))
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelFileError, match="could not be fetched"):
        list(pull(REPO, settings, "http://127.0.0.1:1"))


@pytest.mark.parametrize(
    "name",
    ["frog", "a/b/../../c.safetensors", "/a/b", "a/b@", "a b/c", "a/b/c\n", "../a", "", "a/" + "x" * 300],
)
def test_names_that_are_none_are_refused_before_anything_is_asked(name: str, settings: Settings) -> None:
    with pytest.raises(InputError, match="no name of a model on the hub"):
        list(pull(name, settings, "http://127.0.0.1:1"))


def test_offline_asks_nobody(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put(REPO, tiny())
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # it would not even be imported
    with pytest.raises(InputError, match="pulling needs the network"):
        list(pull(REPO, Settings(data_dir=tmp_path, offline=True), hub.url))
    assert hub.asked == []


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"revision": "x", "digests": {"x": {}}, "places": {}}', '{"a": 1}']
)
def test_a_damaged_record_is_not_passed_over(hub: Hub, settings: Settings, damage: str) -> None:
    hub.put(REPO, {"ink.safetensors": lora()})
    last(REPO, settings, hub)
    (settings.data_dir / FOLDER / "frogs--green-1.json").write_text(damage)
    with pytest.raises(ModelFileError, match="it holds the digests of the first download"):
        list(pull(REPO, settings, hub.url))


def test_a_disk_that_is_too_full_is_said_before(
    hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put(REPO, {"ink.safetensors": lora()})
    usage = pulling.shutil.disk_usage(settings.data_dir.parent)
    monkeypatch.setattr(pulling.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(OutputError, match="the disk is too full"):
        list(pull(REPO, settings, hub.url))
    assert not any("resolve" in one for one in hub.asked)

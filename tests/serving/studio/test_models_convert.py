"""Models that are converted on the page."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfumato.errors import InputError, ModelFileError, NotFoundError, OutputError, SfumatoError
from sfumato.models.facts import LORA
from sfumato.models.files import locate
from sfumato.models.network_tensors import tensors_of
from sfumato.models.safetensors_header import read_header
from sfumato.serving.desk import ALONE, Desk, open_desk
from sfumato.serving.studio import models_convert
from sfumato.serving.studio.models_convert import (
    Converting,
    Form,
    can_convert,
    check_room,
    default_name,
    other_layout,
    plan_of,
)
from sfumato.serving.studio.models_load import recipe_to_load
from sfumato.serving.studio.models_shelf import Shelf
from tiny_families import FAMILIES, write_family
from tiny_models import tiny_folder, tiny_settings
from tiny_studio import followed


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a model whose words are CLIP's, one whose words are its own, and an autoencoder."""
    root = tmp_path_factory.mktemp("library")
    made = write_family(root / "checkpoints" / "frog", FAMILIES["tiny-sd"])
    shutil.copytree(tiny_folder(), root / "checkpoints" / "tiny")
    shutil.copytree(made / "vae", root / "vae" / "soft")
    return root


@pytest.fixture
def desk(library: Path, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(replace(tiny_settings(library), data_dir=tmp_path)) as desk:
        yield desk


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    shelf = Shelf(desk.settings)
    shelf.look()
    return shelf


def key(shelf: Shelf, name: str) -> str:
    return next(one.key for one in shelf.items if one.entry.name == name)


def test_it_becomes_what_it_is_not_where_that_can_be_written(desk: Desk, shelf: Shelf, library: Path) -> None:
    frog = shelf.get(key(shelf, "frog"))
    assert other_layout(frog) == "file"
    # Their words are their own, and no single file holds them.
    for name in ("tiny", "bundled"):
        assert other_layout(shelf.get(key(shelf, name))) == "folder"
    single = plan_of(Form(frog.key, "file", "", "", "one-file"), shelf, desk.settings)
    list(Converting(single).draw(recipe_to_load("frog"), 1))
    shelf.look()
    assert other_layout(shelf.get(key(shelf, "one-file"))) == "folder"


def test_what_lacks_only_an_autoencoder_can_be_converted(shelf: Shelf) -> None:
    frog, soft = (shelf.get(key(shelf, name)) for name in ("frog", "soft"))
    assert can_convert(frog)
    assert not can_convert(soft)
    bare = replace(frog, problem="there is no autoencoder in it")
    assert not can_convert(bare)
    single = replace(bare, entry=replace(bare.entry, path=Path("bare.safetensors")))
    assert can_convert(single)
    assert not can_convert(replace(single, entry=replace(single.entry, kind=LORA)))


def test_a_folder_becomes_a_single_file_in_the_library(desk: Desk, shelf: Shelf) -> None:
    plan = plan_of(Form(key(shelf, "frog"), "file", "float16"), shelf, desk.settings)
    assert plan.output == desk.settings.data_dir / "models" / "frog-fp16-file.safetensors"
    converting = Converting(plan)
    job = desk.queue.submit(recipe_to_load("frog"), ALONE, converting.draw, "Converting frog")
    job = followed(desk, job)
    assert (job.state, job.problem) == ("done", None)
    assert converting.done is not None
    header = read_header(plan.output)
    assert {one.dtype for one in header.tensors.values()} == {"F16"}
    assert converting.done.num_bytes == header.num_bytes
    assert plan.num_bytes == pytest.approx(header.num_bytes, rel=0.05)
    # It is found at once, and goes back to a folder with another autoencoder.
    shelf.look()
    back = Form(key(shelf, "frog-fp16-file"), "folder", "", key(shelf, "soft"), "frog again")
    converting = Converting(plan_of(back, shelf, desk.settings))
    percents = [one.percent for one in converting.draw(recipe_to_load("frog"), 1)]
    assert percents == sorted(set(percents))
    assert percents[-1] > 50
    there = locate(desk.settings.data_dir / "models" / "frog again")
    first, last = (tensors_of(one.vae) for one in (locate(shelf.get(key(shelf, "frog")).entry.path), there))
    name = "decoder.conv_in.weight"
    assert np.array_equal(first[name].bits(first[name].dtype), last[name].bits(first[name].dtype))
    assert [path.suffix for path in there.folder.parent.iterdir() if path.name.startswith(".")] == []


def test_nothing_is_left_of_one_that_is_stopped(desk: Desk, shelf: Shelf) -> None:
    for layout in ("file", "folder"):
        plan = plan_of(Form(key(shelf, "frog"), layout), shelf, desk.settings)  # pyright: ignore[reportArgumentType]
        working = Converting(plan).draw(recipe_to_load("frog"), 1)
        next(working)
        assert [*plan.output.parent.iterdir()] != []
        working.close()
        assert [*plan.output.parent.iterdir()] == []


def test_nothing_is_written_over_what_came_meanwhile(desk: Desk, shelf: Shelf) -> None:
    plan = plan_of(Form(key(shelf, "frog"), "file", name="mine"), shelf, desk.settings)
    working = Converting(plan).draw(recipe_to_load("frog"), 1)
    next(working)
    plan.output.write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="is there already"):
        list(working)
    assert plan.output.read_bytes() == b"somebody's"
    assert len([*plan.output.parent.iterdir()]) == 1
    with pytest.raises(OutputError, match="is there already"):
        plan_of(Form(key(shelf, "frog"), "file", name="mine"), shelf, desk.settings)


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "a/b",
        "a\\b",
        "/etc/x",
        ".hidden",
        "x" * 101,
        "con",
        "nul.x",
        "a\0b",
        "frög",
        "a:b",
        "end.",
        "-",
    ],
)
def test_a_name_is_a_name_and_no_path(desk: Desk, shelf: Shelf, name: str) -> None:
    with pytest.raises(InputError, match="is no name for a model"):
        plan_of(Form(key(shelf, "frog"), "folder", name=name), shelf, desk.settings)


@pytest.mark.parametrize("name", ["bundled", "FROG", "tiny"])
def test_a_name_that_is_taken_is_refused(desk: Desk, shelf: Shelf, name: str) -> None:
    with pytest.raises(OutputError, match="is there already"):
        plan_of(Form(key(shelf, "frog"), "folder", name=name), shelf, desk.settings)


def test_only_what_is_in_the_library_is_converted(desk: Desk, shelf: Shelf, library: Path) -> None:
    for wrong in ("", "frog", str(library / "checkpoints" / "frog"), "../frog"):
        with pytest.raises(NotFoundError):
            plan_of(Form(wrong), shelf, desk.settings)
        if wrong:
            with pytest.raises(NotFoundError):
                plan_of(Form(key(shelf, "frog"), vae=wrong), shelf, desk.settings)
    with pytest.raises(InputError, match="no autoencoder"):
        plan_of(Form(key(shelf, "frog"), vae=key(shelf, "tiny")), shelf, desk.settings)
    with pytest.raises(InputError, match="cannot be converted"):
        plan_of(Form(key(shelf, "soft")), shelf, desk.settings)


def test_what_makes_no_sense_is_named_before_it_begins(desk: Desk, shelf: Shelf) -> None:
    frog, tiny = key(shelf, "frog"), key(shelf, "tiny")
    wrong: list[tuple[Form, type[SfumatoError], str]] = [
        (Form(frog, dtype="float8"), InputError, "dtype: is not known"),
        (Form(frog, layout="zip"), InputError, "layout"),  # pyright: ignore[reportArgumentType]
        (Form(tiny, "file"), ModelFileError, "its words are not CLIP's"),
    ]
    for form, kind, words in wrong:
        with pytest.raises(kind, match=words):
            plan_of(form, shelf, desk.settings)
    assert plan_of(Form(tiny, "folder", "bfloat16"), shelf, desk.settings).num_bytes > 100_000


def test_a_full_disk_is_told_before_anything_is_written(
    desk: Desk, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(Form(key(shelf, "frog")), shelf, desk.settings)
    check_room(plan)
    monkeypatch.setattr(models_convert, "SPARE", 10**17)
    with pytest.raises(OutputError, match="There is too little room") as caught:
        check_room(plan)
    assert str(desk.settings.data_dir) not in str(caught.value)
    with pytest.raises(OutputError):
        next(Converting(plan).draw(recipe_to_load("frog"), 1))
    assert not plan.output.parent.exists()


def test_names_that_nobody_gave_can_be_written(shelf: Shelf) -> None:
    frog = shelf.get(key(shelf, "frog"))
    odd = replace(frog, entry=replace(frog.entry, name="sub folder/Frög:v2 (final)"))
    assert default_name(odd, Form("", "folder", "bfloat16")) == "sub-folder-Fr-g-v2-final-bf16-folder"
    assert default_name(replace(odd, entry=replace(odd.entry, name="蛙")), Form("")) == "model-file"

"""Everything a server works with: it draws, hands over files, and forgets nothing when it closes."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from sfumato.errors import NotFoundError, OutputError, RecipeError, SfumatoError
from sfumato.imaging.metadata import read_metadata
from sfumato.models.digests import known_digests
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Resolved
from sfumato.serving.desk import ALONE
from tiny_studio import drawn, followed, frog, open_tiny_desk


def test_what_is_asked_for_is_drawn_and_kept(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        kept = drawn(desk)
        assert kept.path.is_relative_to(tmp_path / "studio" / "pictures")
        assert (kept.prompt, kept.model, kept.seed, kept.width) == ("a frog", "tiny", 7, 64)
        assert from_json(read_metadata(kept.path).resolved_json, Resolved).picture_seed == 7
        # The model stays for the next one.
        assert [one.name for one in desk.models.models] == ["tiny"]


def test_what_is_handed_over_are_the_same_bytes_elsewhere_until_the_desk_closes(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        kept = drawn(desk)
        one, other = desk.hand_over(kept), desk.hand_over(kept)
        assert one != other
        assert one.name == other.name == kept.path.name
        assert one.read_bytes() == kept.path.read_bytes()
        assert one.parent.parent == other.parent.parent == desk.handed
        assert not one.is_relative_to(desk.gallery.folder)
        one.unlink()
        assert kept.path.is_file()
    assert not desk.handed.exists()
    assert kept.path.is_file()


def test_one_that_was_removed_meanwhile_is_said_with_its_name_alone(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        kept = drawn(desk)
        kept.path.unlink()
        with pytest.raises(NotFoundError) as caught:
            desk.hand_over(kept)
        assert str(caught.value).startswith("picture: is no longer there (got 'a-frog-7.png').")
        assert list(desk.handed.iterdir()) == []


def test_what_fails_leaves_no_folder_and_a_full_disk_is_said(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:

        def fail(error: Exception) -> None:
            with desk.new_folder() as folder:
                (folder / "half.gif").write_bytes(b"half")
                raise error

        for error, said in ((OSError(errno.ENOSPC, "x"), "the disk is full"), (RecipeError("no"), "no")):
            with pytest.raises(SfumatoError, match=said):
                fail(error)
        assert list(desk.handed.iterdir()) == []
        with desk.new_folder() as folder:
            (folder / "whole.gif").write_bytes(b"whole")
        assert (folder / "whole.gif").is_file()
        shutil.rmtree(desk.handed)
        with pytest.raises(OutputError), desk.new_folder():
            pass


def test_films_stay_when_much_was_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.serving.desk.MOST_HANDED", 3)
    with open_tiny_desk(tmp_path) as desk:
        for folder in (desk.handed, desk.films):
            for number in range(4):
                (folder / str(number)).mkdir()
                (folder / str(number) / "frames").write_bytes(b"x")
                os.utime(folder / str(number), (0, 0))
        with desk.new_folder() as folder:
            assert list(desk.handed.iterdir()) == [folder]
        assert len(os.listdir(desk.films)) == 4


def test_what_waits_when_it_closes_is_drawn_when_it_opens(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        jobs = [desk.queue.submit(frog(seed=seed, steps=4), ALONE) for seed in (1, 2, 3)]
    with open_tiny_desk(tmp_path) as desk:
        for job in desk.queue.of(ALONE):
            assert followed(desk, job).state == "done"
        assert sorted(one.seed for one in desk.gallery.search(ALONE)) == [1, 2, 3]
        assert {one.id for one in desk.queue.of(ALONE)} <= {one.id for one in jobs}


def test_pictures_that_the_store_lost_are_found_again(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        kept = drawn(desk)
    for file in (tmp_path / "studio").glob("studio.db*"):
        file.unlink()
    with open_tiny_desk(tmp_path) as desk:
        (found,) = desk.gallery.search(ALONE)
        assert (found.path, found.prompt) == (kept.path, "a frog")


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(OutputError) as caught, open_tiny_desk(tmp_path / "home"):
        pass
    assert str(tmp_path) in str(caught.value)


def test_hashes_are_taken_while_it_is_open_and_no_longer(tmp_path: Path) -> None:
    with open_tiny_desk(tmp_path) as desk:
        assert desk.hasher.wait(20)
        weights = desk.settings.model_dirs[0] / "tiny" / "unet" / "diffusion_pytorch_model.safetensors"
        assert known_digests(weights, desk.settings) is not None
    assert not desk.hasher.running


def test_what_a_killed_conversion_left_goes_and_what_is_written_stays(tmp_path: Path) -> None:
    models = tmp_path / "models"
    for name in ("old", "new"):
        (models / f".sfumato-{name}.part" / "unet").mkdir(parents=True)
        (models / f".sfumato-{name}.part" / "unet" / "weights").write_bytes(b"x")
    (models / ".sfumato-file.part").write_bytes(b"x")
    for path in (models / ".sfumato-file.part", *(models / ".sfumato-old.part").rglob("*")):
        os.utime(path, (0, 0))
    os.utime(models / ".sfumato-old.part", (0, 0))
    with open_tiny_desk(tmp_path):
        pass
    assert sorted(os.listdir(models)) == [".sfumato-new.part"]

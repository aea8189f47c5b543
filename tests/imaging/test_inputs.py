"""Pictures that recipes begin with: anything may be given, and a copy is kept for the next time."""

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imaging.test_decode import png_claiming, saved
from sfumato.errors import PictureError, RecipeError
from sfumato.imaging.inputs import INPUTS, NO_INPUTS, InputPicture, keep_inputs, read_inputs
from sfumato.recipe.image import Recipe
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.parts import ImagePart, MaskPart, Region, RegionsPart
from sfumato.recipe.sources import stored_source
from sfumato.settings import Settings

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", max_pixels=100_000)


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return saved(Image.fromarray(PIXELS), tmp_path / "pictures" / "cat.png")


def of(source: str | Path) -> Recipe:
    return Recipe(parts=(ImagePart(source=str(source)),))


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path, home: Settings) -> InputPicture:
    inputs = read_inputs(of(path), home)
    return inputs.by_digest[inputs.facts[str(path)].sha256]


def complaint(source: str | Path, home: Settings, *near: Path, recipe: Recipe | None = None) -> str:
    with pytest.raises(PictureError) as caught:
        read_inputs(of(source) if recipe is None else recipe, home, near)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what a file is


def test_a_picture_and_what_is_said_of_it(cat: Path, home: Settings) -> None:
    picture = read(cat, home)
    facts = picture.facts
    assert (facts.sha256, facts.name) == (digest_of(cat), "cat.png")
    assert (facts.width, facts.height, facts.has_alpha) == (40, 24, False)
    assert np.array_equal(picture.pixels, PIXELS)
    assert picture.alpha is None
    picture.pixels[:] = 0  # whoever draws on it draws on a copy of the file's


def test_a_recipe_without_pictures_needs_none(home: Settings) -> None:
    inputs = read_inputs(Recipe(), home)
    assert (inputs.by_digest, inputs.facts) == ({}, {})
    assert keep_inputs(NO_INPUTS, home) == ()
    assert not home.data_dir.exists()


def test_every_picture_of_a_recipe_is_read(cat: Path, home: Settings, tmp_path: Path) -> None:
    mask = saved(Image.new("L", (40, 24), 255), tmp_path / "mask.png")
    region = saved(Image.new("1", (8, 8)), tmp_path / "region.png")
    again = shutil.copy(cat, tmp_path / "again.png")
    recipe = Recipe(
        parts=(
            RegionsPart(
                regions=(Region(prompt="a", source=str(region)), Region(prompt="b", source=str(again)))
            ),
            ImagePart(source=str(cat)),
            MaskPart(source=str(mask)),
        )
    )
    inputs = read_inputs(recipe, home)
    assert {facts.name for facts in inputs.facts.values()} == {
        "cat.png",
        "again.png",
        "mask.png",
        "region.png",
    }
    assert set(inputs.by_digest) == {digest_of(path) for path in (cat, mask, region)}
    assert inputs.picture(digest_of(mask), "").pixels.shape == (24, 40, 3)
    with pytest.raises(PictureError, match="is missing"):
        inputs.picture("0" * 64, "dog.png")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("16-bit.png", Image.fromarray((PIXELS[..., 0].astype(np.uint16)) * 257)),
        ("cmyk.jpg", Image.fromarray(PIXELS).convert("CMYK")),
        ("palette.png", Image.fromarray(PIXELS).convert("P")),
        ("wrong.jpg.png", Image.fromarray(PIXELS)),
    ],
)
def test_pictures_of_every_kind_are_read(
    name: str, image: Image.Image, home: Settings, tmp_path: Path
) -> None:
    picture = read(saved(image, tmp_path / name), home)
    assert (picture.pixels.shape, picture.pixels.dtype, picture.alpha) == ((24, 40, 3), np.uint8, None)
    mean = PIXELS[..., 0].mean() if name.startswith("16") else PIXELS.mean()
    assert abs(picture.pixels.mean() - mean) < 8


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_kept_beside_the_picture(mode: str, home: Settings, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (200, 30, 30, 0))
    clear.paste((200, 200, 200, 255), (0, 0, 4, 8))
    picture = read(saved(clear.convert(mode), tmp_path / "a.png"), home)
    assert picture.facts.has_alpha
    assert picture.alpha is not None
    assert (picture.alpha[:, :4] == 255).all()
    assert (picture.alpha[:, 4:] == 0).all()
    assert (picture.pixels[:, 4:] == 255).all()  # white


def test_an_opaque_picture_with_room_for_transparency_has_none(home: Settings, tmp_path: Path) -> None:
    picture = read(saved(Image.new("RGBA", (8, 8), (1, 2, 3, 255)), tmp_path / "a.png"), home)
    assert not picture.facts.has_alpha


def test_the_first_frame_counts_and_the_name_does_not(home: Settings, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    path = saved(frames[0], tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    picture = read(Path(shutil.move(path, tmp_path / "a.png")), home)
    assert (picture.pixels == (255, 0, 0)).all()


def test_a_picture_is_upright_and_so_is_its_alpha(home: Settings, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # show it rotated by 90 degrees clockwise
    wide = Image.new("RGBA", (40, 24), (0, 0, 0, 255))
    wide.paste((255, 0, 0, 0), (0, 0, 40, 4))  # what belongs on the right
    picture = read(saved(wide, tmp_path / "a.png", exif=exif), home)
    assert (picture.facts.width, picture.facts.height) == (24, 40)
    assert picture.alpha is not None
    assert (picture.alpha[:, 20:] == 0).all()
    assert (picture.alpha[:, :20] == 255).all()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a picture that can be read"),
        (b"hello", "not a picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Give a PNG, JPEG or WebP file."),
        (b"GIF89a" + bytes(50), "not a picture that can be read"),
        (png_claiming(20_000, 20_000), "pixels"),
        (png_claiming(2000, 2000), "more than 100000 pixels (got '2000x2000'). Make it smaller first."),
    ],
    ids=["empty", "text", "svg", "gif", "bomb", "large"],
)
@pytest.mark.parametrize("field", ["image", "mask", "region"])
def test_what_is_no_picture_is_one_line(
    data: bytes, said: str, field: str, home: Settings, tmp_path: Path, cat: Path
) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    recipes = {
        "image": of(path),
        "mask": Recipe(parts=(ImagePart(source=str(cat)), MaskPart(source=str(path)))),
        "region": Recipe(parts=(RegionsPart(regions=(Region(prompt="a", source=str(path)),)),)),
    }
    line = complaint(path, home, recipe=recipes[field])
    assert line.startswith(f"{field}: ")
    assert said in line or "too large" in line


def test_a_file_cut_short_is_one_line(cat: Path, home: Settings) -> None:
    cat.write_bytes(cat.read_bytes()[:-100])
    assert complaint(cat, home).startswith("image: the picture is damaged (got '")


@pytest.mark.parametrize("source", ["missing.png", "/nowhere/cat.png", "a\x00b.png", "x" * 900, "~/cat.png"])
def test_a_missing_file_is_one_line(source: str, home: Settings) -> None:
    assert complaint(source, home).startswith("image: no")


def test_a_folder_is_one_line(home: Settings, tmp_path: Path) -> None:
    assert complaint(tmp_path, home).startswith("image: the file cannot be read (got '")


def test_names_are_short_and_printable(home: Settings, tmp_path: Path, cat: Path) -> None:
    odd = tmp_path / ("x" * 150 + "\x1b[2J\n.png")
    shutil.copy(cat, odd)
    name = read(odd, home).facts.name
    assert len(name) == 100
    assert name.endswith("x?[2J?.png")


# --- the copies in the data folder


def kept(home: Settings) -> list[Path]:
    folder = home.data_dir / INPUTS
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_a_copy_is_kept_once_under_its_digest(cat: Path, home: Settings) -> None:
    inputs = read_inputs(of(cat), home)
    assert kept(home) == []
    assert keep_inputs(inputs, home) == ()
    (copy,) = kept(home)
    assert copy.name == digest_of(cat)
    assert copy.read_bytes() == cat.read_bytes()
    before = copy.stat().st_mtime_ns, copy.stat().st_ino
    assert keep_inputs(inputs, home) == ()
    assert (copy.stat().st_mtime_ns, copy.stat().st_ino) == before
    assert kept(home) == [copy]


def test_a_picture_is_found_by_its_digest_when_its_file_has_gone(cat: Path, home: Settings) -> None:
    keep_inputs(read_inputs(of(cat), home), home)
    source = stored_source(digest_of(cat), "cat.png")
    cat.unlink()
    inputs = read_inputs(of(source), home)
    facts = inputs.facts[source]
    assert (facts.name, facts.width, facts.height) == ("cat.png", 40, 24)
    assert np.array_equal(inputs.by_digest[facts.sha256].pixels, PIXELS)
    assert keep_inputs(inputs, home) == ()  # what is there already


def test_a_picture_is_found_nearby_by_its_name_and_digest(cat: Path, home: Settings, tmp_path: Path) -> None:
    source = stored_source(digest_of(cat), "cat.png")
    assert read_inputs(of(source), home, (tmp_path, cat.parent)).facts[source].name == "cat.png"
    cat.write_bytes(cat.read_bytes() + b" ")  # another picture of that name
    assert complaint(source, home, tmp_path, cat.parent) == (
        f"image: a picture that this begins with is missing (got 'cat.png, sha256 {source[7:19]}'). "
        "Put the file into this folder; redo and generate take another one with --image."
    )


def test_a_damaged_copy_is_not_used_and_is_mended(cat: Path, home: Settings) -> None:
    keep_inputs(read_inputs(of(cat), home), home)
    (copy,) = kept(home)
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    source = stored_source(digest_of(cat), "cat.png")
    assert "is missing" in complaint(source, home)
    inputs = read_inputs(of(source), home, (cat.parent,))
    assert inputs.by_digest[digest_of(cat)].path == cat
    assert keep_inputs(inputs, home) == ()
    assert copy.read_bytes() == cat.read_bytes()


@pytest.mark.parametrize(
    "name", ["../cat.png", "pictures/cat.png", "/cat.png", "..", ".", "a/../cat.png", ""]
)
def test_a_name_does_not_lead_out_of_a_folder(name: str, cat: Path, home: Settings, tmp_path: Path) -> None:
    inner = cat.parent / "inner"
    inner.mkdir()
    outside = stored_source(digest_of(cat), name).removesuffix("/")
    assert "is missing" in complaint(outside, home, inner, tmp_path)
    absolute = stored_source(digest_of(cat), str(cat))
    assert "is missing" in complaint(absolute, home, inner, tmp_path)


@pytest.mark.parametrize("name", ["a\x00b", "x" * 200, "\ud800", "cat.png\n"])
def test_odd_names_are_only_not_found(name: str, cat: Path, home: Settings) -> None:
    assert "is missing" in complaint(stored_source(digest_of(cat), name), home, cat.parent)


def test_a_digest_that_is_none_is_one_line(home: Settings) -> None:
    with pytest.raises(RecipeError, match="names no picture"):
        read_inputs(of("sha256:../../etc/passwd"), home)


def test_a_folder_in_the_place_of_a_copy_is_not_used(cat: Path, home: Settings) -> None:
    (home.data_dir / INPUTS / digest_of(cat)).mkdir(parents=True)
    source = stored_source(digest_of(cat), "cat.png")
    assert read_inputs(of(source), home, (cat.parent,)).by_digest[digest_of(cat)].path == cat


def notes_of(cat: Path, home: Settings) -> str:
    (note,) = keep_inputs(read_inputs(of(cat), home), home)
    assert note.startswith("No copy of cat.png could be kept (")
    assert note.endswith("this picture cannot be drawn again.")
    return note


def test_a_data_folder_that_cannot_be_written_is_a_note(cat: Path, home: Settings) -> None:
    home.data_dir.write_text("a file in its place")
    assert "this is no folder" in notes_of(cat, home)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="may write everywhere")
def test_a_read_only_data_folder_is_a_note(cat: Path, home: Settings) -> None:
    home.data_dir.mkdir(mode=0o500)
    assert "read-only" in notes_of(cat, home)


def test_what_changed_or_went_meanwhile_is_a_note(cat: Path, home: Settings) -> None:
    inputs = read_inputs(of(cat), home)
    cat.write_bytes(cat.read_bytes() + b" ")
    (note,) = keep_inputs(inputs, home)
    assert "it was changed meanwhile" in note
    cat.unlink()
    (note,) = keep_inputs(inputs, home)
    assert "No such file" in note
    assert kept(home) == []


def test_limits_hold_for_copies_too(cat: Path, home: Settings) -> None:
    keep_inputs(read_inputs(of(cat), home), home)
    source = stored_source(digest_of(cat), "cat.png")
    assert "more than 100 pixels" in complaint(source, replace(home, max_pixels=100))


def test_facts_are_there_for_every_name(cat: Path, home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cat.parent)
    recipe: Any = Recipe(parts=(ImagePart(source="cat.png"), MaskPart(source=str(cat))))
    inputs = read_inputs(recipe, home)
    assert inputs.facts["cat.png"] == inputs.facts[str(cat)]
    assert len(inputs.by_digest) == 1


def test_copies_are_bounded_and_those_in_use_stay(home: Settings, tmp_path: Path) -> None:
    paths: list[Path] = []
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 40, 3), np.uint8)
        paths.append(saved(Image.fromarray(pixels), tmp_path / f"{number}.png"))
    size = paths[0].stat().st_size
    small = replace(home, max_inputs=3 * size)
    folder = home.data_dir / INPUTS
    for number, path in enumerate(paths[:3]):
        assert keep_inputs(read_inputs(of(path), small), small) == ()
        os.utime(folder / digest_of(path), (1000 + number, 1000 + number))
    assert keep_inputs(read_inputs(of(paths[0]), small), small) == ()  # used again
    assert keep_inputs(read_inputs(of(paths[3]), small), small) == ()
    assert {path.name for path in folder.iterdir()} == {digest_of(paths[n]) for n in (0, 2, 3)}
    none = replace(home, max_inputs=0)
    assert keep_inputs(read_inputs(of(paths[2]), none), none) == ()
    assert [path.name for path in folder.iterdir()] == [digest_of(paths[2])]


def test_a_small_picture_that_is_missing_has_no_flag(home: Settings) -> None:
    recipe = Recipe(parts=(LowResPart(source=stored_source("0" * 64, "cat.png")),))
    said = complaint("", home, recipe=recipe)
    assert said.startswith("low-res: a picture that this begins with is missing")
    assert said.endswith("Put the file into this folder.")

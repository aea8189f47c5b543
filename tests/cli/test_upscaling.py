"""Where larger pictures go, how large they get, and what they say about themselves."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato.cli.upscaling import Asked, carried, plan_jobs, tag_of, target_size
from sfumato.errors import OutputError, PictureError, RecipeError
from sfumato.imaging.io import save_picture
from sfumato.imaging.metadata import COMPOSITE, PictureMetadata, read_metadata, read_parameters
from sfumato.recipe.codec import parse_parameters
from sfumato.settings import Settings
from tiny_upscaler import waves

SETTINGS = Settings(data_dir=Path("nowhere"))
DRAWN = PictureMetadata(
    '{"steps": 4}', "a frog\nSteps: 4, Seed: 7, Size: 16x12", "Sfumato 0", COMPOSITE, "torch"
)


def picture(name: str, width: int = 16, height: int = 12, metadata: PictureMetadata | None = None) -> Path:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    save_picture(waves(width, height), path, metadata)
    return path


@pytest.mark.parametrize(
    ("asked", "size", "tag"),
    [
        (Asked(), (64, 48), "4x"),
        (Asked(factor="2"), (32, 24), "2x"),
        (Asked(factor="1.5x"), (24, 18), "1.5x"),
        (Asked(factor="16"), (256, 192), "16x"),
        (Asked(size="20X30"), (20, 30), "20x30"),
        (Asked(size=" 40 "), (40, 30), "40"),
        (Asked(size="16x12"), (16, 12), "16x12"),
    ],
)
def test_sizes_are_asked_for_in_two_ways(asked: Asked, size: tuple[int, int], tag: str) -> None:
    assert target_size(asked, 16, 12) == size
    assert tag_of(asked) == tag


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(factor="1"), "factor: must be above 1, and 16 at most (got '1')"),
        (Asked(factor="17"), "factor: must be above 1, and 16 at most (got '17')"),
        (Asked(factor="nan"), "factor: must be above 1"),
        (Asked(factor="-4"), "factor: must be above 1"),
        (Asked(factor="1e1"), "factor: must be above 1"),
        (Asked(size="big"), "size: must be width x height (got 'big')"),
        (Asked(size="0"), "size: must be width x height (got '0')"),
        (Asked(size="20x0"), "size: must be width x height (got '20x0')"),
        (Asked(size="20x11"), "size: is smaller than the picture, 16x12 (got '20x11')"),
        (Asked(size="15"), "size: is smaller than the picture, 16x12 (got '15')"),
        (Asked(factor="2", size="32"), "factor: says the same as --size (got '2')"),
    ],
    ids=str,
)
def test_sizes_that_cannot_be_are_one_line(asked: Asked, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        target_size(asked, 16, 12)
    assert str(caught.value).startswith(said)


def test_each_picture_gets_a_new_name_beside_it(here: Path) -> None:
    sources = (picture("a/frog.png"), picture("b/frog.webp"), picture("a/frog.jpg"))
    picture("b/frog-4x.png")
    jobs = plan_jobs(sources, Asked(), None, ".png", SETTINGS)
    names = [job.target.as_posix() for job in jobs]
    assert names == ["a/frog-4x.png", "b/frog-4x-2.png", "a/frog-4x-2.png"]
    assert {(job.width, job.height, job.replace) for job in jobs} == {(64, 48, False)}


def test_a_folder_takes_them_all(here: Path) -> None:
    sources = (picture("a/frog.png"), picture("b/frog.png"))
    Path("c").mkdir()
    jobs = plan_jobs(sources, Asked(size="32x24"), Path("c"), ".webp", SETTINGS)
    assert [job.target.as_posix() for job in jobs] == ["c/frog-32x24.webp", "c/frog-32x24-2.webp"]


def test_one_picture_goes_where_it_is_told_to(here: Path) -> None:
    source = picture("frog.png")
    picture("old.png")
    (job,) = plan_jobs((source,), Asked(), Path("old.png"), ".png", SETTINGS)
    assert (job.target, job.replace) == (Path("old.png"), True)


@pytest.mark.parametrize(
    ("sources", "output", "said"),
    [
        (["frog.png", "owl.png"], "both.png", "output: must be a folder for 2 pictures"),
        (["frog.png"], "large", "output: neither a folder nor a picture file"),
        (["frog.png"], "large.gif", "output: unknown picture format"),
        (["frog.png"], "frog.png", "output: is the picture itself"),
        (["frog.png"], "./frog.png", "output: is the picture itself"),
        (["frog.png"], "missing/large.png", "output: the folder does not exist"),
        (["frog.png"], "x" * 300 + ".png", "output: cannot be used"),
    ],
)
def test_places_that_cannot_be_are_one_line(here: Path, sources: list[str], output: str, said: str) -> None:
    paths = tuple(picture(name) for name in sources)
    with pytest.raises(OutputError) as caught:
        plan_jobs(paths, Asked(), Path(output), ".png", SETTINGS)
    assert str(caught.value).startswith(said)


def test_a_wrong_picture_among_several_is_named(here: Path) -> None:
    sources = (picture("frog.png"), picture("owl.png", 64, 64))
    with pytest.raises(RecipeError, match=r"owl.png: size: is smaller than the picture, 64x64 \(got '32'\)"):
        plan_jobs(sources, Asked(size="32"), None, ".png", SETTINGS)
    with pytest.raises(PictureError, match=r"picture: no such file \(got 'none.png'\)"):
        plan_jobs((*sources, Path("none.png")), Asked(), None, ".png", SETTINGS)
    small = Settings(data_dir=Path("nowhere"), max_pixels=1000)
    with pytest.raises(PictureError, match=r"owl.png: picture: more than 1000 pixels"):
        plan_jobs(sources, Asked(factor="2"), None, ".png", small)


def test_too_large_is_refused_before_anything_is_made(here: Path) -> None:
    source = picture("frog.png", 30, 30)
    limited = Settings(data_dir=Path("nowhere"), max_pixels=3600)
    assert plan_jobs((source,), Asked(factor="2"), None, ".png", limited)[0].width == 60
    with pytest.raises(RecipeError, match=r"factor: the picture would be 120x120, more than 3600 pixels"):
        plan_jobs((source,), Asked(), None, ".png", limited)
    large = picture("large.png", 31, 31)
    asked = Asked(factor="1.9")
    with pytest.raises(RecipeError, match=r"too large, 31x31, for a network .* Use --method lanczos"):
        plan_jobs((large,), asked, None, ".png", limited)
    assert plan_jobs((large,), Asked(factor="1.9", method="lanczos"), None, ".png", limited)


def test_another_shape_is_noticed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = picture("frog.png")
    plan_jobs((source,), Asked(size="64x48"), None, ".png", SETTINGS)
    assert capsys.readouterr().err == ""
    plan_jobs((source,), Asked(size="64x64"), None, ".png", SETTINGS)
    assert "warning: frog.png: 64x64 has another shape than 16x12" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_parameters_go_along_and_the_recipe_does_not(here: Path, suffix: str) -> None:
    source = picture(f"frog.{suffix}", metadata=DRAWN)
    metadata = carried(source, Asked())
    assert (metadata.resolved_json, metadata.backend, metadata.digital_source_type) == ("", "", COMPOSITE)
    larger = picture(f"large.{suffix}", metadata=metadata)
    with pytest.raises(PictureError, match="no Sfumato recipe"):
        read_metadata(larger)
    text = read_parameters(larger)
    assert text == f"{DRAWN.parameters}, Postprocess upscale by: 4, Postprocess upscaler: Sfumato 4x"
    assert parse_parameters(text) == parse_parameters(DRAWN.parameters)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked(size="64x48"), "Postprocess upscale to: 64x48, Postprocess upscaler: Sfumato 4x"),
        (Asked(factor="2", method="lanczos"), "Postprocess upscale by: 2, Postprocess upscaler: Lanczos"),
    ],
)
def test_what_was_done_is_said_in_the_usual_words(here: Path, asked: Asked, words: str) -> None:
    assert carried(picture("frog.png", metadata=DRAWN), asked).parameters == f"{DRAWN.parameters}, {words}"


def test_a_picture_made_larger_twice_is_still_a_drawing(here: Path) -> None:
    first = picture("a.png", metadata=carried(picture("frog.png", metadata=DRAWN), Asked()))
    second = carried(first, Asked())
    assert second.digital_source_type == "trainedAlgorithmicMedia"
    assert second.parameters.count("Postprocess upscale by: 4") == 2


def test_a_picture_that_says_nothing_is_a_persons(here: Path) -> None:
    metadata = carried(picture("photo.jpg"), Asked())
    assert (metadata.parameters, metadata.digital_source_type) == ("", "algorithmicallyEnhanced")


def test_text_that_says_no_steps_stays_as_it_is(here: Path) -> None:
    note = PictureMetadata("", "Steps: 4\na frog by night, 1999", "Sfumato 0")
    assert carried(picture("frog.png", metadata=note), Asked()).parameters == note.parameters


def test_damaged_metadata_is_left_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = picture("frog.webp", metadata=DRAWN)
    data = source.read_bytes()
    source.write_bytes(data.replace(b"<x:xmpmeta", b"<x:xmp<eta"))
    assert carried(source, Asked()).parameters == ""
    assert (
        "warning: frog.webp: the metadata of this picture is damaged; it is left out"
        in capsys.readouterr().err
    )
    with Image.open(source) as image:
        assert image.size == (16, 12)


def test_unknown_methods_are_told_from_known_ones(here: Path, bad: Any) -> None:
    picture("frog.png")
    said = bad("upscale", "frog.png", "--method", "lanzcos")
    assert "method: unknown name (got 'lanzcos'). Did you mean lanczos?" in said

"""Animations are read back: frames, durations, colours; and a file is complete or not there."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sfumato.errors import MissingExtraError, OutputError
from sfumato.imaging import animation
from sfumato.imaging.animation import ANIMATED, Frames, check_animation, eased, write_animation
from sfumato.imaging.metadata import PictureMetadata, read_metadata

HEIGHT, WIDTH = 40, 48
needs_video = pytest.mark.skipif(find_spec("av") is None, reason="the extra video is not installed")


def clip(count: int) -> list[NDArray[np.uint8]]:
    """Noise that clears into a smooth picture."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = np.stack([255 * x / WIDTH, 255 * y / HEIGHT, np.full_like(x, 90)], axis=-1)
    noise = rng.uniform(0, 255, (HEIGHT, WIDTH, 3))
    shares = np.linspace(0, 1, count)
    return [(share * picture + (1 - share) * noise).astype(np.uint8) for share in shares]


def read(path: Path) -> tuple[list[NDArray[np.uint8]], list[int]]:
    frames: list[NDArray[np.uint8]] = []
    durations: list[int] = []
    with Image.open(path) as image:
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
    return frames, durations


@pytest.mark.parametrize(("suffix", "error"), [(".gif", 6.0), (".webp", 4.0)])
def test_frames_and_durations_come_back(suffix: str, error: float, tmp_path: Path) -> None:
    path = tmp_path / f"clip{suffix}"
    frames, durations = clip(7), [500, 100, 20, 30, 30, 110, 2000]
    write_animation(path, iter(frames), durations)
    shown, times = read(path)
    assert len(shown) == 7
    assert times == durations
    assert shown[0].shape == (HEIGHT, WIDTH, 3)
    assert np.abs(shown[-1].astype(float) - frames[-1]).mean() < error
    # Noise has more colours than a palette, and WebP keeps half of their places: its lightness comes back.
    assert np.abs(shown[0].mean(axis=-1) - frames[0].mean(axis=-1)).mean() < 25
    with Image.open(path) as image:
        assert image.info["loop"] == 0
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_equal_frames_stay_apart_and_loops_are_counted(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"clip{suffix}"
    still = clip(2)[1]
    write_animation(path, [still, still, still], [100, 200, 300], loop=3)
    shown, times = read(path)
    assert times == [100, 200, 300]
    assert np.array_equal(shown[0], shown[2])
    with Image.open(path) as image:
        assert image.info["loop"] == 3


def test_colours_that_do_not_change_do_not_flicker(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    frames = clip(5)
    for frame in frames:
        frame[:, :20] = frames[-1][:, :20]
    write_animation(path, frames, [100] * 5)
    shown, _ = read(path)
    for frame in shown:
        assert np.array_equal(frame[:, :20], shown[0][:, :20])


@needs_video
def test_a_video_comes_back(tmp_path: Path) -> None:
    import av

    path = tmp_path / "clip.mp4"
    frames = [frame[:39, :47] for frame in clip(5)]  # odd sides
    write_animation(path, frames, [400, 40, 40, 120, 400])
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
        assert stream.codec_context.name == "h264"
    assert len(shown) == 25  # a second
    assert shown[0].shape == (40, 48, 3)
    assert np.abs(shown[-1][:39, :47].astype(float) - frames[-1]).mean() < 8
    assert np.abs(shown[12].astype(float) - shown[24]).mean() > 8
    assert [one.name for one in tmp_path.iterdir()] == ["clip.mp4"]


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'animate: MP4 needs .*pip install "sfumato\[video\]"'):
        check_animation(tmp_path / "clip.mp4")
    check_animation(tmp_path / "clip.gif")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clip.png", "unknown format of animations"),
        ("clip.gi", "Did you mean .gif"),
        ("clip", "Use one of .gif, .webp, .mp4"),
        ("none/clip.gif", "the folder does not exist"),
        ("folder.gif", "this is a folder"),
        ("x" * 300 + ".gif", "cannot be written: .*too long"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_the_work(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(OutputError, match=words):
        check_animation(tmp_path / name)


@pytest.mark.parametrize("suffix", ANIMATED)
def test_a_failure_leaves_the_old_file_as_it_was(suffix: str, tmp_path: Path) -> None:
    if suffix == ".mp4" and find_spec("av") is None:
        pytest.skip("the extra video is not installed")
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(b"old")
    frames = clip(3)
    with pytest.raises(ValueError, match="3 frames and 2 durations"):
        write_animation(path, frames, [100, 100])
    with pytest.raises(ValueError, match="all frames must be"):
        write_animation(path, [frames[0], frames[1][1:]], [100, 100])
    with pytest.raises(ValueError, match="0 frames"):
        write_animation(path, [], [])
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_frames_wait_in_order_and_can_be_read_while_more_come() -> None:
    with Frames() as kept:
        for number in range(4):
            kept.add(np.full((2, 3, 3), number, np.uint8))
            assert int(kept[number // 2][0, 0, 0]) == number // 2
        assert [int(frame[0, 0, 0]) for frame in kept] == [0, 1, 2, 3]
        with pytest.raises(ValueError, match="uint8"):
            kept.add(np.zeros((2, 3, 3), np.float32))  # type: ignore[arg-type]
        with pytest.raises(IndexError):
            kept[4]


@pytest.mark.parametrize("count", [1, 2, 5, 21, 150])
def test_time_is_eased(count: int) -> None:
    times = eased(count, seconds=3.0, first=0.5, last=2.0)
    assert len(times) == count
    assert sum(times) == pytest.approx(2500 + max(3000, 30 * count), abs=10)
    assert all(time % 10 == 0 and time >= 20 for time in times)
    if count > 4:
        middle = times[count // 2]
        assert times[0] - 500 > middle
        assert times[-1] - 2000 > middle
        assert times[1] >= times[2] - 10  # rounded to 10


def test_time_for_no_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a frame"):
        eased(0)


METADATA = PictureMetadata('{"seed": 7, "prompt": "é"}', "a frog\nSteps: 4", "Sfumato 1", backend="numpy")


def test_a_webp_carries_what_a_picture_does(tmp_path: Path) -> None:
    path = tmp_path / "clip.webp"
    write_animation(path, clip(3), [100, 100, 100], METADATA)
    assert read_metadata(path) == METADATA
    assert len(read(path)[0]) == 3


def test_a_gif_says_that_it_was_generated(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    write_animation(path, clip(3), [100, 100, 100], METADATA)
    assert b"trainedAlgorithmicMedia" in path.read_bytes()
    shown, times = read(path)
    assert (len(shown), times) == (3, [100, 100, 100])


@needs_video
def test_a_video_carries_the_parameters(tmp_path: Path) -> None:
    import av

    path = tmp_path / "clip.mp4"
    write_animation(path, clip(2), [100, 100], replace(METADATA, parameters="a frog\ud83e\0\nSteps: 4"))
    with av.open(str(path)) as video:
        assert video.metadata["comment"] == "a frog? \nSteps: 4"


def test_a_gif_keeps_colours_that_are_rare(tmp_path: Path) -> None:
    """The many shades of a sky leave colours for a small red thing before it."""
    y, x = np.mgrid[0:128, 0:128] / 127
    frames = [
        np.stack([90 + 70 * y, 160 + 60 * y * x, 240 - 30 * x], axis=-1).astype(np.uint8) for _ in range(6)
    ]
    places = [(slice(60, 76), slice(10 + 15 * number, 26 + 15 * number)) for number in range(6)]
    step = np.arange(16, dtype=np.uint8)
    for frame, place in zip(frames, places, strict=True):
        frame[place] = np.stack(
            np.broadcast_arrays(np.uint8(245), 60 + 9 * step[:, None], 40 + 12 * step), -1
        )
    path = tmp_path / "rare.gif"
    write_animation(path, frames, [100] * 6)
    with Image.open(path) as moving:
        for number, (frame, place) in enumerate(zip(frames, places, strict=True)):
            moving.seek(number)
            apart = np.abs(np.asarray(moving.convert("RGB")).astype(float) - frame)
            assert apart[place].mean() < 9
            assert apart.mean() < 3

"""`sfumato upscale` from the command line to the file."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from interrupts import ctrl_c_after
from sfumato.imaging.io import save_picture
from sfumato.imaging.metadata import PictureMetadata, read_parameters
from sfumato.imaging.resize import lanczos
from sfumato.models.upscalers import UpscalerShape, load_upscaler
from tiny_esrgan import tiny_esrgan, write_esrgan
from tiny_upscaler import waves, write_upscaler


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_upscaler(tmp_path / "network")


@pytest.fixture
def photo(here: Path) -> Path:
    save_picture(waves(20, 16), here / "photo.png")
    return here / "photo.png"


def pixels(path: str | Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_picture_becomes_four_times_as_large(photo: Path, network: Path, sfumato: Any) -> None:
    ran = sfumato("upscale", "photo.png", "--network", network)
    assert (ran.code, ran.out) == (0, "photo-4x.png\n")
    assert ran.err.startswith("80x64; ")
    *_, end = load_upscaler(network).enlarge(waves(20, 16))
    assert np.array_equal(pixels("photo-4x.png"), np.asarray(end.picture))
    assert sfumato("upscale", "photo.png", "--network", network).out == "photo-4x-2.png\n"


def test_what_ships_does_it_without_being_asked(photo: Path, sfumato: Any) -> None:
    assert sfumato("upscale", photo, "--output", "large.webp", "--factor", "2").code == 0
    assert pixels("large.webp").shape == (32, 40, 3)


def test_lanczos_is_lanczos(photo: Path, sfumato: Any) -> None:
    ran = sfumato("upscale", photo, "--method", "lanczos", "--size", "50x40", "--output", "a.png", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert np.array_equal(pixels("a.png"), np.asarray(lanczos(waves(20, 16), 50, 40)))
    report = ran.json
    assert report["pictures"] == [{"path": "a.png", "source": str(photo), "width": 50, "height": 40}]
    assert report["method"] == "lanczos"
    assert report["seconds"] > 0


def test_a_drawing_keeps_its_parameters_and_does_not_verify(frog: Path, network: Path, sfumato: Any) -> None:
    ran = sfumato("upscale", frog, "--network", network)
    assert ran.code == 0, ran.err
    larger = ran.out.strip()
    assert read_parameters(Path(larger)).startswith(read_parameters(frog))
    assert "no Sfumato recipe in this picture" in sfumato("verify", larger).err
    assert "Postprocess upscale by: 4" in sfumato("show", larger).out


def test_several_pictures_go_into_a_folder(photo: Path, network: Path, sfumato: Any) -> None:
    save_picture(waves(10, 9), Path("owl.jpg"))
    Path("out").mkdir()
    ran = sfumato("upscale", "photo.png", "owl.jpg", "--network", network, "-o", "out", "--format", "webp")
    assert ran.out == "out/photo-4x.webp\nout/owl-4x.webp\n"
    assert pixels("out/owl-4x.webp").shape == (36, 40, 3)


def test_a_file_that_is_replaced_is_named(photo: Path, network: Path, sfumato: Any) -> None:
    save_picture(waves(4, 4), Path("old.png"))
    ran = sfumato("upscale", photo, "--network", network, "--output", "old.png")
    assert "replaced old.png" in ran.err
    assert pixels("old.png").shape == (64, 80, 3)


@pytest.mark.parametrize("mode", ["CMYK", "L", "RGBA", "P", "I;16"])
def test_pictures_of_every_kind_are_taken(mode: str, here: Path, network: Path, sfumato: Any) -> None:
    name = "any.jpg" if mode == "CMYK" else "any.png"
    deep = Image.fromarray(np.full((6, 8), 40_000, np.uint16))
    (deep if mode == "I;16" else waves(8, 6).convert(mode)).save(name)
    assert sfumato("upscale", name, "--network", network).code == 0
    assert pixels("any-4x.png").shape == (24, 32, 3)


def test_a_rotated_photo_is_turned_upright(here: Path, network: Path, sfumato: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    waves(8, 6).save("turned.jpg", exif=exif)
    assert sfumato("upscale", "turned.jpg", "--network", network).code == 0
    assert pixels("turned-4x.png").shape == (32, 24, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.png"], "picture: no such file (got 'none.png')"),
        (["photo.png", "none.png"], "picture: no such file (got 'none.png')"),
        (["text.png"], "picture: not a picture that can be read"),
        (["short.png"], "picture: the picture is damaged"),
        (["photo.png", "--factor", "1000"], "factor: must be above 1"),
        (["photo.png", "--method", "nearest"], "method: unknown name"),
        (["photo.png", "--network", "none"], "network: no such file or folder"),
        (["photo.png", "--network", "none", "--method", "lanczos"], "network: is for the method learned"),
        (["photo.png", "--format", "gif"], "format: unknown format"),
        (["photo.png", "-o", "photo.png"], "output: is the picture itself"),
        ([], "PICTURE"),
    ],
    ids=str,
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, photo: Path, bad: Any
) -> None:
    Path("text.png").write_text("no picture")
    Path("short.png").write_bytes(photo.read_bytes()[:-200])
    assert said in bad("upscale", *arguments)


def test_no_torch_is_imported(photo: Path, network: Path) -> None:
    code = (
        "import sys\nfrom sfumato.cli.app import run\n"
        f"assert run(['upscale', 'photo.png', '--network', {str(network)!r}]) == 0\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert ran.returncode == 0, ran.stderr
    assert pixels("photo-4x.png").shape == (64, 80, 3)


def test_ctrl_c_leaves_what_is_finished(photo: Path, tmp_path: Path, sfumato: Any) -> None:
    slow = write_upscaler(tmp_path / "slow", UpscalerShape(width=96, blocks=8))
    assert sfumato("upscale", photo, "--network", slow, "-o", "first.png").code == 0  # everything is imported
    save_picture(waves(400, 400), Path("large.png"))
    with ctrl_c_after(1.0):
        ran = sfumato("upscale", "photo.png", "large.png", "--network", slow)
    assert ran.code == 130
    assert ran.out == "photo-4x.png\n"
    assert "stopped: 1 of 2 pictures were finished" in ran.err
    assert sorted(path.name for path in Path().iterdir()) == [
        "first.png", "large.png", "photo-4x.png", "photo.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("doublings", "size", "tag"), [(2, (80, 64), "4x"), (1, (40, 32), "2x"), (0, (20, 16), "1x")]
)
def test_an_esrgan_file_makes_pictures_as_large_as_it_can(
    doublings: int, size: tuple[int, int], tag: str, photo: Path, sfumato: Any
) -> None:
    network = write_esrgan(photo.parent / "4x_a, Net.safetensors", tiny_esrgan(1, doublings))
    metadata = PictureMetadata("", "a frog\nSteps: 4, Seed: 7", "Sfumato 0")
    save_picture(waves(20, 16), photo, metadata)
    ran = sfumato("upscale", "photo.png", "--network", network)
    assert (ran.code, ran.out) == (0, f"photo-{tag}.png\n")
    *_, end = load_upscaler(network).enlarge(waves(20, 16))
    assert end.picture is not None
    assert end.picture.size == size
    assert np.array_equal(pixels(f"photo-{tag}.png"), np.asarray(end.picture))
    words = f"Postprocess upscale by: {tag[0]}, Postprocess upscaler: 4x_a Net"
    assert read_parameters(Path(f"photo-{tag}.png")).endswith(words)


def test_lanczos_does_what_an_esrgan_file_leaves(photo: Path, sfumato: Any) -> None:
    network = write_esrgan(photo.parent / "2x.safetensors", tiny_esrgan(1, 2, 2))
    assert sfumato("upscale", photo, "--network", network, "--factor", "3", "--output", "a.png").code == 0
    *_, end = load_upscaler(network).enlarge(waves(20, 16))
    assert end.picture is not None
    assert np.array_equal(pixels("a.png"), np.asarray(lanczos(end.picture, 60, 48)))


def test_a_pickle_is_refused(photo: Path, bad: Any) -> None:
    (photo.parent / "4x.pth").write_bytes(b"\x80\x02")
    said = bad("upscale", photo, "--network", "4x.pth")
    assert "network: 4x.pth is a pickle, which can run any program when opened" in said
    assert "network: no such file or folder (got 'none')" in bad("upscale", photo, "--network", "none")

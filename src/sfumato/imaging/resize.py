"""Other sizes of a picture, without a network."""

from PIL import Image


def lanczos(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return `picture` at `width` x `height` pixels: a copy when it has that size, else by the sinc window of
    three lobes (Lanczos 1956; Duchon 1979, "Lanczos Filtering in One and Two Dimensions"), which Pillow
    widens where a side becomes shorter.

    Raises ValueError for a side below 1.
    """
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def scaled(width: int, height: int, factor: float) -> tuple[int, int]:
    """Return width and height `factor` times as long, rounded, and at least 1."""
    return max(1, round(width * factor)), max(1, round(height * factor))


def with_longer_side(width: int, height: int, side: int) -> tuple[int, int]:
    """Return width and height in the same shape, rounded, of which the longer one is `side`."""
    return scaled(width, height, side / max(width, height))

"""What is wrong with a picture that is kept, without the folder it lies in: who visits is not told that."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sfumato.errors import NotFoundError, PictureError, SfumatoError


def vanished(picture: Path) -> NotFoundError:
    """Return the error that says of a picture that was kept that its file is gone."""
    hint = "Its file was removed or moved, or its disk is not there."
    return NotFoundError("is no longer there", field="picture", value=picture.name, hint=hint)


@contextmanager
def unplaced(picture: Path) -> Generator[None]:
    """Have errors name `picture` without its folder, and say that it is gone where it is."""
    try:
        yield
    except SfumatoError as error:
        if not picture.is_file():
            raise vanished(picture) from None
        if isinstance(error, PictureError) and str(error.value) == str(picture):
            error.value = picture.name
        raise

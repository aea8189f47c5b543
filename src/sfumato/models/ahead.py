"""Begin to make a model's graphs ready before the rest of the program is imported.

A picture of the bundled model takes as long to compute as Python takes to import what surrounds it. Compiled
code does not need Python's lock, so both go on at once. Imports nothing heavy itself.
"""

import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sfumato.errors import ModelFileError
from sfumato.models.backends.selection import choose
from sfumato.models.files import ModelFiles, locate
from sfumato.models.folders import find_folder
from sfumato.settings import Settings

if TYPE_CHECKING:
    from sfumato.models.backends.base import Work
    from sfumato.models.backends.openvino.backend import OpenVinoBackend


@dataclass(frozen=True, eq=False)
class Ahead:
    """A `backend` that is making its graphs ready, of the model `files` and with `settings`."""

    files: ModelFiles
    settings: Settings
    backend: "OpenVinoBackend"


def begin(name_or_path: str, settings: Settings, *, rows: int = 0, reusing: bool = False) -> Ahead | None:
    """Begin with a model, as soon as openvino is imported; None where another backend draws it.

    `rows`: make ready for so many latents at a time, of the usual size of the model; `reusing`: with features
    reused between steps. What was guessed wrong costs a fraction of a second of another core. Never raises:
    what is wrong is found again, and said, by who loads the model in earnest.
    """
    try:
        folder = find_folder(name_or_path, settings)
        files, _ = with_previews(locate(folder), settings)
        # Read while openvino is imported; whoever asks for the digest next has it at once.
        threading.Thread(target=_read_ahead, args=(files,), name="digest").start()
        if choose(files, settings).backend != "openvino":
            return None
        backend = load_compiled(files, settings)
        if rows:
            backend.prepare(usual_work(files, rows, reusing=reusing))
    except Exception:
        return None
    return Ahead(files, settings, backend)


def with_previews(files: ModelFiles, settings: Settings) -> tuple[ModelFiles, tuple[str, ...]]:
    """Return `files` with the decoder for previews that people have for such a model, where it brings none,
    and sentences for people about one that cannot be used.
    """
    if files.tiny_decoder is not None:
        return files, ()
    from sfumato.models.tiny_decoder_files import published_tiny_decoder

    try:
        tiny = published_tiny_decoder(files.folder, files.vae.config, settings)
    except ModelFileError as error:
        return files, (f"Previews do without their decoder: {error}",)
    return replace(files, tiny_decoder=tiny), ()


def _read_ahead(files: ModelFiles) -> None:
    """Take the digest of `files`; a file that cannot be read is said by who needs it."""
    with suppress(OSError):
        files.digest()


def load_compiled(files: ModelFiles, settings: Settings) -> "OpenVinoBackend":
    """Return the compiled backend of `files`, with the stored graphs that `settings` leads to.

    Raises what `load_openvino` raises.
    """
    from sfumato.models.backends.openvino.backend import load_openvino
    from sfumato.models.backends.openvino.cache import COMPILED, CachePlace

    place = CachePlace(settings.data_dir / COMPILED, files.drawn_digest())
    return load_openvino(files, settings.dtype, place)


def usual_work(files: ModelFiles, rows: int, *, reusing: bool = False) -> "Work":
    """Return what drawing `rows` latents of a model's usual size from a short prompt is.

    Raises KeyError and TypeError for a configuration that `load_bundle` refuses.
    """
    from sfumato.models.backends.base import Work

    factor = 2 ** (len(files.vae.config["block_out_channels"]) - 1)
    native = files.unet.config["sample_size"] * factor
    tokens = min(files.text_encoder.config["max_position_embeddings"], files.tokenizer["model_max_length"])
    height, width = (files.defaults.get(side, native) // factor for side in ("height", "width"))
    return Work((1, tokens), rows, height, width, reusing)

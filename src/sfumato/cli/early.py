"""Look at a command line before it is parsed, and begin with the model that it will need.

Parsing needs typer, and that pydantic: a tenth of a second in which a model's graphs can be made ready. What
is guessed here is only a guess: whoever draws asks whether it was right.
"""

import os
from collections.abc import Sequence
from typing import Final

from sfumato.errors import SfumatoError
from sfumato.models.ahead import Ahead, begin
from sfumato.models.folders import BUNDLED
from sfumato.settings import Settings

_VALUES: Final = ("--model", "--backend", "--precision", "--offload", "--storage")
# With one of these, latents of another shape go through the network.
_SHAPES: Final = (
    "--size",
    "--count",
    "--mix",
    "--guidance",
    "--cache-interval",
    "--unconditional",
    "--image",
    "--region",
    "--control",
    "--lora",
)
_ADAPTER: Final = "<l"  # "<lora:NAME>" in a prompt: the graphs will have other weights
# The model stands elsewhere, or something of it; nothing is drawn.
_OTHERS: Final = ("--recipe", "--vae", "--prediction", "--zero-snr", "--no-zero-snr", "--help", "-h")


def begin_early(arguments: Sequence[str]) -> Ahead | None:
    """Begin what `sfumato generate` with these arguments will need; None for every other command."""
    if not arguments or arguments[0] != "generate":
        return None
    words = [word.partition("=")[0] for word in arguments]
    if any(word in _OTHERS for word in words):
        return None
    values = {name: _value(name, arguments) for name in _VALUES}
    try:
        settings = Settings.from_environment(os.environ)
        settings = settings.asked(
            backend=values["--backend"],
            precision=values["--precision"],
            offload=values["--offload"],
            storage=values["--storage"],
        )
    except SfumatoError:  # said when the command line is parsed
        return None
    rows = 0 if any(word in _SHAPES or _ADAPTER in word for word in words) else 2
    return begin(values["--model"] or BUNDLED, settings, rows=rows, reusing="--fast" in words)


def _value(name: str, arguments: Sequence[str]) -> str | None:
    """Return what is given for the option `name` last; None when it is not."""
    value = None
    for place, word in enumerate(arguments):
        if word == name and place + 1 < len(arguments):
            value = arguments[place + 1]
        elif word.startswith(f"{name}="):
            value = word.partition("=")[2]
    return value

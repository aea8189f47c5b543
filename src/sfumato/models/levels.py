"""Whether a configuration can be counted with: the levels of a UNet, a ControlNet or an autoencoder, and the
layers of any network. A count that is far too large would fill the memory with layers that no file has
weights for.
"""

from typing import Any, Final

from sfumato.models.network_files import Config

MAX_LEVELS: Final = 16
MAX_LAYERS: Final = 64  # of a level; Stable Diffusion XL has 10 transformers in one
MAX_WIDTH: Final = 1 << 16

_LAYERS: Final = ("layers_per_block", "transformer_layers_per_block", "reverse_transformer_layers_per_block")
_TYPES: Final = ("down_block_types", "up_block_types")
#: How often networks of any kind repeat something; the deepest that are drawn with have 38 layers.
_REPEATED: Final = ("num_hidden_layers", "num_layers", "num_decoder_layers", "num_res_blocks", *_LAYERS)
MAX_REPEATED: Final = 256


def fault_of_levels(config: Config) -> str | None:
    """Return what is wrong with the levels that a configuration describes, as a clause; None when they can be
    counted with. What it leaves out is as diffusers has it.
    """
    widths = config.get("block_out_channels", [1])
    if not (isinstance(widths, list) and 1 <= len(widths) <= MAX_LEVELS and _all_counts(widths, MAX_WIDTH)):
        return "holds no usable block_out_channels"
    for key in _LAYERS:
        # Levels that attend to nothing may have no transformers; and diffusers writes what is not said.
        least, silent = int(key == "layers_per_block"), key.startswith("reverse")
        value = config.get(key, None if silent else 1)
        if not (silent and value is None) and not _all_counts(value, MAX_LAYERS, least):
            return f"holds no usable {key}"
    for key in _TYPES:
        kinds = config.get(key, ["DownBlock2D"])
        if not (isinstance(kinds, list | tuple) and all(isinstance(one, str) for one in kinds)):
            return f"holds no usable {key}"
    return None


def fault_of_counts(config: Config) -> str | None:
    """Return what a configuration of any network asks for far too often, as a clause; None where nothing."""
    if isinstance(widths := config.get("block_out_channels"), list) and len(widths) > MAX_LEVELS:
        return "holds no usable block_out_channels"
    for key in _REPEATED:
        value = config.get(key)
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) > MAX_REPEATED or any(isinstance(one, int) and one > MAX_REPEATED for one in numbers):
            return f"holds no usable {key}"
    return None


def _all_counts(value: Any, most: int, least: int = 1) -> bool:
    """Tell whether a value is a number from `least` to `most`, or a list of such, or of such lists."""
    if isinstance(value, list):
        return len(value) <= MAX_LAYERS and all(_all_counts(one, most, least) for one in value)
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def are_counts(values: object, least: int = 1) -> bool:
    """Tell whether `values` is a list of one or more whole numbers, of `least` and more."""
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(one, int) and not isinstance(one, bool) and one >= least for one in values)
    )

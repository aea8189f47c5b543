"""How A1111 and its relatives spell samplers and spacings, and how a written name is recognised."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

SAMPLER_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "euler": "Euler",
        "euler_a": "Euler a",
        "heun": "Heun",
        "ddim": "DDIM",
        "lms": "LMS",
        "dpmpp_2m": "DPM++ 2M",
        "dpmpp_2m_sde": "DPM++ 2M SDE",
        "dpmpp_sde": "DPM++ SDE",
        "dpmpp_2s_a": "DPM++ 2S a",
        "dpmpp_3m_sde": "DPM++ 3M SDE",
        "unipc": "UniPC",
        "lcm": "LCM",
    }
)

SPACING_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "leading": "DDIM",
        "trailing": "Trailing",
        "lcm": "LCM",
        "linspace": "Uniform",
        "karras": "Karras",
        "exponential": "Exponential",
        "sgm_uniform": "SGM Uniform",
        "beta": "Beta",
        "ays": "Align Your Steps",
        "entropic": "Entropic",
        "flow": "Flow",
    }
)

ETA_SAMPLERS: Final = ("ddim",)
"""The samplers whose share of noise can be set."""

# "Simple" takes the timesteps T-1 - i*T/n, which is the trailing rule; "Normal" is A1111's copy of linspace.
_ALIASES: Final = {"simple": "trailing", "normal": "linspace", "alignyoursteps": "ays"}
AUTOMATIC: Final = "automatic"  # A1111 leaves the spacing to the sampler, and we to the model


def find_name(written: str, names: Iterable[str], labels: Mapping[str, str]) -> str | None:
    """Return the one of `names` that `written` means, as a name or as a label, whatever its case, spaces and
    punctuation; else None.
    """
    wanted = _folded(written)
    for name in names:
        if wanted and wanted in (_folded(name), _folded(labels.get(name, name))):
            return name
    return None


def sampler_name(label: str) -> str:
    """Return our name of a sampler in A1111 text; an unknown one is kept as it is."""
    return find_name(label, SAMPLER_LABELS, SAMPLER_LABELS) or label


def spacing_name(label: str) -> str | None:
    """Return our name of a schedule type in A1111 text, None for "Automatic"; an unknown one is kept as it
    is.
    """
    wanted = _folded(label)
    if wanted in ("", AUTOMATIC):
        return None
    return _ALIASES.get(wanted) or find_name(label, SPACING_LABELS, SPACING_LABELS) or label


def split_sampler(label: str) -> tuple[str, str | None]:
    """Split a label such as "DPM++ 2M Karras" into (sampler, spacing); the spacing is None when there is none
    or it is "Automatic". An unknown label is kept as it is.
    """
    whole = find_name(label, SAMPLER_LABELS, SAMPLER_LABELS)
    if whole is not None:
        return whole, None
    wanted = _folded(label)
    for ending in (*SPACING_LABELS.values(), *SPACING_LABELS, *_ALIASES, AUTOMATIC):
        head, found, tail = wanted.rpartition(_folded(ending))
        name = find_name(head, SAMPLER_LABELS, SAMPLER_LABELS) if found and not tail else None
        if name is not None:
            return name, spacing_name(ending)
    return label, None


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum() or c == "+")

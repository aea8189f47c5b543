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
        "linspace": "Uniform",
        "karras": "Karras",
        "exponential": "Exponential",
        "sgm_uniform": "SGM Uniform",
        "beta": "Beta",
        "ays": "Align Your Steps",
    }
)

# "Simple" takes the timesteps T-1 - i*T/n, which is the trailing rule; "Normal" is A1111's copy of linspace.
_ALIASES: Final = {"simple": "trailing", "normal": "linspace"}


def find_name(written: str, names: Iterable[str], labels: Mapping[str, str]) -> str | None:
    """Return the one of `names` that `written` means, as a name or as a label, whatever its case and spaces;
    else None.
    """
    wanted = _folded(written)
    for name in names:
        if wanted in (_folded(name), _folded(labels.get(name, name))):
            return name
    return None


def sampler_name(label: str) -> str:
    """Return our name of a sampler in A1111 text; an unknown one is kept as it is."""
    return find_name(label, SAMPLER_LABELS, SAMPLER_LABELS) or label


def spacing_name(label: str) -> str | None:
    """Return our name of a schedule type in A1111 text, None for "Automatic"; an unknown one is kept as it
    is.
    """
    wanted = label.strip().casefold()
    if wanted in ("", "automatic"):
        return None
    return _ALIASES.get(wanted) or find_name(label, SPACING_LABELS, SPACING_LABELS) or label


def split_sampler(label: str) -> tuple[str, str | None]:
    """Split an old label such as "DPM++ 2M Karras" into (sampler, spacing); the spacing is None when there is
    none.
    """
    for name, schedule in SPACING_LABELS.items():
        head, space, tail = label.strip().rpartition(f" {schedule}")
        if space and not tail and find_name(head, SAMPLER_LABELS, SAMPLER_LABELS):
            return sampler_name(head), name
    return sampler_name(label), None


def _folded(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())

"""Who is measured: Sfumato in each backend and precision that can run here, and what it is compared with."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Literal

from sfumato.errors import InputError
from sfumato.models.backends.selection import TORCH_STACK
from sfumato.settings import Settings

Program = Literal["sfumato", "diffusers", "onnxruntime", "peak"]


@dataclass(frozen=True)
class Contestant:
    """A `program` with the `library` that computes (torch or openvino) and the `precision` it computes in."""

    program: Program
    library: str
    precision: str

    @property
    def name(self) -> str:
        """For people: "sfumato openvino bfloat16", "diffusers float32"."""
        words = (self.program, self.library, self.precision)
        return " ".join(words if self.program == "sfumato" else (self.program, self.precision))


#: In the order of interest: a quick run measures the first ones.
OURS: Final = (
    Contestant("sfumato", "openvino", "bfloat16"),
    Contestant("sfumato", "openvino", "float32"),
    Contestant("sfumato", "openvino", "int8"),
    Contestant("sfumato", "openvino", "int8-full"),
    Contestant("sfumato", "torch", "bfloat16"),
    Contestant("sfumato", "torch", "float32"),
)
DIFFUSERS: Final = Contestant("diffusers", "torch", "float32")
DIFFUSERS_BFLOAT16: Final = Contestant("diffusers", "torch", "bfloat16")
ONNXRUNTIME: Final = Contestant("onnxruntime", "onnxruntime", "float32")

NO_TORCH: Final = (
    'torch is not installed: nothing is compared with diffusers. For that: pip install "sfumato[torch]"'
)
ONNX_MODULES: Final = ("onnxruntime", "onnx")


def chosen(settings: Settings) -> tuple[Contestant, ...]:
    """Return Sfumato's contestants that `settings` leave ("auto" leaves all) and that are installed.

    Raises InputError when there are none.
    """
    asked = [
        one
        for one in OURS
        if settings.backend in ("auto", one.library) and settings.dtype in ("auto", one.precision)
    ]
    if not asked:
        raise InputError(
            f"{settings.backend} in {settings.dtype} is nothing that can be measured on a processor",
            field="precision",
            value=settings.dtype,
            hint="Leave out --backend or --precision, or choose f32 or bf16.",
        )
    able = tuple(one for one in asked if one.library != "torch" or has_torch())
    if not able:
        raise InputError("torch is not installed", field="backend", hint='Run: pip install "sfumato[torch]"')
    return able


def has_torch() -> bool:
    """Tell whether all that Sfumato's torch backend and diffusers need is installed; imports nothing."""
    return all(find_spec(name) is not None for name in TORCH_STACK)


def has_onnxruntime() -> bool:
    """Tell whether a UNet can be exported to ONNX and run here; imports nothing."""
    return has_torch() and all(find_spec(name) is not None for name in ONNX_MODULES)

"""How a model likes to be drawn with when neither a person nor its `sfumato.json` says.

Read off its scheduler and off what its network is told.
"""

from dataclasses import dataclass
from typing import Final

from sfumato.models.files import ModelFiles
from sfumato.models.instructed import instructed
from sfumato.models.low_res import upscales
from sfumato.models.told import told


@dataclass(frozen=True)
class Liked:
    """Steps, sampler, spacing and guidance that suit a model."""

    steps: int = 20
    sampler: str = "dpmpp_2m"
    spacing: str = "trailing"
    guidance: float = 7.0


SD: Final = Liked()
UPSCALER: Final = Liked(guidance=9.0)
INSTRUCTED: Final = Liked(guidance=7.5)
XL: Final = Liked(guidance=5.0)
LCM: Final = Liked(4, "lcm", "lcm", 1.0)
LCM_TOLD: Final = Liked(4, "lcm", "lcm", 8.0)  # told the guidance, as LCM_Dreamshaper and lcm-sdxl are

# Models distilled to a few steps without guidance (Turbo, Lightning, Hyper) are published with a first-order
# scheduler that begins at pure noise; ones that take many steps are not, unless they predict v.
_FEW: Final = {
    "EulerDiscreteScheduler": Liked(4, "euler", "trailing", 1.0),
    "EulerAncestralDiscreteScheduler": Liked(4, "euler_a", "trailing", 1.0),
}


def liked_by(files: ModelFiles) -> Liked:
    """Return how the model of a checked folder likes to be drawn with; raises ModelFileError as `told`."""
    tells = told(files)
    kind = files.scheduler.get("_class_name")
    if kind == "LCMScheduler":
        return LCM_TOLD if tells.guidance else LCM
    if upscales(files):
        return UPSCALER
    from_noise = files.scheduler.get("timestep_spacing") == "trailing"
    if from_noise and files.scheduler.get("prediction_type", "epsilon") != "v_prediction":
        for name, few in _FEW.items():
            if kind == name:
                return few
    if instructed(files) and not tells.sizes:
        return INSTRUCTED
    return XL if tells.sizes else SD

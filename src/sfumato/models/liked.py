"""How a model likes to be drawn with when neither a person nor its `sfumato.json` says.

Read off its scheduler and off what its network is told.
"""

from dataclasses import dataclass
from typing import Final

from sfumato.models.files import ModelFiles
from sfumato.models.instructed import instructed
from sfumato.models.joint_files import is_transformer
from sfumato.models.low_res import upscales
from sfumato.models.network_files import Config
from sfumato.models.told import told
from sfumato.samplers import edm


@dataclass(frozen=True)
class Liked:
    """Steps, sampler, spacing and guidance that suit a model."""

    steps: int = 20
    sampler: str = "dpmpp_2m"
    spacing: str = "trailing"
    guidance: float = 7.0


SD: Final = Liked()
JOINT: Final = Liked(28, "euler", "flow", 7.0)  # Stable Diffusion 3 medium
JOINT_LARGE: Final = Liked(28, "euler", "flow", 3.5)  # 3.5 large
JOINT_DUAL: Final = Liked(40, "euler", "flow", 4.5)  # 3.5 medium, whose first layers attend twice
UPSCALER: Final = Liked(guidance=9.0)
INSTRUCTED: Final = Liked(guidance=7.5)
XL: Final = Liked(guidance=5.0)
EDM: Final = Liked(spacing="karras", guidance=3.0)  # Playground v2.5
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
    if is_transformer(files.unet):
        return _joint(files.unet.config)
    tells = told(files)
    kind = files.scheduler.get("_class_name")
    if kind == "LCMScheduler":
        return LCM_TOLD if tells.guidance else LCM
    if kind in edm.CLASSES:
        return EDM
    if upscales(files):
        return UPSCALER
    from_noise = files.scheduler.get("timestep_spacing") == "trailing"
    few_steps = from_noise and not files.scheduler.get("rescale_betas_zero_snr")
    if few_steps and files.scheduler.get("prediction_type", "epsilon") != "v_prediction":
        for name, few in _FEW.items():
            if kind == name:
                return few
    if instructed(files) and not tells.sizes:
        return INSTRUCTED
    return XL if tells.sizes else SD


def _joint(transformer: Config) -> Liked:
    """Return what suits a transformer. Turbo ones cannot be told from those that they were made of: their
    files are alike but for the weights.
    """
    if transformer.get("dual_attention_layers"):
        return JOINT_DUAL
    return JOINT if transformer.get("qk_norm") is None else JOINT_LARGE

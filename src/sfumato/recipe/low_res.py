"""The part of a recipe for upscalers that are diffusion models: the small picture that they make larger."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, Strict

from sfumato.recipe.values import FROZEN, Name

MAX_NOISE_LEVEL: Final = 999

NoiseLevel = Annotated[int, Strict(), Field(ge=0, le=MAX_NOISE_LEVEL)]


class LowResPart(BaseModel):
    """A small picture that the model makes larger, four times with the published one: `source` is the path of
    a file, or `sha256:...` of one that was used before. Only models of that family take it, and no other part
    that begins with a picture goes with it.

    `noise_level` is a step of a noise schedule: so much noise is put on the small picture, and the model is
    told how much (Ho et al. 2021, arXiv 2106.15282, Section 4.1). More lets it invent more. None means 20.
    """

    model_config = FROZEN

    kind: Literal["low_res"] = "low_res"
    source: Name
    noise_level: NoiseLevel | None = None

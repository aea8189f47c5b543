"""What a merge of models is made of: `MergeRecipe`, which is written down with its result.

The kinds are those people know from AUTOMATIC1111's checkpoint merger, and spherical interpolation (Shoemake
1985, "Animating rotation with quaternion curves").
"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, Strict, model_validator

from sfumato.recipe.values import FROZEN, Name, Sha256

MergeMethod = Literal["weighted", "slerp", "difference"]
MergeDtype = Literal["float32", "float16", "bfloat16"]

#: A1111's and merge tools' names of the parts of a UNet, from its entry to its exit.
UNET_BLOCKS: Final = (
    *(f"IN{number:02}" for number in range(12)),
    "M00",
    *(f"OUT{number:02}" for number in range(12)),
)
#: The other parts that can have a weight of their own: what of the UNet is in no block (the embedding of the
#: time, the last layer), the text encoders, the autoencoder.
OTHER_PARTS: Final = ("BASE", "TEXT", "VAE")
PARTS: Final = (*OTHER_PARTS, *UNET_BLOCKS)
MAX_PARTS: Final = 200


def _part(name: str) -> str:
    if name not in PARTS:
        raise ValueError(
            f"{name!r} is no part; parts are {', '.join(OTHER_PARTS)}, IN00 to IN11, M00, OUT00 to OUT11"
        )
    return name


PartName = Annotated[str, Strict(), AfterValidator(_part)]
#: 0 is the first model, 1 the second. Beyond that, a merge goes past one of them.
MergeWeight = Annotated[float, Strict(), Field(ge=-2.0, le=2.0)]


class MergedModel(BaseModel):
    """A model that goes into a merge: the `name` of its file, and the sha256 once it is known."""

    model_config = FROZEN

    name: Name
    sha256: Sha256 | None = None


class MergeRecipe(BaseModel):
    """A merge of the checkpoints `a` and `b`, and for "difference" of `c`, with `weight` w:

    - "weighted": (1 - w) a + w b, number by number;
    - "slerp": each tensor turned from a's direction to b's, by w of the angle between them, its length
      between theirs in the same ratio. Where they point the same way it is "weighted";
    - "difference": a + w (b - c): what b learned beyond c is added to a.

    `parts` have weights of their own. `dtype` is what the result is stored in; None is a's own, tensor by
    tensor. What b lacks is a's; what only b has is left out.
    """

    model_config = FROZEN

    version: Literal[1] = 1
    method: MergeMethod = "weighted"
    a: MergedModel
    b: MergedModel
    c: MergedModel | None = None
    weight: MergeWeight = 0.5
    parts: Annotated[dict[PartName, MergeWeight], Field(max_length=MAX_PARTS)] = {}
    dtype: MergeDtype | None = None

    @model_validator(mode="after")
    def _third(self) -> "MergeRecipe":
        if (self.method == "difference") != (self.c is not None):
            wants = "wants a third model, c" if self.c is None else "takes no third model, c"
            raise ValueError(f"the method {self.method!r} {wants}")
        if self.method == "slerp" and not all(0 <= one <= 1 for one in (self.weight, *self.parts.values())):
            raise ValueError("the method 'slerp' takes weights of 0 to 1")
        return self

    def weight_of(self, part: str) -> float:
        """Return the weight of one of `PARTS`."""
        return self.parts.get(part, self.weight)

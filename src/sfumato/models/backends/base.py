"""The protocol between the engine and the networks.

Arrays are whatever the backend computes with, as long as they follow the Array API (torch tensors, numpy
arrays); the engine never asks which. Latents, contexts and network outputs cross the border as float32, so
that solvers keep their precision whatever the networks compute in. Switching gradients off, devices and
dtypes are the backend's business, inside each call.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.models.adapters.changes import Changes
from sfumato.models.controlnets import ControlFiles

Array: TypeAlias = Any  # Python has no static type for "follows the Array API" yet


@dataclass(frozen=True)
class FreeU:
    """Factors in the first two up blocks: of half of the channels from below (`b1`, `b2`), and of the lowest
    frequencies of what comes across (`s1`, `s2`); Si et al. 2023 (arXiv 2309.11497), Section 3.2.
    """

    b1: float
    b2: float
    s1: float
    s2: float


@dataclass(frozen=True, eq=False)
class Extra:
    """What a UNet may take beside a picture, a time and a text; what is None or empty is not given.

    `pooled (B,P)` and `time_ids (B,6)` are SDXL's added conditions: the pooled text, and original size, crop
    and target size as (height, width, top, left, height, width) in pixels (Podell et al. 2023, arXiv
    2307.01952, Section 2.2). `guidance` is the guidance scale `s` that a guidance-distilled UNet is told (Luo
    et al. 2023, arXiv 2310.04378, Section 4.1, whose `w` is `s - 1`). `down` and `mid` are a ControlNet's
    residuals, each `(B,C,h,w)`: `down` in the order in which the UNet makes its skip connections (Zhang et
    al. 2023, arXiv 2302.05543). `inside` are the features of a T2I-Adapter, each `(1 or B,C,h,w)`, in the
    order of the down blocks, and maybe one for the middle (Mou et al. 2023, arXiv 2302.08453, Section 3.2);
    they are added to what a block that attends has made last, before it makes that smaller, and to the output
    of one that does not. `label` is the class that a UNet with class embeddings is told, the noise
    level of an upscaler's small picture. `freeu` weighs what the up blocks join; a `perturbed` call has the
    identity map in the place of every self-attention of the middle block (Ahn et al. 2024, arXiv 2403.17377,
    Section 4.1). The extra channels of an inpainting UNet are no extra: they are
    channels of `x`.
    """

    pooled: Array | None = None
    time_ids: Array | None = None
    guidance: float | None = None
    label: int | None = None
    down: tuple[Array, ...] = ()
    mid: Array | None = None
    inside: tuple[Array, ...] = ()
    freeu: FreeU | None = None
    perturbed: bool = False


NOTHING: Final = Extra()


@dataclass(frozen=True)
class Work:
    """The shapes of what is going to be drawn: token ids of shape `ids`, that is chunks and tokens of each,
    and `rows` latents at a time, of `height` by `width`; with `reusing`, some steps reuse features.
    `tile` is the height and width of latents that are decoded at a time, where that is not all of them.
    `controls` steer all of it. `skipped` layers at the end of the text encoder are left out, `perturbed` is
    how many latents at a time are predicted without the self-attention of the middle, and `freeu` tells
    whether what the up blocks join is weighed.
    """

    ids: tuple[int, int]
    rows: int
    height: int
    width: int
    reusing: bool = False
    tile: tuple[int, int] | None = None
    controls: tuple[ControlFiles, ...] = ()
    skipped: int = 0
    perturbed: int = 0
    freeu: bool = False


class ControlNetwork(Protocol):
    """A ControlNet, in the backend that opened it. Stateless as well."""

    def residuals(
        self, x: Array, t: float, context: Array, hint: Array, scale: float, extra: Extra = NOTHING
    ) -> tuple[tuple[Array, ...], Array]:
        """Return what `predict` takes as `extra.down` and `extra.mid`, all multiplied by `scale`.

        `x`, `t` and `context` are those of `predict`, but `x` without the further channels of an inpainting
        UNet; of `extra` only `pooled` and `time_ids` matter. `hint (1 or B,3,H,W)` is a picture in [0, 1] of
        the size that is drawn: H and W are h and w times the downsampling of the autoencoder.
        """
        ...


class FeatureNetwork(Protocol):
    """A T2I-Adapter, in the backend that opened it. Stateless as well."""

    def features(self, hint: Array) -> tuple[Array, ...]:
        """Return what `predict` takes as `extra.inside`, unweighted.

        `hint (1 or B,C,H,W)` is a picture in [0, 1] of the size that is drawn, C as many channels as
        `ControlFiles.hint_channels`. It depends on nothing else, so once a picture is enough.
        """
        ...


class Backend(Protocol):
    """The networks of one model on one device. Stateless: nothing a call does is seen by the next one."""

    @property
    def name(self) -> str:
        """What ran, for people: for example ``torch cpu float32``."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people about what was not used, so far: stored graphs that are damaged, say."""
        ...

    def prepare(self, work: Work) -> None:
        """Begin to get ready for `work`, side by side with what the caller does next; never raises.

        Nothing depends on it: what is not ready when it is needed is waited for, or made then.
        """
        ...

    def store(self) -> None:
        """Keep on disk what was made ready and will be needed again, if it can be kept; never raises."""
        ...

    def asarray(self, a: NDArray[np.float32]) -> Array:
        """Return `a` as this backend's float32 array, on its device."""
        ...

    def to_numpy(self, x: Array) -> NDArray[np.float32]:
        """Return `x` as a float32 numpy array; the inverse of `asarray`."""
        ...

    @property
    def has_tiny_decoder(self) -> bool:
        """Whether the model brings a tiny decoder, so that `decode_tiny` may be called."""
        ...

    def encode_text(self, ids: NDArray[np.int64], skipped: int = 0) -> Array:
        """Return the text encoder's last hidden states after its final layer norm: `(N,T)` -> `(N,T,D)`; with
        so many of its last layers `skipped`.
        """
        ...

    def encode_pooled(
        self, ids: NDArray[np.int64], number: int = 0, skipped: int = 0
    ) -> tuple[Array, Array | None]:
        """Return what Stable Diffusion XL reads of text encoder `number`, 0 or 1, of tokens `(N,T)`: the
        hidden states `(N,T,D)` before its last layer, and `skipped` more, without the final layer norm
        (Podell et al. 2023, arXiv 2307.01952, Section 2.1), and the pooled text `(N,P)` of an encoder that
        projects one, else None.
        """
        ...

    def predict(self, x: Array, t: float, context: Array, extra: Extra = NOTHING) -> Array:
        """Return the UNet's output `(B,C,h,w)` for network inputs `x (B,C,h,w)` of unit variance.

        `t` is the timestep, possibly fractional, one for the whole batch; `context (B,T,D)`.
        """
        ...

    def predict_reusing(
        self, x: Array, t: float, context: Array, features: Array | None, extra: Extra = NOTHING
    ) -> tuple[Array, Array]:
        """Return the UNet's output `(B,C,h,w)` and its deep features `(B,F,h,w)`.

        The features are what enters the last layer (a resnet, and its attention where the block has any) of
        the last up block, before the skip connection of the first convolution is joined to it; F is that
        layer's channels without the skip's. With `features` None the whole UNet runs, and the output is that
        of `predict`; with the features of a step nearby only the time embedding, the first convolution, that
        one layer and what follows it run, and the same features come back (Ma et al. 2023, arXiv 2312.00858,
        Section 3.2). Of `extra.down` only the first residual matters then, and `mid` and `inside` do not.
        Features are in whatever dtype the backend likes; rows may be cut from them and joined, and sums
        taken.
        """
        ...

    def control(self, files: ControlFiles) -> ControlNetwork:
        """Open a ControlNet that fits the model (see `sfumato.models.controlnets.check_fit`).

        The last few that were opened stay open. Raises ModelFileError for weights that do not fit their
        configuration, here or when it is first used, and InputError for one that this backend cannot run.
        """
        ...

    def t2i_adapter(self, files: ControlFiles) -> FeatureNetwork:
        """Open a T2I-Adapter that fits the model. All else is as with `control`."""
        ...

    def adapted(self, changes: Changes) -> "Backend":
        """Return this backend with `changes` laid over its weights; it shares all others, and this one stays
        as it is. The one that was made last is kept, and returned again for the same changes.
        """
        ...

    @property
    def beside(self) -> int:
        """About how many bytes it keeps beside the model's own weights: of what steers, as opened last, and
        of weights that differ in what `adapted` made last.
        """
        ...

    def forget(self) -> None:
        """Let go of that; whoever draws with it keeps it until then."""
        ...

    def leaner(self) -> "Backend | None":
        """Return what computes the same with less of the model in memory: one network at a time, or where
        that is so, one layer; None where there is no less. This backend shares it, and stays usable.
        """
        ...

    def encode_image(self, pixels: NDArray[np.float32]) -> Array:
        """Return the mean latents `(B,C,h,w)`, scaled to unit variance, of `pixels (B,3,H,W)` in [-1, 1]."""
        ...

    def decode(self, latents: Array) -> NDArray[np.float32]:
        """Return the pixels `(B,3,H,W)`, about [-1, 1] and not clipped, of scaled latents `(B,C,h,w)`."""
        ...

    def decode_tiny(self, latents: Array) -> NDArray[np.float32]:
        """Return what `decode` does, roughly and quickly: previews are made of it."""
        ...

    def max_rows(self, height: int, width: int) -> int:
        """Return how many rows of latents `height x width` one `predict` call may hold, at least 1."""
        ...

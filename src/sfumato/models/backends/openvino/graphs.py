"""Which graphs calls of a model need, of which shapes, and how each is built: plain data until made."""

from dataclasses import dataclass
from typing import Any, Final

from sfumato.models.adapters.changes import UNCHANGED, Changes, NetworkChanges
from sfumato.models.backends.base import Work
from sfumato.models.backends.openvino.altered import AS_IT_IS, Altered
from sfumato.models.backends.openvino.autoencoder import build_decoder, build_encoder
from sfumato.models.backends.openvino.clip import build_text_encoder
from sfumato.models.backends.openvino.networks import Graph, is_small
from sfumato.models.backends.openvino.ranges import Ranges
from sfumato.models.backends.openvino.tiny import build_tiny_decoder
from sfumato.models.backends.openvino.unet import DYNAMIC, Part, UNetShape, build_unet
from sfumato.models.backends.openvino.weights import Weights, weights_of
from sfumato.models.files import ModelFiles
from sfumato.models.network_files import NetworkFiles

HASTY_ROWS: Final = 2  # one picture with guidance, for which somebody waits


@dataclass(frozen=True, eq=False)
class Graphs:
    """The graphs of a model: of its `files`, with weights in whole numbers (`int8`), with the `ranges` that
    the UNet multiplies in, and with `changes` laid over weights as they are read. Shapes are those of the
    network's inputs, in latents but for the encoder's.
    """

    files: ModelFiles
    int8: bool = False
    ranges: Ranges | None = None
    changes: Changes | None = None

    def of_text(self, ids: tuple[int, int], skipped: int = 0) -> Graph:
        """Return the graph that encodes ids `(B,T)`, without the last `skipped` layers."""
        network = self.files.text_encoder
        (rows,) = any_of_large(network, ids[:1])
        shape = rows, ids[1]

        def build() -> tuple[Any, Weights]:
            weights = weights_of(network, int8=self.int8, adapted=self._changes_of(network))
            model = build_text_encoder(weights, network.config, shape, skipped)
            if not skipped:
                weights.check_all_taken()
            return model, weights

        return Graph((shape, skipped) if skipped else shape, build, hasty=is_small(network))

    def of_unet(
        self, part: Part, sides: tuple[int, ...], *, residuals: bool, altered: Altered = AS_IT_IS
    ) -> Graph:
        """Return the graph of a `part` of the UNet for `sides`: rows, height, width, tokens."""
        network = self.files.unet
        shape = UNetShape(*any_of_large(network, sides))

        def build() -> tuple[Any, Weights]:
            weights = weights_of(network, int8=self.int8, adapted=self._changes_of(network))
            model = self.built_unet(weights, part, shape, residuals, altered)
            if part != "shallow":
                weights.check_all_taken()
            return model, weights

        # In whole numbers, haste costs nearly all that they win: 5.1 ms a guided step instead of 4.1.
        hasty = is_small(network) and sides[0] <= HASTY_ROWS and self.ranges is None
        key = (part, residuals, shape)
        return Graph(key if altered == AS_IT_IS else (*key, altered), build, hasty)

    def built_unet(
        self, weights: Weights, part: Part, shape: UNetShape, residuals: bool, altered: Altered
    ) -> Any:
        """Return openvino's model of a part of the UNet."""
        config, ranges = self.files.unet.config, self.ranges
        return build_unet(weights, config, shape, part, residuals=residuals, ranges=ranges, altered=altered)

    def of_work(
        self,
        work: Work,
        parts: tuple[Part, ...],
        latents: tuple[int, int, int, int],
        *,
        residuals: bool,
        inside: int,
    ) -> list[Graph]:
        """Return the UNet's graphs of `work`, with so many features put `inside`; a shallow part has no
        middle.
        """
        if not (work.freeu or work.perturbed or inside):
            return [self.of_unet(part, latents, residuals=residuals) for part in parts]
        wanted = [(latents, False)]
        if work.perturbed:
            wanted.append(((work.perturbed, *latents[1:]), True))
        return [
            self.of_unet(
                part,
                shape,
                residuals=residuals,
                altered=Altered(perturbed, work.freeu, inside)
                if part != "shallow"
                else Altered(freeu=work.freeu),
            )
            for shape, perturbed in wanted
            for part in parts
        ]

    def of_decoder(self, sides: tuple[int, ...]) -> Graph:
        """Return the graph that decodes latents `(B,C,h,w)`."""
        network = self.files.vae
        shape = any_of_large(network, sides, keep=1)

        def build() -> tuple[Any, Weights]:
            weights = weights_of(network)
            return build_decoder(weights, network.config, shape), weights

        return Graph(shape, build, hasty=is_small(network))

    def of_encoder(self, sides: tuple[int, ...]) -> Graph:
        """Return the graph that encodes pixels `(B,3,H,W)`."""
        network = self.files.vae
        shape = any_of_large(network, (sides[0], 3, *sides[2:]), keep=1)

        def build() -> tuple[Any, Weights]:
            weights = weights_of(network)
            return build_encoder(weights, network.config, shape), weights

        return Graph(shape, build)

    def of_tiny(self, network: NetworkFiles, sides: tuple[int, ...]) -> Graph:
        """Return the graph of the tiny decoder `network` for latents `(B,C,h,w)`."""
        shape = any_of_large(network, sides)

        def build() -> tuple[Any, Weights]:
            weights = weights_of(network)
            return build_tiny_decoder(weights, network.config, shape), weights

        return Graph(shape, build)

    def _changes_of(self, network: NetworkFiles) -> NetworkChanges:
        return UNCHANGED if self.changes is None else self.changes.of(network.name)


def any_of_large(network: NetworkFiles, sides: tuple[int, ...], keep: int | None = None) -> tuple[int, ...]:
    """Return the shape that a graph for `sides` has: that one in small networks, any in large ones.

    `keep` is the place of a side that is the same always.
    """
    if is_small(network):
        return sides
    return tuple(side if place == keep else DYNAMIC for place, side in enumerate(sides))

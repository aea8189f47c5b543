"""Losses, as functions of tensors. Each returns a scalar to minimise."""

from torch import Tensor
from torch.nn import functional

from sfumato.samplers.schedule import Prediction, min_snr_weight, snr, target


def denoising_loss(
    output: Tensor,
    clean: Tensor,
    noise: Tensor,
    alpha_bar: Tensor,
    prediction: Prediction,
    gamma: float,
    floor: float,
) -> Tensor:
    """Mean squared error of a network's `output (B,C,h,w)` with min-SNR weights (arXiv 2303.09556, Section
    3.4).

    `clean`, `noise` are `(B,C,h,w)`, `alpha_bar (B,)` in [0, 1). With v-prediction the weight is min(SNR,
    gamma) / (SNR + 1), which is 0 where the SNR is 0, and small where what a picture shows is decided;
    `floor` (0..1) is the least weight, 0 for the paper's formula.
    """
    error = ((output - target(clean, noise, alpha_bar, prediction)) ** 2).mean(dim=(1, 2, 3))
    weight = min_snr_weight(snr(alpha_bar), gamma, prediction).clamp(min=floor)
    return (error * weight.to(error.dtype)).mean()


def edge_loss(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical pixel differences: pictures `(B,C,H,W)` with
    equal edges score 0."""
    difference = first - second
    across = (difference[..., :, 1:] - difference[..., :, :-1]).abs().mean()
    down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    return across + down


def gaussian_kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) averaged over elements (Kingma and Welling 2014, arXiv 1312.6114,
    Appendix B)."""
    return 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()


def scene_labels_loss(logits: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
    """Loss of a scene classifier: objects are `(B,N)` multi-hot (binary cross-entropy summed over objects),
    the rest `(B,)` classes, -1 to leave a row out."""
    loss = (
        functional.binary_cross_entropy_with_logits(logits["objects"], labels["objects"], reduction="none")
        .sum(1)
        .mean()
    )
    for name, classes in labels.items():
        if name != "objects" and bool((classes >= 0).any()):
            loss = loss + functional.cross_entropy(logits[name], classes, ignore_index=-1)
    return loss

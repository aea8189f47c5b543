from sfumato.evaluation.speed.sd15 import SD15
from sfumato.evaluation.speed.weights import num_weights


def test_it_has_the_size_of_the_published_model() -> None:
    # UNet 859,520,964, autoencoder 83,653,863, text encoder 123,060,480
    assert num_weights(SD15) == 1_066_235_307
    assert SD15.latent_side == 64

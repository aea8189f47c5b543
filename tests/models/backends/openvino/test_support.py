"""Which folders can be built."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sfumato.models.backends.openvino import unsupported
from sfumato.models.files import locate
from sfumato.models.network_files import NetworkFiles
from tiny_models import tiny_folder


def with_config(network: str, **changes: Any) -> str | None:
    files = locate(tiny_folder())
    before: NetworkFiles = {"unet": files.unet, "vae": files.vae, "text_encoder": files.text_encoder}[network]
    after = replace(before, config={**before.config, **changes})
    return unsupported(replace(files, **{network: after}))


def test_stable_diffusion_can_be_built() -> None:
    assert unsupported(locate(tiny_folder())) is None
    bundled = Path(__file__).parents[4] / "src" / "sfumato" / "models" / "bundled" / "model"
    assert unsupported(locate(bundled)) is None


@pytest.mark.parametrize(
    ("network", "changes", "reason"),
    [
        ("unet", {"addition_embed_type": "image"}, "its unet has addition_embed_type 'image'"),
        ("unet", {"down_block_types": ["AttnDownBlock2D", "DownBlock2D"]}, "has a AttnDownBlock2D"),
        ("unet", {"up_block_types": None}, "names no up_block_types"),
        ("unet", {"only_cross_attention": [True, False]}, "only_cross_attention"),
        ("unet", {"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}, "mid_block_type"),
        ("vae", {"act_fn": "relu"}, "its vae has act_fn 'relu'"),
        ("text_encoder", {"hidden_act": "relu"}, "its text_encoder has hidden_act 'relu'"),
    ],
)
def test_other_networks_cannot(network: str, changes: dict[str, Any], reason: str) -> None:
    assert reason in str(with_config(network, **changes))


def test_all_that_is_silent_is_the_default() -> None:
    files = locate(tiny_folder())
    kept = {"down_block_types", "up_block_types", "block_out_channels"}
    config = {key: value for key, value in files.unet.config.items() if key in kept}
    assert unsupported(replace(files, unet=replace(files.unet, config=config))) is None

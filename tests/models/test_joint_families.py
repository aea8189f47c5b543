import pytest
import torch
from diffusers import SD3Transformer2DModel

from joint_models import joint_folder
from sfumato.models.facts import read_facts
from sfumato.models.joint_families import FAMILIES, JointFamily, joint_family_of, joint_of_diffusers, seen


def published(family: JointFamily) -> SD3Transformer2DModel:
    """Return the network as its published configuration describes it, without any weights."""
    joint = family.joint
    with torch.device("meta"):
        return SD3Transformer2DModel(
            sample_size=128,
            patch_size=2,
            in_channels=16,
            num_layers=joint.layers,
            attention_head_dim=64,
            num_attention_heads=joint.width // 64,
            joint_attention_dim=4096,
            caption_projection_dim=joint.width,
            pooled_projection_dim=2048,
            out_channels=16,
            pos_embed_max_size=joint.places,
            dual_attention_layers=tuple(range(joint.twice)),
            qk_norm="rms_norm" if joint.normed else None,
        )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_told_by_its_shapes_and_has_the_published_parameters(family: JointFamily) -> None:
    network = published(family)
    joint = joint_of_diffusers({name: tuple(one.shape) for name, one in network.state_dict().items()})
    assert joint == family.joint
    assert joint_family_of(joint) is family
    assert sum(one.numel() for one in network.parameters()) == family.parameters


def test_a_stranger_is_described() -> None:
    facts = read_facts(joint_folder("sd35-medium"))
    assert (facts.kind, facts.family, facts.prediction) == ("diffusers folder", None, "flow")
    assert facts.seen == "a transformer of 3 layers of 64 channels, 2 twice, with norms of queries and keys"
    assert joint_of_diffusers({"conv_in.weight": (320, 4, 3, 3)}) is None
    assert "without norms" in seen(FAMILIES[0].joint)

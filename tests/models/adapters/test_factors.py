import numpy as np

from sfumato.models.adapters.factors import Alphas, Factors, sides, source_of
from sfumato.models.adapters.kinds import LowRank
from sfumato.models.adapters.reading import open_adapter
from sfumato.models.adapters.target import Place
from tiny_adapters import write_adapter

PLACE = Place("unet", "mid_block.attentions.0.transformer_blocks.0.attn1.to_q", "MID")


def file_with(tmp_path, tensors=None, metadata=None):
    some = {"x": np.ones(1, np.float32)} if tensors is None else tensors
    return open_adapter(write_adapter(tmp_path / "a.safetensors", some, metadata), "lora")


def test_alpha_is_divided_by_the_rank(tmp_path):
    file = file_with(tmp_path, {"a.alpha": np.array(2.0, np.float32), "b.alpha": np.zeros(1, np.float32)})
    alphas = Alphas(file)
    assert alphas.scale(PLACE, {"alpha": "a.alpha"}, file.array, 8) == 0.25
    assert alphas.scale(PLACE, {"alpha": "b.alpha"}, file.array, 8) == 1.0  # as kohya's programs take it
    assert alphas.scale(PLACE, {}, file.array, 8) == 1.0


def test_pefts_notes_say_alpha(tmp_path):
    noted = '{"unet.lora_alpha": 4, "unet.alpha_pattern": {"attn2.to_q": 9, "attn1.to_q": 16}}'
    alphas = Alphas(file_with(tmp_path, metadata={"lora_adapter_metadata": noted}))
    assert alphas.scale(PLACE, {}, lambda _: np.ones(1, np.float32), 8) == 2.0
    assert alphas.scale(Place("unet", "conv_in", "IN00"), {}, lambda _: np.ones(1, np.float32), 8) == 0.5
    assert alphas.scale(Place("text_encoder", "x", "BASE"), {}, lambda _: np.ones(1, np.float32), 8) == 1.0


def test_the_kind_is_read_off_the_roles(tmp_path):
    tensors = {"m.up": np.ones((4, 2), np.float32), "m.down": np.ones((2, 3), np.float32)}
    tensors["m.dora"] = np.ones((4, 1), np.float32)
    file = file_with(tmp_path, tensors)
    roles = {"up": "m.up", "down": "m.down", "dora_scale": "m.dora"}
    factors = Factors(file, roles, file.array)
    found = factors.weight_change()
    assert found is not None
    kind, change, rank = found
    assert (kind, type(change), change.shape, rank) == ("LoRA with DoRA", LowRank, (4, 3), 2)
    magnitude = factors.magnitude((4, 3))
    assert magnitude is not None
    assert magnitude.per_output
    assert Factors(file, {"alpha": "m.up"}, file.array).weight_change() is None
    assert (source_of(roles), sides((4, 3)), sides(())) == ("m.up", "4x3", "one number")

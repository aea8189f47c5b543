"""What graphs are known by: one for each shape in small networks, and one for all in large ones."""

import numpy as np
import pytest

from sfumato.models.adapters.changes import Changes, NetworkChanges
from sfumato.models.backends.base import Work
from sfumato.models.backends.openvino import networks
from sfumato.models.backends.openvino.altered import Altered
from sfumato.models.backends.openvino.graphs import Graphs, any_of_large
from sfumato.models.backends.openvino.networks import shared_core
from sfumato.models.backends.openvino.unet import DYNAMIC
from sfumato.models.files import locate
from tiny_models import tiny_folder

SIDES = (2, 8, 8, 16)


@pytest.fixture(scope="module")
def graphs() -> Graphs:
    return Graphs(locate(tiny_folder()))


def test_what_needs_another_graph_has_another_key(graphs: Graphs) -> None:
    wanted = [
        graphs.of_unet("whole", SIDES, residuals=False),
        graphs.of_unet("both", SIDES, residuals=False),
        graphs.of_unet("whole", SIDES, residuals=True),
        graphs.of_unet("whole", (1, *SIDES[1:]), residuals=False),
        graphs.of_unet("whole", SIDES, residuals=False, altered=Altered(freeu=True)),
    ]
    assert len({one.key for one in wanted}) == len(wanted)
    assert graphs.of_unet("whole", SIDES, residuals=False).key == wanted[0].key
    texts = [graphs.of_text((2, 16)), graphs.of_text((2, 16), skipped=1), graphs.of_text((1, 16))]
    assert len({one.key for one in texts}) == len(texts)


def test_large_networks_have_one_key_for_every_size(graphs: Graphs, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any_of_large(graphs.files.unet, SIDES) == SIDES
    monkeypatch.setattr(networks, "SMALL_BYTES", 0)
    assert any_of_large(graphs.files.unet, SIDES, keep=1) == (DYNAMIC, 8, DYNAMIC, DYNAMIC)
    keys = {graphs.of_unet("whole", one, residuals=False).key for one in (SIDES, (1, 4, 12, 16))}
    keys |= {graphs.of_decoder(one).key for one in ((1, 4, 8, 8), (2, 4, 6, 10))}
    keys |= {graphs.of_encoder(one).key for one in ((1, 3, 64, 64), (2, 3, 32, 64))}
    assert len(keys) == 3
    # How many tokens there are is known of any text encoder.
    assert graphs.of_text((2, 16)).key == graphs.of_text((1, 16)).key != graphs.of_text((1, 32)).key


def test_haste_is_for_those_who_wait(graphs: Graphs) -> None:
    assert graphs.of_unet("whole", SIDES, residuals=False).hasty
    assert not graphs.of_unet("whole", (4, *SIDES[1:]), residuals=False).hasty
    whole_numbers = Graphs(graphs.files, ranges={})
    assert not whole_numbers.of_unet("whole", SIDES, residuals=False).hasty


def test_work_names_its_graphs_before_they_are_needed(graphs: Graphs) -> None:
    def keys(work: Work, inside: int = 0) -> list[object]:
        parts = ("both", "shallow") if work.reusing else ("whole",)
        made = graphs.of_work(work, parts, SIDES, residuals=False, inside=inside)
        return [one.key for one in made]

    plain = Work((2, 16), 2, 8, 8)
    assert keys(plain) == [graphs.of_unet("whole", SIDES, residuals=False).key]
    assert len(keys(Work((2, 16), 2, 8, 8, reusing=True))) == 2
    perturbed = keys(Work((2, 16), 2, 8, 8, perturbed=1))
    less = graphs.of_unet("whole", (1, *SIDES[1:]), residuals=False, altered=Altered(perturbed=True))
    assert len(perturbed) == 2
    assert perturbed[1] == less.key
    # Features of a T2I-Adapter go into deep blocks: the shallow part has none.
    deep, shallow = keys(Work((2, 16), 2, 8, 8, reusing=True), inside=3)
    assert deep == graphs.of_unet("both", SIDES, residuals=False, altered=Altered(inside=3)).key
    assert shallow == graphs.of_unet("shallow", SIDES, residuals=False).key


def test_a_graph_is_built_of_weights_as_they_were_changed(graphs: Graphs) -> None:
    config = graphs.files.text_encoder.config
    words = np.ones((1, config["hidden_size"]), np.float32)
    changes = Changes("a word more", {"text_encoder": NetworkChanges(words=words)})
    ids = np.full((1, 16), config["vocab_size"])  # a row that only the changed table has
    model, weights = Graphs(graphs.files, changes=changes).of_text((1, 16)).build()
    assert [*model.inputs[0].partial_shape.to_shape()] == [1, 16]
    encoded = shared_core().compile_model(model, "CPU")([ids])[0]
    assert weights is not None
    assert np.isfinite(encoded).all()

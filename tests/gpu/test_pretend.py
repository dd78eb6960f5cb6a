"""The road to a card, walked on one that the processor plays: the same numbers, nothing mixed, and few waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.api import Sam
from samcli.audio import fbank, mel32
from samcli.audio.decode import read_sound
from samcli.audio.front_end import EVEN_32K, KALDI
from samcli.checkpoints.loading import load_model
from samcli.engine import batches, cores, stages
from samcli.engine.hearing import hear
from samcli.models.device import suit_card
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.models.encoders.eat import Eat, EatConfig
from samcli.models.encoders.ssamba import Ssamba, SsambaConfig
from samcli.models.listener_state import TagGuidedSpeaker
from samcli.models.tagger import Tagger
from samcli.ssm.fast import graphs
from samcli.ssm.triton import choice
from tests.gpu.pretend import CARD, OnCard, PretendCard, moved, real

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a real one")
DEMO = sorted(map(str, Path(__file__).parents[2].glob("samcli/data/demo/*.opus")))


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread does everything, graphs are the work that was captured, and there is no Triton."""
    before = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision

    def begin(self: Any, rows: int, work: Callable[[slice], Any], fewest: int = 1) -> Any:
        return cores.Pending([cores._at_once(torch.inference_mode()(work), slice(0, rows))])

    monkeypatch.setattr(cores.Cores, "begin", begin)
    monkeypatch.setattr(graphs, "record", lambda work, device, pool: work)
    monkeypatch.setattr(graphs, "new_pool", lambda device: object())
    monkeypatch.setattr(choice, "trouble", lambda device: "no Triton")
    for module in (batches, stages):
        monkeypatch.setattr(module, "available_memory", lambda device: 8e9)
    yield
    torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision = before
    for tables in (fbank._tables, mel32._tables):  # of this card
        tables.cache_clear()


@pytest.fixture
def nano() -> Any:
    return load_model("sam-nano", device="cpu")


def test_the_play_is_as_strict_as_a_card() -> None:
    with PretendCard() as card:
        there = torch.ones(3, device=CARD)
        assert there.is_cuda and (there + 1).device == CARD and torch.tensor([1.0, 2.0], device=CARD).is_cuda
        assert there.new_zeros(2).is_cuda and card.waits == []
        with pytest.raises(RuntimeError, match="one device"):
            there + torch.ones(3)
        assert float(there.sum()) == 3 and there[there > 0].tolist() == [1, 1, 1]
        assert len(card.waits) == 3, "a number, a mask, a list"
        large = torch.zeros(9000, pin_memory=True)
        assert real(large.to(CARD, non_blocking=True)).sum() == 0 and len(card.waits) == 3
        torch.zeros(9000).to(CARD)
        assert len(card.waits) == 4, "memory that is not pinned"
        there[0] = 7.0
        assert real(there).tolist() == [7, 1, 1]


def test_products_round_to_tf32_where_that_is_allowed() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(40, 300), torch.randn(300, 50)
    found = []
    for rounds in (False, True):
        with PretendCard() as card:
            card.rounds = rounds
            error = real(a.to(CARD) @ b.to(CARD)) - a @ b
        found.append(float(error.abs().max() / (a @ b).abs().max()))
    assert found[0] < 1e-6 < 1e-4 < found[1] < 2e-3


def test_the_default_model_hears_and_speaks_on_a_card(nano: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16 and TF32, with captured steps and beams on the card; what is said is what the processor says."""
    waves = [read_sound(path, 32_000) for path in DEMO]
    expected = hear(nano, waves, [[""]] * len(waves), steps=True)
    suit_card(nano.network)
    steps: list[int] = []
    one_step = TagGuidedSpeaker.one_step

    def watched(self: Any, tokens: Any, state: Any, owned: bool) -> Any:
        before = len(card.waits)
        result = one_step(self, tokens, state, owned)
        steps.append(len(card.waits) - before)
        return result

    monkeypatch.setattr(TagGuidedSpeaker, "one_step", watched)
    with PretendCard() as card:
        card.rounds = True
        moved(nano.network)
        found = hear(nano, waves, [[""]] * len(waves), steps=True)
    assert [heard.texts for heard in found] == [heard.texts for heard in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.tags is not None and other.tags is not None
        assert abs(one.tags - other.tags).max() < 0.01 and one.tags.argmax() == other.tags.argmax()
    assert len(steps) > 3 and not any(steps), "a step of the voice asks the card nothing"
    # where results are read, and nowhere on the way, but for the tables of the filter bank, which are sent once
    assert card.places() <= {
        "audio/mel32.py:_tables",
        "engine/model_calls.py:_probabilities",
        "engine/model_calls.py:_windows",
        "engine/model_calls.py:_means",
        "models/listener_state.py:tellable",
        "ssm/fast/beams.py:beam_candidates",
        "ssm/fast/beams.py:found",
    }


def test_records_are_those_of_the_processor(nano: Any) -> None:
    """In float32, when nobody allowed less."""
    expected = [record.to_dict() for record in Sam(nano).run(DEMO, "tag")]
    with PretendCard():
        moved(nano.network)
        records = list(Sam(nano).run(DEMO, "tag"))
    for one, other in zip(records, expected, strict=True):
        scores = {tag["label"]: tag["score"] for tag in other["tags"]}
        assert {tag.label: tag.score for tag in one.tags or ()} == pytest.approx(scores, abs=1.01e-4)


@pytest.mark.parametrize("front_end", [EVEN_32K, KALDI], ids=lambda each: each.name)
def test_filter_banks_are_computed_on_the_card(front_end: Any) -> None:
    """In full even where products may round to TF32: ten bits would be seen in a logarithm."""
    torch.manual_seed(0)
    waves, lengths = 0.1 * torch.randn(3, 40_000), torch.tensor([40_000, 17_000, 100])
    waves *= torch.arange(40_000) < lengths[:, None]
    expected, frames = front_end.features(waves, lengths)
    with PretendCard() as card:
        card.rounds = True
        sent = waves.to(CARD)
        front_end.features(sent, lengths)  # its tables are sent once
        card.waits.clear()
        found, counted = front_end.features(sent, lengths)
        assert isinstance(found, OnCard) and card.waits == [] and torch.equal(counted, frames)
    assert (real(found) - expected).abs().max() <= 1e-4


ENCODERS: dict[str, Any] = {
    "dass": lambda: Dass(DassConfig(widths=(16, 32), depths=(2, 2), classes=5)),
    "eat": lambda: Eat(EatConfig(width=64, layers=2, heads=4, max_steps=80, classes=5)),
    "ssamba": lambda: Ssamba(SsambaConfig(width=64, layers=4, classes=5, pretraining=False)),
}


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_published_encoders_on_a_card(kind: str) -> None:
    torch.manual_seed(0)
    model = Tagger(ENCODERS[kind](), name=kind, revision="r", labels=tuple("abcde"))
    waves, lengths = 0.1 * torch.randn(3, 100_000), torch.tensor([100_000, 90_000, 300])
    expected = model.encode(waves, lengths)
    with PretendCard() as card:
        moved(model)
        sent = waves.to(CARD)
        model.encode(sent, lengths)
        card.waits.clear()
        found = model.encode(sent, lengths)
        assert card.places() == set()
    assert found.clip_logits is not None and expected.clip_logits is not None
    assert (real(found.clip_logits) - expected.clip_logits).abs().max() < 1e-3

"""The encoders, adapters and connectors on a CUDA device give what the processor gives."""

import os
from typing import Any

import pytest
import torch

from samcli.models.connectors import ConnectorConfig, build_connector
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.models.encoders.eat import Eat, EatConfig
from samcli.models.encoders.ssamba import Ssamba, SsambaConfig
from samcli.models.tagger import Tagger

DEVICE = os.environ.get("SAM_CHECK_DEVICE", "cuda")  # cpu: whether these tests run at all
THERE = DEVICE == "cpu" or torch.cuda.is_available()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not THERE, reason="no CUDA device"),
]
ENCODERS: dict[str, Any] = {
    "dass": lambda: Dass(DassConfig(widths=(16, 32), depths=(2, 2), classes=5)),
    "eat": lambda: Eat(EatConfig(width=64, layers=2, heads=4, max_steps=80, classes=5)),
    "ssamba": lambda: Ssamba(SsambaConfig(width=64, layers=4, classes=5, pretraining=False)),
}


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_tags_as_on_the_processor(kind: str) -> None:
    model = Tagger(ENCODERS[kind](), name=kind, revision="r", labels=tuple("abcde"))
    waves, lengths = 0.1 * torch.randn(3, 200_000), torch.tensor([200_000, 90_000, 300])
    wanted = model.encode(waves, lengths)
    found = model.to(DEVICE).encode(waves, lengths)
    assert found.clip_logits is not None and found.clip_logits.device.type == DEVICE
    torch.testing.assert_close(found.clip_logits.cpu(), wanted.clip_logits, rtol=0, atol=1e-3)
    assert found.lengths.tolist() == wanted.lengths.tolist()


@pytest.mark.parametrize("kind", ["concat", "time-major", "frequency-major", "convolution", "scan"])
def test_connectors_as_on_the_processor(kind: Any) -> None:
    connector = build_connector(ConnectorConfig(kind=kind, scan_state=16, scan_headdim=16), 24, (32, 4), 32)
    features, lengths = torch.randn(2, 32, 96), torch.tensor([32, 9])
    wanted, counts = connector(features, lengths)
    found, found_counts = connector.to(DEVICE)(features.to(DEVICE), lengths.to(DEVICE))
    assert found_counts.tolist() == counts.tolist()
    for row, length in enumerate(counts.tolist()):
        torch.testing.assert_close(found[row, :length].cpu(), wanted[row, :length], rtol=0, atol=1e-3)

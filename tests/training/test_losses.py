"""What sam-nano learns by: what is taught is what inference says."""

from __future__ import annotations

import torch
from torch import nn

from samcli.audio.front_end import EVEN_32K
from samcli.models.connectors import ConnectorConfig
from samcli.models.encoders.nano import NanoConfig
from samcli.models.interface import SpeakOptions
from samcli.models.listener_state import TagSummary
from samcli.models.sam import Listener, SamConfig, SamNetwork
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.ssm.language.blocks import LanguageConfig
from samcli.text.prompts import caption_example
from samcli.text.tokenizer import train_tokenizer
from samcli.training.losses import LossWeights, fitting, losses
from samcli.training.nano.batches import Batch
from samcli.training.nano.initial import learn_statistics
from samcli.training.nano.words import ALWAYS, SURE, UNSURE, Words

SMALL = SamConfig(
    encoder=NanoConfig(
        trunk="tiny",
        hidden=16,
        layers=1,
        mixer=BidirectionalConfig(d_model=16, d_state=8, head_dim=8),
    ),
    language=LanguageConfig(d_model=32, n_layer=1, vocab_size=320, d_state=8, headdim=8),
    connector=ConnectorConfig(),
    stack=4,
    reads_tags=True,
    aligned=True,
)


def network() -> SamNetwork:
    torch.manual_seed(0)
    model = SamNetwork(SMALL)
    nn.init.uniform_(model.tag_reader.lexicon.weight, 0, 0.5)
    return model


def test_what_is_named_is_taught_where_it_is_surely_heard() -> None:
    heard = TagSummary(*(torch.tensor([[0.9, 0.1], [0.3, 0.2]]) for _ in range(4)), torch.ones(2, 1))
    each = torch.zeros(6, dtype=torch.long)
    words = Words(
        torch.tensor([0, 0, 0, 1, 1, 1]),
        torch.zeros(6, 4, dtype=torch.long),
        torch.tensor([4, 3, 2, 4, 3, 2]),
        each,
        torch.tensor([ALWAYS, SURE, UNSURE] * 2),
    )
    assert fitting(words, heard).tolist() == [5, 1, 0, 3]
    assert set(fitting(words, None).tolist()) == {0, 1, 3, 4}, "who hears no tags is asked no doubts"


def test_what_is_taught_is_what_is_spoken() -> None:
    """Two sounds, two sentences: after some steps the model says each where it belongs."""
    torch.manual_seed(0)
    sentences = ["A dog barks twice.", "Rain is falling on a roof."]
    tokenizer = train_tokenizer(sentences * 3, 300)
    model = network()
    waves = torch.stack([torch.sin(torch.arange(32000) * 0.3), torch.randn(32000) * 0.5])
    lengths = torch.tensor([32000, 32000])
    mel, _ = EVEN_32K.features(waves, lengths)
    rows = [caption_example(tokenizer, sentence) for sentence in sentences]
    longest = max(len(row.tokens) for row in rows)
    words = Words(
        torch.tensor([0, 1]),
        torch.tensor([row.tokens + [tokenizer.pad] * (longest - len(row.tokens)) for row in rows]),
        torch.tensor([len(row.tokens) for row in rows]),
        torch.tensor([row.answer_start for row in rows]),
        torch.zeros(2, dtype=torch.long),
    )
    steps = -(-mel.shape[1] // 8)
    unnamed = torch.full((2,), -1), torch.zeros(2)
    batch = Batch(mel, torch.zeros(2, 527), torch.zeros(2, steps, 527, dtype=torch.float16), *unnamed, words=words)
    learn_statistics(model.encoder.trunk)  # type: ignore[arg-type]
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(160):
        total, parts = losses(model, batch, LossWeights())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        if parts["words"] < 0.02:
            break
    assert parts["words"] < 0.1
    for module in model.modules():  # the batch norms saw these two alone: let them keep to what they saw
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        model.encoder(mel)
    listener = Listener(model.eval(), tokenizer, ["x"] * 527, "test", "0")
    state = listener.listen(listener.encode(waves, lengths), None)
    assert listener.speak(state, ["", ""], SpeakOptions()) == sentences
    assert listener.speak(listener.select(state, [1]), [""], SpeakOptions()) == sentences[1:]

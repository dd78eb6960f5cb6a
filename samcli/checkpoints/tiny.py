"""`tiny-random`: the real classes at their smallest, with seeded random weights; it tags, captions and answers.

It knows nothing, and every record carries its name; it exists so that the whole command line can be driven in seconds
and offline, through the same code as a trained model. Its words are real words, so that its output reads like output.
"""

from __future__ import annotations

from typing import Any

import torch

from samcli.models.connectors import ConnectorConfig
from samcli.models.encoders.nano import NanoConfig
from samcli.models.sam import Listener, SamConfig, SamNetwork
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.ssm.language.blocks import LanguageConfig
from samcli.text.tokenizer import LEAST_SIZE, Tokenizer, train_tokenizer

NAME = "tiny-random"
SEED = 225  # of those tried, one whose sentences differ from sound to sound and mostly end
REVISION = f"seed-{SEED}"
LABELS = (
    "Speech", "Music", "Dog", "Bark", "Siren", "Rain", "Bird", "Vehicle", "Water", "Silence",
    "Inside, small room", "Outside, urban or manmade",
)  # fmt: skip
SENTENCES = (
    "a dog barks", "a bird sings", "a man speaks", "a woman laughs", "rain falls", "a car passes", "music plays",
    "a siren wails", "water drips", "wind blows", "yes", "no", "nearby", "far away", "and then", "while", "softly",
)  # fmt: skip
WIDTH = 16
EAGERNESS_TO_END = 1.1  # against 1 for a word: few sentences run on


def tiny_config(vocabulary: int) -> SamConfig:
    return SamConfig(
        encoder=NanoConfig(
            trunk="tiny",
            hidden=16,
            layers=1,
            mixer=BidirectionalConfig(d_model=WIDTH, d_state=8, head_dim=8),
            classes=len(LABELS),
        ),
        language=LanguageConfig(
            d_model=WIDTH, n_layer=2, vocab_size=vocabulary, d_state=8, headdim=8, tie_embeddings=False
        ),
        connector=ConnectorConfig("concat"),
        stack=4,
        aligned=True,
    )


def tiny_tokenizer() -> Tokenizer:
    """Bytes, our special tokens, and the words of SENTENCES."""
    return train_tokenizer(SENTENCES * 2, LEAST_SIZE + 200)


def tiny_network(tokenizer: Tokenizer, seed: int = SEED) -> SamNetwork:
    """The same weights every time, whatever else draws random numbers."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = SamNetwork(tiny_config(len(tokenizer)))
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1 and not name.endswith("A_log"):
                parameter.copy_(torch.randn(parameter.shape) * parameter[0].numel() ** -0.5)
        head: Any = network.encoder.head
        head.bias.copy_(torch.randn(len(LABELS)))
        _speak_in_words(network, tokenizer)
    return network.eval().requires_grad_(False)


def _speak_in_words(network: SamNetwork, tokenizer: Tokenizer) -> None:
    """Only whole words, and the end now and then, can be the likeliest token."""
    words = {token for sentence in SENTENCES for token in tokenizer.encode(sentence)}
    spoken = sorted(words | {tokenizer.eos})
    table = network.language.lm_head.weight
    table.zero_()
    table[spoken] = torch.randn(len(spoken), WIDTH)
    table[tokenizer.eos] *= EAGERNESS_TO_END


def tiny_random(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Listener:
    tokenizer = tiny_tokenizer()
    network = tiny_network(tokenizer).to(device, dtype)
    return Listener(network, tokenizer, LABELS, NAME, REVISION)

"""Connectors: their sequences, their independence of padding, and parity with ML-Mamba's program."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.models.connectors import LAYOUT, Connector, ConnectorConfig, build_connector

KINDS = ["concat", "time-major", "frequency-major", "convolution", "scan"]
SMALL = {"scan_state": 8, "scan_headdim": 8}


def small(kind: Any, *, bands: int = 4, **settings: Any) -> Connector:
    torch.manual_seed(3)
    return build_connector(ConnectorConfig(kind=kind, **SMALL, **settings), 6, (10, bands), 16).eval()


@pytest.mark.parametrize(
    ("kind", "after_last", "tokens"),
    [
        ("concat", False, 64),
        ("time-major", False, 575),  # 512 patches, 63 separators
        ("time-major", True, 576),
        ("frequency-major", False, 519),  # 512 patches, 7 separators
        ("frequency-major", True, 520),
        ("scan", False, 512),
    ],
)
def test_tokens_of_ten_seconds_of_eat(kind: Any, after_last: bool, tokens: int) -> None:
    config = ConnectorConfig(kind=kind, separator_after_last=after_last, **SMALL)
    connector = build_connector(config, 12, (64, 8), 16)
    embeddings, counts = connector(torch.randn(1, 64, 8 * 12), torch.tensor([64]))
    assert embeddings.shape == (1, tokens, 16) and counts.tolist() == [tokens]
    assert connector.tokens(64) == tokens


def test_thirty_two_tokens_of_dass() -> None:
    connector = build_connector(ConnectorConfig(kind="convolution"), 12, (32, 4), 16)
    embeddings, counts = connector(torch.randn(1, 32, 4 * 12), torch.tensor([32]))
    assert embeddings.shape == (1, 32, 16) and counts.tolist() == [32]


def test_order_of_the_separated_sequences() -> None:
    """Each patch carries its own step and band; both orders are read back from the embeddings."""
    steps, bands = 3, 2
    features = torch.zeros(1, steps, bands, 6)
    for step in range(steps):
        for band in range(bands):
            features[0, step, band, :2] = torch.tensor([step, band])
    expected = {
        "time-major": ["00", "01", "|", "10", "11", "|", "20", "21"],
        "frequency-major": ["00", "10", "20", "|", "01", "11", "21"],
    }
    for kind, order in expected.items():
        connector = small(kind, bands=bands)
        connector.mlp = torch.nn.Identity()  # patches pass as they are
        connector.separator = torch.nn.Parameter(torch.full((1, 6), -1.0))
        embeddings, _ = connector(features.flatten(2), torch.tensor([steps]))
        heard = ["|" if row[0] < 0 else f"{int(row[0])}{int(row[1])}" for row in embeddings[0]]
        assert heard == order
        numbers = torch.arange(1.0, 1 + steps)[None, :, None].expand(-1, -1, 6)
        known = connector.spread_steps(numbers, torch.tensor([steps]))
        assert [int(value) for value in known[0, :, 0]] == [0 if at == "|" else 1 + int(at[0]) for at in order]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_known_of_steps_goes_where_their_tokens_go(kind: Any) -> None:
    """As many as the tokens, and nothing of what lies behind a row's end."""
    connector, steps = small(kind), torch.randn(2, 7, 16)
    features, lengths = torch.randn(2, 7, 4 * 6), torch.tensor([7, 4])
    embeddings, counts = connector(features, lengths)
    known = connector.spread_steps(steps, lengths)
    assert known.shape == embeddings.shape
    loud = steps.clone()
    loud[1, 4:] = 1e3
    assert torch.equal(connector.spread_steps(loud, lengths)[1, : counts[1]], known[1, : counts[1]])


def test_a_token_that_mixes_steps_knows_their_mean() -> None:
    connector = small("convolution", bands=3)  # two tokens for every second step
    steps = torch.arange(1.0, 6.0)[None, :, None]
    known = connector.spread_steps(steps, torch.tensor([5]))
    assert known[0, :, 0].tolist() == [1.5, 1.5, 3.0, 3.0, 4.5, 4.5]
    shorter = connector.spread_steps(steps, torch.tensor([4]))
    assert shorter[0, :, 0].tolist() == [1.5, 1.5, 3.0, 3.0, 4.0, 4.0]
    scanned = small("scan", bands=2).spread_steps(steps, torch.tensor([5]))
    assert scanned[0, :, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_concat_puts_bands_side_by_side() -> None:
    connector = build_connector(ConnectorConfig(kind="concat"), 3, (5, 2), 4)
    assert connector.mlp[0].in_features == 6 and connector.mlp[0].out_features == 4
    assert connector.mlp[2].in_features == connector.mlp[2].out_features == 4


def test_separator_is_the_language_models_own() -> None:
    connector = small("time-major", separator_tokens=2)
    text = torch.randn(2, 16)
    connector.set_separator(text)
    assert not connector.separator.requires_grad
    embeddings, _ = connector(torch.randn(1, 2, 24), torch.tensor([2]))
    assert torch.equal(embeddings[0, 4:6], text)  # four bands, then the separator's two tokens, untouched
    with pytest.raises(ValueError, match="separator"):
        connector.set_separator(torch.randn(1, 16))


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=st.lists(st.integers(1, 10), min_size=1, max_size=4), seed=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_rows_ignore_padding_and_neighbours(kind: str, lengths: list[int], seed: int) -> None:
    connector = small(kind)
    chance = torch.Generator().manual_seed(seed)
    features = torch.randn(len(lengths), 10, 24, generator=chance)
    together, counts = connector(features, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, count = connector(features[row : row + 1, :length], torch.tensor([length]))
        assert counts[row] == count[0] == connector.tokens(length) == alone.shape[1]
        torch.testing.assert_close(together[row, : counts[row]], alone[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_without_sound_gives_no_tokens(kind: str) -> None:
    embeddings, counts = small(kind)(torch.randn(2, 10, 24), torch.tensor([0, 4]))
    assert counts[0] == 0 and counts[1] > 0 and embeddings.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_everything_learns(kind: str) -> None:
    connector = small(kind)
    features = torch.randn(2, 7, 24, requires_grad=True)
    embeddings, counts = connector(features, torch.tensor([7, 5]))
    valid = torch.arange(embeddings.shape[1]) < counts[:, None]
    embeddings[valid].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in connector.parameters())
    assert features.grad is not None and features.grad[1, 5:].abs().sum() == 0  # padding teaches nothing


@pytest.mark.parametrize("projector", ["fused-gelu-mlp", "gelu-mlp", "linear"])
def test_parity_with_mlmamba(parity: Any, projector: Any) -> None:
    weights, case = parity.load("mlmamba_connector")
    kept = {key: value for key, value in weights.items() if not key.startswith("alt.")}
    output = case["output"]
    if projector != "fused-gelu-mlp":  # the fixture keeps its other projectors under a prefix of their own
        output, prefix = case[f"output.{projector}"], f"alt.{projector}."
        kept = {key: value for key, value in kept.items() if not key.startswith("projector.")}
        kept |= {key.replace(prefix, "projector."): value for key, value in weights.items() if key.startswith(prefix)}
    weights = kept
    assert LAYOUT.recognises(weights)
    config = ConnectorConfig(kind="scan", scan_state=16, scan_headdim=16, projector=projector)
    connector = parity.fill(build_connector(config, 24, (30, 1), 32), parity.ours(weights, LAYOUT))
    embeddings, counts = connector(case["input"], torch.tensor([30, 30]))
    assert parity.worst(embeddings, output) < 1e-5 and counts.tolist() == [30, 30]


def test_every_part_of_mlmamba_on_the_way(parity: Any) -> None:
    weights, case = parity.load("mlmamba_connector")
    weights = {key: value for key, value in weights.items() if not key.startswith("alt.")}
    config = ConnectorConfig(kind="scan", scan_state=16, scan_headdim=16)
    connector = parity.fill(build_connector(config, 24, (30, 1), 32), parity.ours(weights, LAYOUT))
    counts = torch.tensor([30, 30])
    x = torch.nn.functional.gelu(connector.enter(case["input"]))
    assert parity.worst(x, case["after_mlp"]) < 1e-5
    assert parity.worst(connector.layers[0].mixer.mix(x, counts), case["layers.0.mixer"]) < 1e-5
    x = connector.layers[0](x, counts)
    assert parity.worst(x, case["layers.0"]) < 1e-5
    x = connector.layers[1](x, counts)
    assert parity.worst(x, case["layers.1"]) < 1e-5
    assert parity.worst(connector.norm(x), case["after_scan"]) < 1e-5

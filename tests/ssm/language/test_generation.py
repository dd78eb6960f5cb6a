"""Speaking: every row as if alone, the search against exhaustive search, the controls against their definitions."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.ssm.language.generation import GenerationOptions, generate
from samcli.ssm.language.model import LanguageConfig, LanguageModel
from samcli.ssm.language.sampling import controlled, keep_likely, repeated_continuations
from samcli.ssm.state import BlockState, batch_size, join, reorder, repeat, select, size_in_bytes

VOCABULARY = 13  # three padding rows up to 16


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(11)
    config = LanguageConfig(16, 2, VOCABULARY, d_state=4, headdim=8, tie_embeddings=False)
    model = LanguageModel(config).double().requires_grad_(False)
    # far from uniform, so that choices are clear, and untied, so that the last token is not simply said again
    model.backbone.embedding.weight.mul_(50)
    model.lm_head.weight.mul_(4)
    return model


def prompts(rows: int, length: int = 7, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))


WAYS = {
    "greedy": GenerationOptions(max_new_tokens=9, stop_tokens=(1, 4)),
    "sampling": GenerationOptions(max_new_tokens=9, stop_tokens=(1,), temperature=1.3, top_k=9, top_p=0.9, seed=4),
    "beams": GenerationOptions(max_new_tokens=9, stop_tokens=(1, 4), beams=3),
    "controlled": GenerationOptions(
        max_new_tokens=9, stop_tokens=(1,), min_new_tokens=4, repetition_penalty=1.4, no_repeat_ngram=2
    ),
}


@pytest.mark.parametrize("way", WAYS)
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4), seed=st.integers(0, 20))
@settings(max_examples=12, deadline=None)
def test_each_row_speaks_as_it_would_alone(model: LanguageModel, way: str, lengths: list[int], seed: int) -> None:
    tokens = prompts(len(lengths), max(lengths), seed)
    together = generate(model, None, tokens, WAYS[way], torch.tensor(lengths))
    alone = [generate(model, None, tokens[i : i + 1, :n], WAYS[way])[0] for i, n in enumerate(lengths)]
    assert together == alone


@pytest.mark.parametrize("way", WAYS)
def test_a_state_speaks_twice_alike_and_is_not_touched(model: LanguageModel, way: str) -> None:
    logits, state = model.prefill(prompts(2))
    before = [leaf.clone() for block in state for leaf in block]
    assert generate(model, state, logits, WAYS[way]) == generate(model, state, logits, WAYS[way])
    assert all(torch.equal(a, b) for a, b in zip(before, (leaf for block in state for leaf in block), strict=True))


def test_greedy_is_the_chain_of_most_likely_tokens(model: LanguageModel) -> None:
    tokens = prompts(1)
    spoken = generate(model, None, tokens, GenerationOptions(max_new_tokens=6))[0]
    for token in spoken:
        logits, _ = model(tokens)
        assert token == int(logits[0, -1, :VOCABULARY].argmax())
        tokens = torch.cat([tokens, torch.tensor([[token]])], dim=1)


def score(model: LanguageModel, prompt: torch.Tensor, spoken: tuple[int, ...]) -> float:
    whole = torch.cat([prompt, torch.tensor([spoken], dtype=torch.long)], dim=1)
    chances = model(whole)[0][0, prompt.shape[1] - 1 : -1, :VOCABULARY].log_softmax(dim=-1)
    return float(chances[range(len(spoken)), list(spoken)].sum())


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_as_wide_as_everything_is_exhaustive_search(
    model: LanguageModel, seed: int, length_penalty: float
) -> None:
    stop, longest = 2, 2
    prompt = prompts(1, seed=seed)
    best, best_score = (), -float("inf")
    others = [token for token in range(VOCABULARY) if token != stop]
    for length in range(longest + 1):
        for spoken in itertools.product(others, repeat=length):
            # a hypothesis ends with the stop token or at the longest length
            ended = spoken if length == longest else (*spoken, stop)
            value = score(model, prompt, ended) / max(len(ended), 1) ** length_penalty
            if value > best_score:
                best, best_score = spoken, value
    options = GenerationOptions(
        max_new_tokens=longest, stop_tokens=(stop,), beams=len(others) * VOCABULARY, length_penalty=length_penalty
    )
    assert tuple(generate(model, None, prompt, options)[0]) == best


def test_wider_beams_never_score_below_greedy(model: LanguageModel) -> None:
    tokens = prompts(6, seed=5)
    greedy = generate(model, None, tokens, GenerationOptions(max_new_tokens=6))
    beams = generate(model, None, tokens, GenerationOptions(max_new_tokens=6, beams=5))
    better = 0
    for row in range(6):
        prompt = tokens[row : row + 1]
        assert score(model, prompt, tuple(beams[row])) >= score(model, prompt, tuple(greedy[row])) - 1e-9
        better += beams[row] != greedy[row]
    assert better  # the search did something


class Told:
    """A speaker whose chances after each beginning are written down."""

    vocab_size = 4
    chances: ClassVar = {
        (): (0.4, 0.5, 0.1, 0),
        (1,): (0.1, 0, 0, 0.9),
        (2,): (0.9, 0.1, 0, 0),
        (1, 3): (0.99, 0.01, 0, 0),
    }

    def prepare(self) -> None: ...

    def logits(self, state: torch.Tensor) -> torch.Tensor:
        said = [tuple(token for token in row if token >= 0) for row in state.tolist()]
        return torch.tensor([self.chances.get(row, (0.25,) * 4) for row in said]).clamp(min=1e-9).log()

    def step(self, tokens: torch.Tensor, state: torch.Tensor, owned: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        state = torch.cat([state, tokens[:, None]], dim=1)
        return self.logits(state), state


def test_a_search_goes_on_while_the_best_open_beam_can_win() -> None:
    """Both beams have a finished hypothesis, the second open beam is hopeless, and the first becomes the answer."""
    state = torch.full((1, 1), -1)
    options = GenerationOptions(max_new_tokens=6, stop_tokens=(0,), beams=2, length_penalty=0.0)
    assert generate(Told(), state, Told().logits(state), options) == [[1, 3]]
    only_to_stop = replace(options, suppressed=(1, 2, 3))
    assert generate(Told(), state, Told().logits(state), only_to_stop) == [[]]


def test_seeds_make_samples(model: LanguageModel) -> None:
    tokens = prompts(1).repeat(1, 1)
    options = GenerationOptions(max_new_tokens=12, temperature=1.5)
    texts = {tuple(generate(model, None, tokens, replace(options, seed=seed))[0]) for seed in range(6)}
    assert len(texts) > 3


def test_what_is_forbidden_is_never_spoken(model: LanguageModel) -> None:
    options = GenerationOptions(max_new_tokens=40, temperature=3.0, suppressed=(3, 5), seed=1)
    spoken = generate(model, None, prompts(4), options)
    assert all(len(row) == 40 and not {3, 5} & set(row) and max(row) < VOCABULARY for row in spoken)


def test_no_ngram_comes_twice(model: LanguageModel) -> None:
    for beams in (1, 3):
        options = GenerationOptions(max_new_tokens=40, no_repeat_ngram=2, beams=beams)
        for row in generate(model, None, prompts(3), options):
            pairs = list(itertools.pairwise(row))
            assert len(row) == 40 and len(set(pairs)) == len(pairs)


def test_stop_tokens_wait_for_the_shortest_length(model: LanguageModel) -> None:
    everything = tuple(range(0, VOCABULARY, 2))
    rows = generate(model, None, prompts(4), GenerationOptions(9, min_new_tokens=5, stop_tokens=everything))
    assert all(len(row) >= 5 and not set(row[:5]) & set(everything) for row in rows)


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 4))
def test_repeated_continuations_are_exactly_those_that_repeat(spoken: list[int], size: int) -> None:
    grams = {tuple(spoken[i : i + size]) for i in range(len(spoken) - size + 1)}
    for token in range(4):
        tail = [*spoken, token][-size:]
        repeats = len(tail) == size and tuple(tail) in grams
        assert (token in repeated_continuations(spoken, size)) == repeats


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.floats(0.05, 1.0), st.integers(0, 12))
def test_the_nucleus_is_the_smallest_set_that_holds_its_share(scores: list[float], top_p: float, top_k: int) -> None:
    logits = torch.tensor([scores], dtype=torch.float64)
    kept = keep_likely(logits, 0, top_p)[0].isfinite()
    chances = logits.softmax(-1)[0]
    assert float(chances[kept].sum()) >= top_p - 1e-9
    smallest = chances[kept].min()
    assert chances[kept].sum() - smallest < top_p + 1e-9  # without its least token it would not hold enough
    assert not (chances[~kept] > smallest + 1e-12).any()
    if top_k:
        assert int(keep_likely(logits, top_k, 1.0)[0].isfinite().sum()) >= min(top_k, len(scores))


def test_the_repetition_penalty_lowers_what_was_said_and_nothing_else() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0, 0.5]])
    scores = controlled(logits, [[0, 1]], 4, GenerationOptions(repetition_penalty=2.0))
    assert scores.tolist() == [[1.0, -4.0, 1.0, 0.5]]


def test_options_refuse_nonsense() -> None:
    for wrong in ({"beams": 0}, {"top_p": 0.0}, {"temperature": -1.0}, {"beams": 2, "temperature": 1.0}):
        with pytest.raises(ValueError):
            GenerationOptions(**wrong)  # type: ignore[arg-type]


def test_states_are_selected_repeated_and_joined(model: LanguageModel) -> None:
    _, state = model.prefill(prompts(3))
    assert batch_size(repeat(state, 2)) == 6
    again = join([select(repeat(state, 2), [2 * row]) for row in range(3)])
    assert all(torch.equal(a, b) for x, y in zip(again, state, strict=True) for a, b in zip(x, y, strict=True))
    _, longer = model.prefill(prompts(3, 700))
    assert size_in_bytes(longer) == size_in_bytes(state)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("rows", [1, 3])
def test_the_prepared_model_steps_as_the_plain_one(dtype: torch.dtype, groups: int, rows: int) -> None:
    torch.manual_seed(2)
    config = LanguageConfig(32, 3, 40, d_state=8, headdim=16, ngroups=groups)
    plain = LanguageModel(config).to(dtype).requires_grad_(False)
    prepared = LanguageModel(config).to(dtype).requires_grad_(False).eval()
    prepared.load_state_dict(plain.state_dict())
    prepared.prepare()
    tokens = prompts(rows, 9)
    _, state = plain.prefill(tokens)
    kept = [leaf.clone() for block in state for leaf in block]
    theirs, ours = state, state
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.05}[dtype]
    for t in range(6):
        expected, theirs = plain.step(tokens[:, t], theirs)
        logits, ours = prepared.step(tokens[:, t], ours, owned=t > 0)
        torch.testing.assert_close(logits, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))
    for a, b in zip(ours, theirs, strict=True):
        assert a.ssm.dtype == b.ssm.dtype and a.tail.shape == b.tail.shape
        torch.testing.assert_close(a.ssm, b.ssm, rtol=tolerance, atol=tolerance)
    assert all(torch.equal(a, b) for a, b in zip(kept, (leaf for block in state for leaf in block), strict=True))


def test_a_prepared_model_notices_new_weights(model: LanguageModel) -> None:
    config = LanguageConfig(32, 2, 40, d_state=8, headdim=16)
    torch.manual_seed(4)
    one, other = (LanguageModel(config).requires_grad_(False).eval() for _ in range(2))
    options, tokens = GenerationOptions(max_new_tokens=12), prompts(2)
    expected = generate(other, None, tokens, options)
    assert generate(one, None, tokens, options) != expected
    one.load_state_dict(other.state_dict())
    assert generate(one, None, tokens, options) == expected
    with torch.no_grad():
        for mine, theirs in zip(one.parameters(), LanguageModel(config).parameters(), strict=True):
            mine.copy_(theirs)
        assert generate(one, None, tokens, options) != expected
        for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
            mine.copy_(theirs)
    assert generate(one, None, tokens, options) == expected
    one.train()
    assert one._decoder is None
    assert generate(one, None, tokens, options) == expected
    assert "product" not in "".join(one.state_dict())


@given(batch=st.integers(1, 6), data=st.data())
@settings(max_examples=60, deadline=None)
def test_rows_reordered_in_place_are_the_rows_selected(batch: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=8))
    state = (BlockState(torch.randn(batch, 2, 3, 4), torch.randn(batch, 3, 5)), torch.arange(batch))
    wanted = select(state, rows)
    found = reorder(state, rows)
    assert torch.equal(found[0].ssm, wanted[0].ssm) and torch.equal(found[0].tail, wanted[0].tail)
    assert found[1].tolist() == rows
    assert (found[0].ssm.data_ptr() == state[0].ssm.data_ptr()) == (len(rows) <= batch)

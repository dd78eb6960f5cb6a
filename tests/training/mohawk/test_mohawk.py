"""The student: where it begins, what its matrices are, what the three stages bring it."""

from __future__ import annotations

import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.checkpoints.vocabulary import read_tokenizer
from samcli.errors import InputError
from samcli.ssm.language.phi import DiscreteMamba2, PhiConfig, PhiLanguageModel
from samcli.training.lesson import CourseOptions
from samcli.training.mohawk.judge import perplexity
from samcli.training.mohawk.passages import HELD_OUT, Encode, Grammar, Texts, encoder
from samcli.training.mohawk.reading import read_teacher
from samcli.training.mohawk.recipe import MohawkRecipe, mohawk
from samcli.training.mohawk.student import beginner
from samcli.training.team import Team
from tests.ssm.textbook import slow_causal_convolution, slow_ssd
from tests.training.mohawk.conftest import save_llama

RECIPE = MohawkRecipe((12, 12, 24), 24, (5e-3, 3e-3, 3e-3), 2, 8, CourseOptions(batch=4, report_every=4))


@pytest.fixture(scope="module")
def encode(teacher_folder: Path) -> Encode:
    return encoder(read_tokenizer(teacher_folder / "tokenizer.json"))


def test_the_mixing_matrix_is_the_recurrence() -> None:
    """Step by step, in loops, from the mixer's own weights."""
    torch.manual_seed(0)
    config = PhiConfig(8, heads=4, qk_heads=2, d_state=3)
    mixer = DiscreteMamba2(config).double().requires_grad_(False)
    mixer.D.normal_()
    x = torch.randn(2, 13, 8, dtype=torch.float64)
    projected = x @ mixer.in_proj.weight.T
    assert mixer.conv1d.bias is not None
    tail = torch.zeros(2, 3, config.conv_channels, dtype=torch.float64)
    passed = slow_causal_convolution(
        projected[..., : config.conv_channels], mixer.conv1d.weight, mixer.conv1d.bias, tail
    )
    inner, B, C = passed[..., :8].unflatten(-1, (4, 2)), passed[..., 8:14], passed[..., 14:]
    decay = torch.sigmoid(-projected[..., -4:])
    y, _ = slow_ssd(inner, decay.log(), B.unflatten(-1, (2, 3)), C.unflatten(-1, (2, 3)), None, mixer.D)
    mixed = torch.einsum("bhij,bjhp->bihp", mixer.transfer_matrix(x), inner)
    torch.testing.assert_close(mixed, y, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("own", [{}, {"attention_bias": True}])
def test_it_begins_as_attention_without_the_softmax(own: dict[str, Any], tmp_path: Path) -> None:
    save_llama(tmp_path, **own)
    teacher = read_teacher(tmp_path)
    student = beginner(teacher).requires_grad_(False)
    ours: Any = student.backbone.layers[1]
    theirs: Any = teacher.backbone.layers[1]
    h = torch.randn(2, 9, 32)
    q, k = (theirs.mixer._heads(part(h)) for part in (theirs.mixer.q, theirs.mixer.k))
    inner, B, C = ours.mixer._operands(h, None, None)[1:4]
    torch.testing.assert_close(inner.transpose(1, 2), theirs.mixer._heads(theirs.mixer.v(h)))
    torch.testing.assert_close(torch.einsum("blhn,bmhn->bhlm", C, B), q @ k.transpose(-1, -2) * 8**-0.5)
    # an open gate, and the output as it was: what is mixed goes out as the attention would send it
    y, _ = ours.mixer(h)
    mixed = torch.einsum("bhij,bjhp->bihp", ours.mixer.transfer_matrix(h), inner).flatten(2)
    torch.testing.assert_close(y, theirs.mixer.out_proj(mixed), rtol=1e-4, atol=1e-5)
    # the rest is the teacher's
    for name, value in teacher.state_dict().items():
        if ".mixer." not in name:
            assert torch.equal(student.state_dict()[name], value), name


def test_a_step_at_a_time_says_what_a_whole_reading_says(teacher_folder: Path) -> None:
    """The state of the student is all it needs of the past."""
    student = beginner(read_teacher(teacher_folder))
    tokens = torch.randint(0, 300, (2, 17))
    with torch.no_grad():
        whole, _ = student(tokens)
        _, state = student.prefill(tokens[:, :9], piece=4)
        for place in range(9, 17):
            logits, state = student.step(tokens[:, place], state)
            torch.testing.assert_close(logits, whole[:, place], rtol=1e-3, atol=1e-4)


def test_the_stages_bring_it_nearer_and_a_stop_changes_nothing(
    teacher_folder: Path, encode: Encode, tmp_path: Path, alone: Team, same_weights: Any
) -> None:
    teacher, passages = read_teacher(teacher_folder), Grammar(encode, RECIPE.length)
    lines: list[dict[str, Any]] = []
    whole, found, finished = mohawk(teacher, passages, tmp_path / "whole", RECIPE, alone, lines.append)
    assert finished and list(found) == ["teacher", "beginning", "matrices", "hidden", "whole"]
    for stage in ("matrices", "hidden", "whole"):
        losses = [line["loss"] for line in lines if line["stage"] == stage]
        assert losses[-1] < 0.9 * losses[0], stage
    off = {name: abs(math.log(value / found["teacher"])) for name, value in found.items()}
    assert off["whole"] < 0.5 * off["beginning"], "it foretells as well or as badly as its teacher"
    assert perplexity(whole, passages.held_out(RECIPE.judged)) == pytest.approx(found["whole"], rel=1e-3)

    def stop(line: dict[str, Any]) -> None:
        if line["step"] in (8, 20, 36):
            signal.raise_signal(signal.SIGINT)

    for _ in range(3):  # once in every stage
        with pytest.raises(KeyboardInterrupt):
            mohawk(teacher, passages, tmp_path / "parts", RECIPE, alone, stop)
    parts, again, finished = mohawk(teacher, passages, tmp_path / "parts", RECIPE, alone)
    assert finished and again == found
    same_weights(whole.state_dict(), parts.state_dict())


def test_only_mixers_learn_before_the_last_stage(
    teacher_folder: Path, encode: Encode, tmp_path: Path, alone: Team
) -> None:
    teacher = read_teacher(teacher_folder)
    recipe = replace(RECIPE, steps=(2, 2, 0))
    student, _, _ = mohawk(teacher, Grammar(encode, 24), tmp_path, recipe, alone)
    before = PhiLanguageModel.state_dict(beginner(teacher))
    changed = {name for name, value in student.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(".mixer." in name for name in changed)


def test_a_text_of_ones_own(tmp_path: Path, encode: Encode) -> None:
    (tmp_path / "books").mkdir()
    for name in ("one.txt", "two.txt"):
        (tmp_path / "books" / name).write_text(f"A dog barks in {name}.\nThen it rains.\n" * 60)
    (tmp_path / "books" / "three.md").write_text("Not a text.")
    texts = Texts(tmp_path / "books", encode, 8)
    windows = texts.size // 8
    epoch = [tuple(texts.learned(place).tolist()) for place in range(len(texts.windows))]
    assert len(texts.windows) + len(texts.others) == windows and len(texts.others) == windows // HELD_OUT
    assert sorted(epoch) == sorted(map(tuple, texts.windows.tolist())), "every window once an epoch"
    assert epoch != list(map(tuple, texts.windows.tolist()))
    assert texts.held_out(3).shape == (3, 8) and texts.held_out(999).shape == (len(texts.others), 8)
    with pytest.raises(InputError, match="are the least to learn from"):
        Texts(tmp_path / "books", encode, 1024)


def test_captions_are_the_same_at_the_same_place(encode: Encode) -> None:
    one, other = Grammar(encode, 24), Grammar(encode, 24, seed=1)
    assert torch.equal(one.learned(5), one.learned(5)) and not torch.equal(one.learned(5), one.learned(6))
    assert not torch.equal(one.learned(5), other.learned(5)) and torch.equal(one.held_out(3), other.held_out(3))

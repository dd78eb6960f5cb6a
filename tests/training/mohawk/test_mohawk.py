"""The student: where it begins, what its matrices are, what the three stages bring it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.checkpoints.files import read_tokenizer
from samcli.errors import InputError
from samcli.ssm.language.phi import DiscreteMamba2, PhiConfig
from samcli.training.mohawk.networks import Teacher, TeacherConfig, beginner, nearest
from samcli.training.mohawk.passages import HELD_OUT, Encode, Grammar, Texts, encoder
from samcli.training.mohawk.reading import read_teacher
from samcli.training.mohawk.recipe import FITTED, MohawkRecipe, Whole, mohawk, perplexity
from samcli.training.stage import LoopOptions
from samcli.training.team import Team
from tests.ssm.textbook import slow_causal_convolution, slow_ssd
from tests.training.mohawk.conftest import VOCABULARY, save_llama

RECIPE = MohawkRecipe((20, 12, 24), 24, 3e-3, 2, 8, LoopOptions(batch=4, report_every=4))
WINDOWS = torch.randint(0, VOCABULARY, (3, 15), generator=torch.Generator().manual_seed(4))


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
def test_it_begins_as_attention_as_far_as_it_can(own: dict[str, Any], tmp_path: Path) -> None:
    save_llama(tmp_path, **own)
    teacher = read_teacher(tmp_path)
    student = beginner(teacher, WINDOWS).requires_grad_(False)
    for ours, theirs, x in zip(
        student.backbone.layers, teacher.backbone.layers, teacher.streams(WINDOWS), strict=False
    ):
        mixer: Any = ours.mixer
        attention: Any = theirs.mixer
        h: torch.Tensor = theirs.input_layernorm(x)  # type: ignore[operator]
        inner, wanted = mixer._operands(h, None, None)[1], attention.transfer_matrix(h)
        torch.testing.assert_close(inner.transpose(1, 2), attention._heads(attention.v(h)))
        apart = (wanted - mixer.transfer_matrix(h)).square().sum((0, 2, 3))
        assert (apart < 0.85 * wanted.square().sum((0, 2, 3))).all()
        # an open gate, and the output as it was: what is mixed goes out as the attention would send it
        mixed = torch.einsum("bhij,bjhp->bihp", mixer.transfer_matrix(h), inner).flatten(2)
        torch.testing.assert_close(mixer(h)[0], attention.out_proj(mixed), rtol=1e-4, atol=1e-5)
    for name, value in teacher.state_dict().items():  # the rest is the teacher's
        if ".mixer." not in name:
            assert torch.equal(student.state_dict()[name], value), name


def test_the_nearest_matrices_are_found() -> None:
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randn(2, 3, 9, 9, generator=generator)
    places = torch.arange(9)
    apart, factors = (
        (places[:, None] - places).float(),
        ((0.3, 0.2, 0.1, 0.9), (-1.0, 2.0, 0.5, 0.5), (0.0, 1.0, 0.0, 0.98)),
    )
    wanted = torch.stack(
        [
            (one + choice * chosen[:, head]) * (decay**apart).tril() + own * torch.eye(9)
            for head, (choice, one, own, decay) in enumerate(factors)
        ],
        dim=1,
    )
    torch.testing.assert_close(nearest(chosen, wanted), torch.tensor(factors), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("block", ["phi", "neox"])
def test_biases_of_the_output_go_where_the_student_has_one(block: Any) -> None:
    """Beside an MLP there is one for both."""
    torch.manual_seed(0)
    frame = PhiConfig(8, 1, 11, d_state=4, heads=2, qk_heads=2, pad_vocab_size_multiple=1, block=block)
    teacher = Teacher(TeacherConfig(frame, 2, 4, 2, 1e4, bias=True, out_bias=True)).requires_grad_(False)
    student = beginner(teacher, torch.randint(0, 11, (2, 7)))
    ours: Any = student.backbone.layers[0]
    theirs: Any = teacher.backbone.layers[0]
    assert ours.mixer.out_proj.bias is None
    torch.testing.assert_close(ours.mlp.fc2.bias, theirs.mlp.fc2.bias + theirs.mixer.out_proj.bias)
    assert torch.equal(ours.mixer.conv1d.bias[:8], theirs.mixer.v.bias)


def test_a_step_at_a_time_says_what_a_whole_reading_says(teacher_folder: Path) -> None:
    """The state of the student is all it needs of the past."""
    student = beginner(read_teacher(teacher_folder), WINDOWS)
    tokens = torch.randint(0, 300, (2, 17))
    with torch.no_grad():
        whole, _ = student(tokens)
        _, state = student.prefill(tokens[:, :9], piece=4)
        for place in range(9, 17):
            logits, state = student.step(tokens[:, place], state)
            torch.testing.assert_close(logits, whole[:, place], rtol=1e-3, atol=1e-4)


def apart(one: torch.nn.Module, other: torch.nn.Module) -> float:
    """How far two networks' weights are from each other."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return sum(float((a - b).square().sum()) for a, b in pairs) ** 0.5


@pytest.fixture
def one_thread() -> Iterator[None]:
    """A training repeats itself to the bit on one core; how a product is shared out among several may change."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_stages_bring_it_nearer_and_a_stop_changes_nothing(
    teacher_folder: Path, encode: Encode, tmp_path: Path, alone: Team, one_thread: None
) -> None:
    teacher, passages = read_teacher(teacher_folder), Grammar(encode, RECIPE.length)
    lines: list[dict[str, Any]] = []
    whole, found, finished = mohawk(teacher, passages, tmp_path / "whole", RECIPE, alone, lines.append)
    assert finished and list(found) == ["teacher", "beginning", "matrices", "hidden", "whole"]
    for stage in ("matrices", "hidden", "whole"):
        losses = [line["loss"] for line in lines if line["stage"] == stage]
        assert losses[-1] < 0.98 * losses[0], stage
    held_out = passages.held_out(RECIPE.judged)
    few = torch.stack([passages.learned(place) for place in range(FITTED)])
    with torch.no_grad():
        before = Whole(teacher, beginner(teacher, few), passages).outcome(held_out).total
        after = Whole(teacher, whole, passages).outcome(held_out).total
    assert after < 0.9 * before
    assert perplexity(whole, held_out) == pytest.approx(found["whole"], rel=1e-3)

    def stop(line: dict[str, Any]) -> None:
        if line["step"] in (8, 24, 44):
            signal.raise_signal(signal.SIGINT)

    for _ in range(3):  # once in every stage
        with pytest.raises(KeyboardInterrupt):
            mohawk(teacher, passages, tmp_path / "parts", RECIPE, alone, stop)
    parts, again, finished = mohawk(teacher, passages, tmp_path / "parts", RECIPE, alone)
    # The least squares of a beginning may differ in their last digits by where in memory they stand.
    assert finished and again == pytest.approx(found, rel=1e-5)
    distance, moved = (apart(whole, other) for other in (parts, beginner(teacher, few)))
    assert distance < 1e-3 * moved


def test_only_mixers_learn_before_the_last_stage(
    teacher_folder: Path, encode: Encode, tmp_path: Path, alone: Team
) -> None:
    teacher = read_teacher(teacher_folder)
    recipe, passages = replace(RECIPE, steps=(2, 2, 0)), Grammar(encode, 24)
    student, _, _ = mohawk(teacher, passages, tmp_path, recipe, alone)
    before = beginner(teacher, torch.stack([passages.learned(place) for place in range(FITTED)])).state_dict()
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

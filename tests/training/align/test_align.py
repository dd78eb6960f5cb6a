"""Alignment: every kind of part fits, what is taught is what is spoken, and each stage teaches what the recipe says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from samcli.audio.decode import read_sound
from samcli.models.connectors import ConnectorConfig
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.models.encoders.eat import Eat, EatConfig
from samcli.models.encoders.ssamba import Ssamba, SsambaConfig
from samcli.models.interface import SpeakOptions
from samcli.models.sam import Listener
from samcli.ssm.language.phi import PhiConfig, PhiLanguageModel
from samcli.text.prompts import caption_prompt, question_prompt
from samcli.training.align.network import AlignRecipe, Parts, assemble, recompute
from samcli.training.align.openaqa import Questions, find_audio, read_questions
from samcli.training.align.recipe import AlignTask, align, curriculum, load_parts, without_stale_head
from samcli.training.stage import LoopOptions
from samcli.training.team import Team

RECIPE = AlignRecipe(rank=4, dropout=0.0, warm_up=1, rate=1e-2, loop=LoopOptions(batch=4, report_every=1))
TINY = {
    "eat": EatConfig(width=16, layers=1, heads=2, max_steps=64, classes=3, window_frames=64),
    "dass": DassConfig(widths=(8, 16), depths=(1, 1), classes=3, window_frames=64),
    "ssamba": SsambaConfig(width=16, layers=2, d_state=4, table_steps=4, window_frames=64),
}
# What MOHAWK makes of a Llama, and of a Phi, whose head has a bias.
PHI: dict[str, Any] = {
    "llama": {"block": "llama", "norm": "rms", "mlp": "gated-silu", "head_bias": False, "tie_embeddings": True},
    "phi": {"block": "phi"},
}


@pytest.fixture(scope="module")
def questions(questions_file: Path) -> Questions:
    return read_questions([questions_file])


@pytest.fixture(scope="module")
def places(questions: Questions, questions_file: Path, sounds: Path) -> list[str | None]:
    found = find_audio(questions.ids, [questions_file], sounds)
    assert len(found) == 4
    return [found[name] for name in questions.ids]


def tiny() -> Parts:
    return load_parts("tiny-random", "tiny-random")[0]


def parts_with(kind: str, language: str | None = None) -> Parts:
    torch.manual_seed(3)
    config: Any = TINY[kind]
    encoder = {"eat": Eat, "dass": Dass, "ssamba": Ssamba}[kind](config)
    parts = tiny()._replace(encoder=encoder, encoder_config=config, labels=())
    return parts if language is None else parts._replace(language=phi(language, len(parts.tokenizer)))


def phi(kind: str, vocabulary: int) -> PhiLanguageModel:
    config = PhiConfig(16, 2, vocabulary, d_state=4, heads=4, qk_heads=4, pad_vocab_size_multiple=1, **PHI[kind])
    return PhiLanguageModel(config).requires_grad_(False)


def state(module: Any) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize(
    ("encoder", "connector", "language"),
    [
        ("eat", "concat", None),
        ("eat", "time-major", None),
        ("eat", "frequency-major", None),
        ("dass", "convolution", None),
        ("ssamba", "scan", None),
        ("eat", "concat", "llama"),
        ("dass", "time-major", "phi"),
    ],
)
def test_what_is_learned_is_what_listening_says(
    questions: Questions, places: list[str | None], tmp_path: Path, encoder: str, connector: str, language: str | None
) -> None:
    """The loss of rows of unequal sound and text is that of hearing and reading one after the other."""
    kind: Any = connector
    recipe = replace(RECIPE, connector=ConnectorConfig(kind, scan_width=16, scan_headdim=8, scan_state=8),
                     window_seconds=1.0, windows=3)  # fmt: skip
    parts = parts_with(encoder, language)
    network = assemble(parts, recipe).train()
    with torch.no_grad():  # an adapter that was taught something
        for name, parameter in network.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(std=0.1)
    task = AlignTask(questions, places, range(len(questions)), parts.tokenizer, recipe, tmp_path / "unread")
    batch = task.batch(range(5))
    total, count = network(batch)
    total.backward()
    connected = [p for p in network.sam.connector.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in connected)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(batch)[0].item() == pytest.approx(total.item(), rel=0.03)

    listener = Listener(network.eval().finish(), parts.tokenizer, (), "test", "0")
    expected = torch.zeros(())
    with torch.no_grad():
        for place in range(5):
            wave, example = task.example(place)
            heard = None
            for part in wave.split(16000):
                encoding = listener.encode(part[None], torch.tensor([len(part)]))
                heard = listener.listen(encoding, heard)
            assert heard is not None
            logits, _ = listener.network.language(torch.tensor([example.tokens]), state=heard.memory)
            said = torch.tensor(example.tokens[example.answer_start :])
            before = logits[0, example.answer_start - 1 : -1, : listener.network.language.vocab_size]
            expected += torch.nn.functional.cross_entropy(before, said, reduction="sum")
    assert int(count) == sum(len(task.example(p)[1].tokens) - task.example(p)[1].answer_start for p in range(5))
    assert total.item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_stages_teach_what_the_recipe_says(
    questions: Questions, places: list[str | None], tmp_path: Path, alone: Team
) -> None:
    def changed(steps: tuple[int, ...], **choices: Any) -> set[str]:
        folder = tmp_path / "-".join(map(str, (*steps, *choices.values())))
        parts = tiny()
        before = state(assemble(tiny(), RECIPE).sam)
        network, finished = align(parts, questions, places, folder, replace(RECIPE, steps=steps, **choices), alone)
        assert finished
        after = state(network)
        now = {name: value for name, value in after.items() if name in before and not torch.equal(value, before[name])}
        return {".".join(name.split(".")[:2]) if name.startswith("encoder") else name.split(".")[0] for name in now} | {
            name.split(".")[-2] for name in now if name.startswith("language.backbone.layers")
        }

    marks = {"language"}  # the rows of our marks lie in the language model's tables
    assert changed((2, 0, 0, 0)) == {"connector"} | marks
    tuned = changed((0, 2, 0, 0))
    assert {"connector", "encoder.trunk", "encoder.layers", "in_proj", "out_proj"} <= tuned
    assert not tuned & {"encoder.head", "encoder.attention", "conv1d", "norm", "mixer"}
    frozen = changed((1, 0, 0, 2), freeze_encoder=True)
    assert not any(name.startswith("encoder.") for name in frozen) and "in_proj" in frozen
    full = changed((0, 0, 2, 0), method="full")
    assert "conv1d" in full


def test_the_curriculum_widens(questions: Questions) -> None:
    pools = curriculum(questions, lambda item: item < 12)
    kinds = [{questions.kinds[item] for item in pool} for pool in pools]
    closed = {"classification", "caption", "closed"}
    assert kinds == [{"classification"}, {"classification"}, closed, closed | {"open"}]
    assert max(pools[-1]) == 11  # whose recordings are not there are left out
    only_open = Questions(["a"], [0, 0], ["x", "y"], ["1", "2"], ["open", "open"])
    assert curriculum(only_open, lambda item: True) == [[0, 1]] * 4


def test_a_question_takes_the_forms_in_which_people_ask(
    questions: Questions, places: list[str | None], tmp_path: Path
) -> None:
    parts = tiny()
    task = AlignTask(questions, places, range(16), parts.tokenizer, RECIPE, tmp_path / "unread")
    decode = parts.tokenizer.decode
    forms = {(tuple(e.tokens[: e.answer_start]), decode(e.tokens[e.answer_start :])) for e in
             (task.words(1, place) for place in range(12))}  # fmt: skip
    caption = (tuple(caption_prompt(parts.tokenizer)), "A dog barks.")
    asked = question_prompt(parts.tokenizer, "Close-ended question: Write an audio caption describing the sound.")
    assert forms == {caption, (tuple(asked), "Audio caption: A dog barks.")}
    plain = {decode(task.words(2, place).tokens).split(" yes")[0].strip() for place in range(12)}
    assert plain == {"is there a dog", "close-ended question: is there a dog"}
    short = replace(RECIPE, longest=20)
    cut = AlignTask(questions, places, range(16), parts.tokenizer, short, tmp_path / "unread").words(1, 0)
    assert len(cut.tokens) - cut.answer_start <= 20


def test_marks_get_rows_that_mean_something(questions: Questions) -> None:
    """A vocabulary without our marks grows by them, beyond the spare rows if need be, and they begin as words."""
    parts = tiny()
    language, tokenizer = parts.language, parts.tokenizer
    known = len(tokenizer) - 3  # pretend that the last three tokens are not in it
    rows = language.backbone.embedding.weight.detach().clone()
    language.config = replace(language.config, vocab_size=known, pad_vocab_size_multiple=1)
    for table in (language.backbone.embedding, language.lm_head):
        table.weight = torch.nn.Parameter(table.weight.detach()[:known].clone())
    network = assemble(parts, RECIPE)
    assert network.sam.language.config.vocab_size == len(tokenizer)
    grown = network.sam.language.backbone.embedding.weight
    assert grown.shape[0] == len(tokenizer) and torch.equal(grown[:known], rows[:known])
    assert grown[known:].abs().sum() > 0
    assert network.sam.language.lm_head.weight.shape[0] == len(tokenizer)


def test_a_head_with_a_bias_grows_with_it() -> None:
    parts = tiny()
    known = len(parts.tokenizer) - 3
    language = phi("phi", known)
    with torch.no_grad():
        language.lm_head.bias.normal_()
    before = state(language)
    grown = state(assemble(parts._replace(language=language), RECIPE).finish().language)
    for name in ("backbone.embedding.weight", "lm_head.weight", "lm_head.bias"):
        assert len(grown[name]) == len(parts.tokenizer) and torch.equal(grown[name][:known], before[name]), name
        assert grown[name][known:].abs().sum() > 0, name


@pytest.mark.parametrize("language", [None, "llama"])
def test_recomputing_gives_the_same_gradients(
    questions: Questions, places: list[str | None], tmp_path: Path, language: str | None
) -> None:
    def gradients(forgets: bool) -> dict[str, Tensor]:
        parts = parts_with("dass", language)
        network = assemble(parts, replace(RECIPE, dropout=0.2)).train()
        task = AlignTask(questions, places, range(16), parts.tokenizer, RECIPE, tmp_path / "unread")
        if forgets:
            assert recompute(network) == 4  # two blocks each
        torch.manual_seed(9)
        network(task.batch(range(3)))[0].backward()
        return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}

    plain, again = gradients(False), gradients(True)
    assert plain.keys() == again.keys() and all(torch.equal(plain[name], again[name]) for name in plain)


def test_a_recording_that_cannot_be_read_gives_way(
    questions: Questions, places: list[str | None], tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    spoilt = [str(tmp_path / "bad.wav"), *places[1:]]
    parts = tiny()
    task = AlignTask(questions, spoilt, range(16), parts.tokenizer, RECIPE, tmp_path / "unread.txt")
    assert len(task.batch(range(16)).windows) == 16
    assert "bad.wav" in (tmp_path / "unread.txt").read_text()


def test_a_tuned_encoder_loses_its_stale_head(tmp_path: Path) -> None:
    for kind in ("eat", "dass"):
        network = assemble(parts_with(kind), RECIPE).finish()
        assert network.encoder.head is not None
        assert without_stale_head(network, replace(RECIPE, freeze_encoder=True)).encoder.head is not None
        bare = without_stale_head(network, RECIPE)
        assert bare.config.encoder.classes == 0 and not any("head" in name for name in bare.encoder.state_dict())


@pytest.mark.parametrize("language", [None, "llama"])
def test_two_sounds_are_told_apart_after_training(
    sounds: Path, tmp_path: Path, alone: Team, language: str | None
) -> None:
    places: list[str | None] = [str(sounds / "one.wav"), str(sounds / "three.wav")]
    asked, answers = ["", ""], ["a dog barks", "rain falls softly"]
    questions = Questions(["one", "three"], [0, 1], asked, answers, ["caption", "caption"])
    recipe = replace(RECIPE, method="full", steps=(0, 0, 0, 60), loop=LoopOptions(batch=2))
    parts = tiny()
    if language is not None:
        parts = parts._replace(language=phi(language, len(parts.tokenizer)))
    network, _ = align(parts, questions, places, tmp_path, recipe, alone)
    listener = Listener(network, parts.tokenizer, (), "test", "0")
    for place, answer in zip(places, answers, strict=True):
        wave = torch.from_numpy(read_sound(str(place), listener.sample_rate))
        heard = listener.listen(listener.encode(wave[None], torch.tensor([len(wave)])), None)
        assert listener.speak(heard, [""], SpeakOptions()) == [answer]

"""Teaching to write: the loss, the material, what examples are, and that a small network learns a few sentences."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from samcli.audio.waves import Resampler
from samcli.errors import UsageError
from samcli.models.speech import STACK, TINY, Recogniser, SpeechNetwork
from samcli.training.frames import FrameStore, make_frames
from samcli.training.optimiser import Pace
from samcli.training.speech.material import (
    LEAST,
    NONE,
    Utterance,
    Variety,
    inputs_of,
    joined,
    read_speech,
    spelled,
    symbols_of,
    varied,
)
from samcli.training.speech.recipe import Dictation, SpeechRecipe, card, teach, transducer_loss
from samcli.training.stage import LoopOptions, generator
from samcli.training.team import Team

RATE = 16_000


def every_way(scores: torch.Tensor, text: list[int]) -> torch.Tensor:
    """The loss from its definition: each path through the grid by itself."""
    likely = scores.log_softmax(-1)

    def go(step: int, written: int) -> list[torch.Tensor]:
        found = []
        if written < len(text):
            found += [likely[step, written, text[written]] + rest for rest in go(step, written + 1)]
        on = likely[step, written, 0]
        if step + 1 < len(scores):
            found += [on + rest for rest in go(step + 1, written)]
        elif written == len(text):
            found.append(on)
        return found

    return -torch.stack(go(0, 0)).logsumexp(0)


def test_the_loss_is_the_sum_over_all_ways() -> None:
    torch.manual_seed(0)
    scores = torch.randn(3, 4, 4, 5, dtype=torch.float64, requires_grad=True)
    texts, steps, symbols = torch.tensor([[1, 2, 3], [4, 1, 0], [0, 0, 0]]), [4, 3, 2], [3, 2, 0]
    ours = transducer_loss(scores, texts, torch.tensor(steps), torch.tensor(symbols))
    theirs = torch.stack(
        [every_way(scores[row, : steps[row]], texts[row, : symbols[row]].tolist()) for row in range(3)]
    )
    torch.testing.assert_close(ours, theirs)
    (here,) = torch.autograd.grad(ours.sum(), scores, retain_graph=True)
    (there,) = torch.autograd.grad(theirs.sum(), scores)
    torch.testing.assert_close(here, there)
    assert not here[1, 3].any() and not here[2, :, 1:].any(), "what lies beyond a row teaches nothing"


def test_texts_are_spelled_alike() -> None:
    assert spelled("  It’s 5 O'CLOCK -- “well…”  'tis_so") == "it's 5 o'clock well tis so"
    assert spelled("Ça va? Ünïcode\n日本") == "ça va ünïcode 日本"


def test_folders_like_librispeech_and_tables_are_read(tmp_path: Path) -> None:
    chapter = tmp_path / "libri" / "84" / "121"
    chapter.mkdir(parents=True)
    (chapter / "84-121.trans.txt").write_text("84-121-0000 GO ON\n84-121-0001 STOP\n84-121-0002\n")
    (chapter / "84-121-0000.flac").write_bytes(b"")
    found = read_speech(tmp_path / "libri")
    assert [(Path(one.file).name, one.text) for one in found] == [
        ("84-121-0000.flac", "go on"), ("84-121-0001.flac", "stop"),
    ]  # fmt: skip
    table = tmp_path / "words.csv"
    table.write_text('\ufeffText,File,speaker\nOne!,a.wav,x\n,b.wav,y\n"Two, three",a.wav,x\n', encoding="utf-8")
    found = read_speech(table)
    assert found == [Utterance(f"{tmp_path}/a.wav", "one"), Utterance(f"{tmp_path}/a.wav", "two three")]
    assert symbols_of(found) == " ehnortw" and len(inputs_of(found)) == 1
    for content in ("file,label\na.wav,dog\n", "file,text\na.wav,\n", ""):
        table.write_text(content)
        with pytest.raises(UsageError, match=r"words\.csv"):
            read_speech(table)
    with pytest.raises(UsageError, match="nowhere"):
        read_speech(tmp_path / "nowhere")


def test_examples_are_varied_and_end_in_silence() -> None:
    frames = np.random.default_rng(0).normal(-7, 2, (83, 128)).astype(np.float32)
    plain = joined([varied(frames, NONE, generator(0, 1))], NONE, generator(0, 1))
    np.testing.assert_array_equal(plain[:83], frames)
    assert len(plain) % STACK == 0 and (plain[83:] == LEAST).all()
    rng = generator(0, 2)
    other = varied(frames, Variety(), rng)
    assert other.shape[1] == 128 and 0.89 < len(other) / 83 < 1.11 and not np.array_equal(other[:70], frames[:70])
    both = joined([other, other], Variety(), rng)
    assert len(both) >= 2 * len(other) and np.isfinite(both).all() and both.min() >= LEAST


@pytest.fixture
def store(tmp_path: Path) -> tuple[FrameStore, list[Utterance]]:
    rng = np.random.default_rng(1)
    spoken = []
    for number, text in enumerate(("one", "two three", "four")):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, rng.standard_normal(4000 + 2000 * number) * 0.1, RATE)
        spoken.append(Utterance(str(path), text))
    missing = Utterance(str(tmp_path / "no.wav"), "nothing")
    return make_frames(inputs_of([*spoken, missing]), tmp_path / "frames"), [*spoken, missing]


def recipe_for(utterances: list[Utterance], **more: Any) -> SpeechRecipe:
    network = replace(
        TINY, symbols=symbols_of(utterances), d_model=16, encoder_layers=1, d_state=8, headdim=8, joint=16
    )
    return SpeechRecipe(network, pace=Pace(1e-3, 2), loop=LoopOptions(batch=2, report_every=1), **more)


def test_a_step_hears_what_its_number_says(store: Any) -> None:
    frames, utterances = store
    recipe = recipe_for(utterances, joined=3)
    lessons = [Dictation(SpeechNetwork(recipe.network), frames, utterances, recipe) for _ in range(2)]
    lessons[0].batch([0, 1])
    for ours, theirs in zip(lessons[0].batch([7, 2, 9]), lessons[1].batch([7, 2, 9]), strict=True):
        assert torch.equal(ours, theirs)
    assert len(lessons[0].order) == 3, "what cannot be read is left out"
    batch = lessons[0].batch(range(9))
    assert batch.frames.shape[1] == STACK * int(batch.steps.max()) and batch.texts.shape[1] == int(batch.symbols.max())
    outcome = lessons[0].outcome(batch)
    outcome.total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in lessons[0].network.parameters())


def test_a_course_goes_on_as_if_it_had_not_stopped(store: Any, tmp_path: Path) -> None:
    frames, utterances = store
    recipe = recipe_for(utterances, steps=4)
    team = Team(torch.device("cpu"))

    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 2:
            raise KeyboardInterrupt

    often = replace(recipe, loop=replace(recipe.loop, save_every_seconds=0.0))
    with pytest.raises(KeyboardInterrupt):
        teach(frames, utterances, tmp_path / "stopped", often, team, stop)
    again, finished = teach(frames, utterances, tmp_path / "stopped", often, team)
    whole, _ = teach(frames, utterances, tmp_path / "whole", recipe, team)
    assert finished and all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), whole.state_dict().values(), strict=True)
    )
    assert "1 Mamba-2 layers hear" in card(recipe, 3, 1.0)


def spoken(text: str, path: Path) -> np.ndarray:
    subprocess.run(["espeak-ng", "-s", "140", "-w", path, text], check=True)
    wave, rate = soundfile.read(path, dtype="float32")
    resampler = Resampler(rate, RATE)
    return np.concatenate([resampler.push(wave), resampler.finish()])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_a_small_network_learns_a_few_sentences(tmp_path: Path) -> None:
    sentences = ("open the red door", "seven dogs run home", "she sells nine shells")
    pause = np.zeros(RATE // 5, np.float32)
    utterances = []
    for number, sentence in enumerate(sentences):
        pieces = [piece for word in sentence.split() for piece in (pause, spoken(word, tmp_path / "word.wav"))]
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.concatenate(pieces), RATE)
        utterances.append(Utterance(str(path), sentence))
    network = replace(TINY, symbols=symbols_of(utterances), d_model=64, encoder_layers=2, joint=64)
    loop, pace = LoopOptions(batch=3), Pace(4e-3, 20, "cosine")
    # three sentences are soon known by heart: only what is spelled by ear alone makes it listen
    recipe = SpeechRecipe(network, variety=NONE, alone=0.8, steps=500, pace=pace, loop=loop)
    store = make_frames(inputs_of(utterances), tmp_path / "frames")
    taught, _ = teach(store, utterances, tmp_path / "course", recipe, Team(torch.device("cpu")))
    for utterance in utterances:
        wave, _ = soundfile.read(utterance.file, dtype="float32")
        words = [word for some in Recogniser(taught).words([wave]) for word in some]
        assert " ".join(word.text for word in words) == utterance.text
        assert words == sorted(words, key=lambda word: word.start) and words[-1].start < len(wave) / RATE

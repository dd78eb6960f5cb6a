"""Targets, mixtures, batches and scripts on a miniature corpus."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch

from samcli.audio.front_end import EVEN_32K
from samcli.text.tokenizer import train_tokenizer
from samcli.training.nano.batches import BatchOptions, Sampler, SceneBatches
from samcli.training.nano.corpus import Clip
from samcli.training.nano.material import Material, synthetic_clips
from samcli.training.nano.mixer import Mixer, MixOptions, smear
from samcli.training.nano.words import WordOptions, Writer


def clip(material: Material, name: str) -> Clip:
    return next(c for c in material.corpus.clips if c.file.endswith(name))


def test_labels_count_as_far_as_they_can_be_trusted(material: Material) -> None:
    targets = material.scripts.targets
    curated = targets.confidence(clip(material, "dog1.wav"))
    confirmed = targets.confidence(clip(material, "rain.wav"))
    unconfirmed = targets.confidence(clip(material, "bell.wav"))
    assert curated > confirmed > 0.8 and 0.3 > unconfirmed > 0, "never nothing"
    target = targets(clip(material, "dog1.wav"))
    assert target[targets.index["Dog"]] > 0.9 > target[targets.index["Animal"]] > 0.85
    assert target[targets.index["Bell"]] == 0
    # AudioSet lacks the class: the first of the names that stand for it is taught
    assert targets(clip(material, "wash.wav"))[targets.index["Mechanical fan"]] > 0.9


def test_dev_clips_are_never_drawn(material: Material) -> None:
    batches = SceneBatches(material.corpus, material.store, BatchOptions())
    rng = np.random.default_rng(0)
    drawn = {batches.sampler.draw(rng).file for _ in range(500)}
    assert drawn and all(not file.startswith("dev/") for file in drawn)


def test_curated_clips_get_their_share(material: Material) -> None:
    clips = list(material.corpus.split("train"))
    sampler = Sampler(clips, BatchOptions(curated_share=0.35))
    rng = np.random.default_rng(1)
    share = np.mean([sampler.draw(rng).curated for _ in range(4000)])
    assert share == pytest.approx(0.35, abs=0.04)


def test_a_placed_sound_is_where_the_mixture_says(material: Material) -> None:
    bell = clip(material, "bell.wav")
    mel = np.asarray(material.store[bell.file], np.float32)
    still = MixOptions(stretch=0, shift=0, equaliser=0, band_limit=0, room=0, coding=0, masks=0, narrow=0)
    for seed in range(20):
        mixture = Mixer(still, np.random.default_rng(seed)).scene([(bell, mel)], 500)
        power = np.exp(mixture.mel).mean(1)
        loud = power > power.max() / 10
        inside = np.zeros(500, bool)
        for start, end in mixture.placed[0].spans:
            inside[round(start * 100) : round(end * 100)] = True
        assert loud[inside].mean() > 0.9
        assert not loud[~inside].any()
        steps = mixture.activity[0] > 0.5
        assert abs(steps.mean() - inside.mean()) < 0.05
        assert mixture.weight[0] > 0.9


def test_a_masked_sound_weighs_little(material: Material) -> None:
    rain, bell = clip(material, "rain.wav"), clip(material, "bell.wav")
    pair = [(c, np.asarray(material.store[c.file], np.float32)) for c in (rain, bell)]
    still = MixOptions(
        stretch=0, shift=0, equaliser=0, band_limit=0, room=0, coding=0, in_turn=0, second_level_db=(-60.0, -60.0)
    )
    mixture = Mixer(still, np.random.default_rng(0)).scene(pair, 500)
    assert mixture.weight[0] > 0.9 and mixture.weight[1] < 0.1


def test_sounds_in_turn_do_not_overlap(material: Material) -> None:
    names = ("rain.wav", "bell.wav", "dog2.wav")
    pair = [(c, np.asarray(material.store[c.file], np.float32)) for c in (clip(material, name) for name in names)]
    for seed in range(20):
        mixture = Mixer(MixOptions(in_turn=1, room=0), np.random.default_rng(seed)).scene(pair, 500)
        ends = [max(end for _, end in sound.spans) for sound in mixture.placed]
        starts = [min(start for start, _ in sound.spans) for sound in mixture.placed]
        assert all(end <= start + 0.02 for end, start in zip(ends[:-1], starts[1:], strict=True)), seed
        assert ((mixture.activity > 0.5).sum(0) <= 1).mean() > 0.9


def test_a_room_rings_on_and_only_forward() -> None:
    power = np.zeros((200, 128), np.float32)
    power[50] = 1
    wet = smear(power, seconds=0.5)
    assert (wet[:50] == 0).all() and (wet[51:60] > 0).all()
    # 60 dB in half a second
    assert 10 * np.log10(wet[60, 0] / wet[110, 0]) == pytest.approx(60, abs=1)


def test_batch_n_is_a_function_of_seed_and_n(material: Material) -> None:
    def make(seed: int) -> SceneBatches:
        return SceneBatches(material.corpus, material.store, BatchOptions(seed=seed, scenes_at_5_seconds=4))

    one, again, other = make(1).batch(7), make(1).batch(7), make(2).batch(7)
    assert torch.equal(one.mel, again.mel) and torch.equal(one.clip_target, again.clip_target)
    assert one.mel.shape != other.mel.shape or not torch.equal(one.mel, other.mel)
    assert one.clip_target.min() >= 0 and one.clip_target.max() <= 1
    assert (one.step_target.float().amax(1) <= one.clip_target + 1e-2).all()


def test_windows_of_a_scene_have_targets_of_their_own(material: Material) -> None:
    options = BatchOptions(seconds=(7.68,), windows=(3,), share=(1.0,), scenes_at_5_seconds=8)
    batch = SceneBatches(material.corpus, material.store, options).batch(0)
    scenes = len(batch.mel) // 3
    assert batch.mel.shape == (scenes * 3, 256, 128) and batch.step_target.shape == (scenes * 3, 32, 527)
    # what sounds in some step of a window sounds in the window, and the other way round
    loudest = batch.step_target.float().amax(1)
    assert ((loudest > 0.35) <= (batch.clip_target > 0.3)).all()
    assert ((batch.clip_target > 0.5) <= (loudest > 0.1)).all()


def test_words_speak_of_what_is_sure(material: Material) -> None:
    tokenizer = train_tokenizer(["A dog barks, then it rains.", "Is there a dog? Yes."], 300)
    writer = Writer(tokenizer, material.scripts, WordOptions())
    scripts = material.scripts
    assert scripts.kind(clip(material, "dog1.wav")).name == "dog"  # type: ignore[union-attr]
    assert scripts.kind(clip(material, "rain.wav")).name == "rain"  # type: ignore[union-attr]
    assert scripts.kind(clip(material, "bell.wav")) is None  # a guess that the teacher does not confirm
    assert scripts.kind(clip(material, "talk.wav")).name == "speech"  # type: ignore[union-attr]  # the teacher is sure
    bell = clip(material, "bell.wav")
    mixture = Mixer(MixOptions(), np.random.default_rng(0)).scene([(bell, np.asarray(material.store[bell.file]))], 500)
    words = writer.write([mixture], np.zeros((1, 527), np.float32), 5.0, Random(0))
    assert words is not None
    said = [tokenizer.decode(row[:length]) for row, length in zip(words.tokens.tolist(), words.lengths, strict=True)]
    assert said and not any("bell" in text for text in said), "it is told, but not named"


def test_word_rows_hold_prompt_text_and_end(material: Material) -> None:
    tokenizer = train_tokenizer(["A dog barks, then it rains.", "Is there a dog? Yes."], 300)
    writer = Writer(tokenizer, material.scripts, WordOptions())
    dog = clip(material, "dog1.wav")
    mixtures = [
        Mixer(MixOptions(), np.random.default_rng(s)).scene([(dog, np.asarray(material.store[dog.file]))], 500)
        for s in range(8)
    ]
    words = writer.write(mixtures, np.zeros((8, 527), np.float32), 5.0, Random(0))
    assert words is not None
    for row, length, start in zip(
        words.tokens.tolist(), words.lengths.tolist(), words.spoken_from.tolist(), strict=True
    ):
        assert row[length - 1] == tokenizer.eos and set(row[length:]) <= {tokenizer.pad}
        assert row[0] in tokenizer.special_ids and row[start - 1] in tokenizer.special_ids
        assert not set(row[start : length - 1]) & tokenizer.special_ids


def test_silence_is_heard_as_the_front_end_gives_it(material: Material) -> None:
    """It is not raised to the level of sounds: digital silence lies at the floor of every band."""
    nothing = next(
        one
        for one in material.corpus.clips
        if one.label == "silence" and float(np.asarray(material.store[one.file], np.float32).max()) < -20
    )
    batches = SceneBatches(material.corpus, material.store, BatchOptions(scenes_at_5_seconds=4))
    batches.sampler.draw = lambda rng: nothing  # type: ignore[method-assign]
    batch = batches.batch(0)
    silent = [row for row in range(len(batch.mel)) if float(batch.clip_target[row].max()) > 0.5]
    assert silent, "where no noise was added it is silence"
    digital, _ = EVEN_32K.features(torch.zeros(1, 32000), torch.tensor([32000]))
    for row in silent:
        assert (batch.mel[row] - digital[0, 0, 0]).abs().max() < 0.2, "or as faint as a preamplifier, coloured"


def test_synthetic_sounds_are_what_they_are_called() -> None:
    made = synthetic_clips(each=6)
    for one, wave in made:
        level = np.sqrt((wave**2).mean()) + 1e-12
        assert np.abs(wave).max() <= 1.0
        if one.label == "silence":
            assert 20 * np.log10(level) < -60
        if one.label == "tone":
            spectrum = np.abs(np.fft.rfft(wave))
            assert (np.sort(spectrum**2)[-8:].sum()) > 0.8 * (spectrum**2).sum()

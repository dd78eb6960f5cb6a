"""The counted lexicon: words go with the classes they are used of, and what is heard leans on what is said."""

from __future__ import annotations

import torch

from samcli.models.listener_state import ListenerState, TagGuidedSpeaker, TagReader, TagSummary, left_to_say
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.text.tokenizer import train_tokenizer
from samcli.training.language.random_scenes import random_sentences
from samcli.training.nano.batches import BatchOptions, Sampler
from samcli.training.nano.initial import associations, single_sounds
from samcli.training.nano.material import Material

DOG, RAIN = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
A, BARKS, FALLS, ONCE = range(4)


def test_a_word_goes_with_the_class_it_is_used_of() -> None:
    pairs = [(DOG, [A, BARKS])] * 10 + [(RAIN, [A, FALLS])] * 60 + [(RAIN, [A, ONCE])]
    found = associations(pairs, 5)
    assert found.shape == (5, 2)
    assert found[BARKS, 0] > 0 and found[BARKS, 1] == 0
    assert found[A].max() == 0, "what is said of everything says nothing"
    assert found[ONCE].max() == 0, "once is chance"
    assert found[4].max() == 0 and float(found.max()) <= 1


def test_a_rare_class_binds_its_word_the_closest() -> None:
    pairs = [(DOG, [A, BARKS])] * 5 + [(RAIN, [A, FALLS])] * 95
    found = associations(pairs, 4)
    assert found[BARKS, 0] > found[FALLS, 1]


def test_counted_from_a_corpus(material: Material) -> None:
    tokenizer = train_tokenizer(random_sentences(4000), 1200)
    sampler = Sampler(material.corpus.split("train"), BatchOptions())
    pairs = list(single_sounds(material.scripts, sampler, tokenizer, 200, seed=1))
    found = associations(pairs, len(tokenizer))
    names = material.corpus.names
    (dog,) = tokenizer.encode(" dog")
    best = {names[place] for place in found[dog].topk(3).indices.tolist() if found[dog, place] > 0}
    assert "Dog" in best
    assert found[dog, names.index("Rain")] == 0
    again = list(single_sounds(material.scripts, sampler, tokenizer, 200, seed=1))
    assert [tokens for _, tokens in again] == [tokens for _, tokens in pairs]


def test_what_is_heard_leans_on_what_is_said() -> None:
    reader = knowing()
    context = reader.context(tags(torch.tensor([[0.81, 0.0]])))  # a dog
    left = left_to_say(context, torch.zeros(1, 1, 2))
    urges = reader.urges(context, left[0], torch.zeros(1, dtype=torch.long))[0]
    assert urges.argmax() == BARKS and torch.allclose(urges[[A, FALLS, ONCE]], torch.zeros(3))
    alone = reader.left(context.heard)
    read = reader.read(torch.zeros(1, 4, 8), torch.arange(4)[None], context, left)[0]
    read = read - context.embedding - alone
    assert read[BARKS].abs().max() > 0 and torch.allclose(read[[A, FALLS, ONCE]], torch.zeros(3, 8), atol=1e-6)


def test_what_was_spoken_of_is_not_left_to_say() -> None:
    reader = knowing()
    heard = reader.context(tags(torch.tensor([[0.9, 0.2]])))  # a dog, and faintly some rain
    tokens = torch.tensor([[BARKS, A, BARKS]])
    said = reader.said(tokens, torch.tensor([[False, True, True]]))  # the first one stands in the question
    assert said[0, :2].abs().max() == 0 and said[0, 2, 0] > 1 and said[0, 2, 1] == 0
    before, after = reader.urges(heard, left_to_say(heard, said)[0, 1:], torch.zeros(2, dtype=torch.long))
    assert before.argmax() == BARKS
    assert after[BARKS] < before[BARKS] and after[FALLS] == before[FALLS]


def test_doubt_stands_beside_every_word_where_nothing_is_sure() -> None:
    reader = knowing()
    sounds = tags(torch.tensor([[0.95, 0.2], [0.2, 0.1]]))
    before = reader.context(sounds).embedding
    with torch.no_grad():
        reader.doubt.fill_(1.0)
    added = reader.context(sounds).embedding - before
    assert torch.allclose(added[0], torch.zeros(8), atol=1e-3) and torch.allclose(added[1], torch.ones(8), atol=1e-3)


def test_speaking_word_by_word_is_reading_at_once() -> None:
    torch.manual_seed(0)
    reader = knowing()
    config = LanguageConfig(d_model=8, n_layer=1, vocab_size=4, d_state=8, headdim=4, pad_vocab_size_multiple=1)
    language = LanguageModel(config)
    language.eval()
    tokens, opening = torch.tensor([[A, FALLS, BARKS, A]]), 2
    heard = ListenerState(language.initial_state(1), tags(torch.tensor([[0.7, 0.3]])))
    voice = TagGuidedSpeaker(language, reader)
    with torch.no_grad():
        logits, state = voice.prefill(tokens[:, :opening], state=heard, lengths=None)
        found = [logits]
        for token in tokens[0, opening:]:
            logits, state = voice.step(token[None], state)
            found.append(logits)
        context = reader.context(heard.tags)
        left = left_to_say(context, reader.said(tokens, torch.arange(4)[None] >= opening))
        embeddings = reader.read(language.embed(tokens), tokens, context, left)
        whole = language(embeddings=embeddings, state=heard.memory)[0][0]
        whole = whole + reader.urges(context, left[0], torch.zeros(4, dtype=torch.long))
    assert torch.allclose(torch.cat(found), whole[opening - 1 :], atol=1e-5)


def knowing() -> TagReader:
    """One to whom barking speaks of a dog and falling of rain."""
    torch.manual_seed(0)
    reader = TagReader(classes=2, width=8, vocabulary=4)
    with torch.no_grad():
        reader.lexicon.weight[BARKS, 0] = 1.0
        reader.lexicon.weight[FALLS, 1] = 1.0
        reader.urge.fill_(1.0)
    return reader


def tags(heard: torch.Tensor) -> TagSummary:
    return TagSummary(heard, heard, heard, heard, torch.ones(1, 1))

"""Predictions against references: every figure their kind allows, or a refusal that names what does not match.

    report = compare(Path("captions.jsonl"), Path("clotho_captions_evaluation.csv"))

Nothing is scored unless every reference has its prediction and every prediction its reference: a score over what
happens to match says little about either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samcli.errors import UsageError
from samcli.evaluation.datasets import References, read_references
from samcli.evaluation.figures import Figure, interval, mean_interval, share
from samcli.evaluation.metrics import sentences
from samcli.evaluation.metrics.caption_scores import caption_figures
from samcli.evaluation.metrics.events import Counts, collar_counts, f1_of, segment_counts
from samcli.evaluation.metrics.rankings import are_rankings, ranking_figures
from samcli.evaluation.metrics.tag_scores import ClassScores, by_class, d_prime, top_hits
from samcli.evaluation.metrics.text_scores import word_errors, words
from samcli.evaluation.metrics.wording import chosen_letter, yes_or_no
from samcli.evaluation.predictions import SHOWN, Pair, as_predictions, groups_of, matched, plain, read_entries


def compare(predictions: Path, references: Path) -> dict[str, Any]:
    """The report on two files, in the shape of the other reports."""
    truth = read_references(references)
    entries = read_entries(predictions)
    if are_rankings(entries):
        return _report("retrieval", truth, *ranking_figures(entries, truth))
    return judged(truth, matched(as_predictions(entries, predictions), truth))


def judged(truth: References, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The report on what was said of each reference."""
    return _report(truth.kind, truth, len(pairs), *MEASURES[truth.kind](pairs, truth))


def _report(kind: str, truth: References, items: int, figures: list[Figure], details: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "format": truth.source,
        "items": items,
        "figures": [figure.to_dict() for figure in figures],
        "details": details,
    }


def _tags(pairs: Sequence[Pair], truth: References) -> tuple[list[Figure], dict[str, Any]]:
    labels = sorted({label for item, _ in pairs for label in item.labels})
    place = {label: column for column, label in enumerate(labels)}
    right = np.zeros((len(pairs), len(labels)), bool)
    for row, (item, _) in enumerate(pairs):
        right[row, [place[label] for label in item.labels]] = True
    key, name, note = "", "", ""
    if all(said.text and not said.scores for _, said in pairs):
        scores = sentences.text_tag_scores([said.text for _, said in pairs], labels)
        key, name = "text_", "of generated text: "
        note = "by sentence similarity to the labels' names; not comparable with a tag head"
    else:
        scores, note = _head_scores(pairs, labels)
    classes = by_class(labels, right, scores)
    figures = [
        _class_figure(f"{key}map", f"{name}mean average precision", classes, lambda one: one.average_precision, note),
        _class_figure(f"{key}auc", f"{name}area under the ROC curve", classes, lambda one: one.auc, note),
    ]
    area = figures[1].value
    if area is not None:
        low, high = (None if edge is None else d_prime(edge) for edge in (figures[1].low, figures[1].high))
        note_of_mean = "of the mean area"
        figures.append(
            Figure(f"{key}d_prime", f"{name}d'", d_prime(area), low, high, len(classes), plain=True, note=note_of_mean)
        )
    name += "single-label accuracy" if truth.single else "top label is a true one"
    if right.size:
        figures.append(share(f"{key}top_1", name, top_hits(right, scores), note=note))
    else:
        figures.append(Figure(f"{key}top_1", name, None, note="nothing to judge"))
    table = [
        {
            "label": one.label,
            "positives": one.positives,
            "average_precision": one.average_precision,
            "auc": one.auc,
            "d_prime": one.d_prime,
        }
        for one in classes
    ]
    return figures, {"classes": table}


def _head_scores(pairs: Sequence[Pair], labels: Sequence[str]) -> tuple[Any, str]:
    """Scores (items, labels) under the data set's labels, and what there is to say of them."""
    known = sorted({label for _, said in pairs for label in said.scores})
    groups = groups_of(labels, known)
    if not any(groups):
        raise UsageError(f"No predicted label is among the {len(labels)} of the references, such as {labels[0]!r}.")
    scores = np.zeros((len(pairs), len(labels)), np.float32)
    for row, (_, said) in enumerate(pairs):
        for column, sounds in enumerate(groups):
            if sounds:
                best = [max(said.scores.get(name, 0.0) for name in sound) for sound in sounds]
                scores[row, column] = sum(best) / len(best)
    most = max(len(said.scores) for _, said in pairs)
    notes = [f"of each at most {most} of {len(known)} labels were given"] if most < len(known) else []
    absent = [label for label, sounds in zip(labels, groups, strict=True) if not sounds]
    if absent:
        notes.append(f"never predicted: {', '.join(absent[:SHOWN])}" + (" and more" if len(absent) > SHOWN else ""))
    return scores, "; ".join(notes)


def _answers(pairs: Sequence[Pair], truth: References) -> tuple[list[Figure], dict[str, Any]]:
    figures: list[Figure] = []
    choices = [(item, said) for item, said in pairs if item.choices]
    closed = [(item, said) for item, said in pairs if not item.choices and _answer_word(item.answer) is not None]
    free = [(item, said) for item, said in pairs if not item.choices and _answer_word(item.answer) is None]
    rights: dict[str, bool] = {}
    for item, said in choices:
        place = chosen_letter(said.text, item.choices)
        rights[item.id] = place is not None and plain(item.choices[place]) == plain(item.answer)
    for item, said in closed:
        rights[item.id] = yes_or_no(said.text) is _answer_word(item.answer)
    for item, said in free:
        rights[item.id] = words(said.text) == words(item.answer)
    if choices:
        figures.append(share("multiple_choice", "multiple choice", [rights[item.id] for item, _ in choices]))
    if closed:
        hits = np.array([rights[item.id] for item, _ in closed], np.float64)
        truths = np.array([_answer_word(item.answer) for item, _ in closed], bool)
        low, high = interval(lambda rows: _balanced(hits[rows], truths[rows]), len(closed))
        figures.append(
            Figure(
                "yes_no", "yes/no, balanced", _balanced(hits, truths), low, high, len(closed), reference="chance 50 %"
            )
        )
    if free:
        figures.append(share("exact", "open questions, word for word", [rights[item.id] for item, _ in free]))
        if sentences.has_sentence_model():
            like = sentences.likeness([said.text for _, said in free], [[item.answer] for item, _ in free])
            figures.append(share("similarity", "open questions, sentence similarity", like.similarity))
    figures.insert(0, share("accuracy", "all questions", [rights[item.id] for item, _ in pairs]))
    return figures, {"answers": {item.id: {"answer": said.text, "right": rights[item.id]} for item, said in pairs}}


def _events(pairs: Sequence[Pair], truth: References) -> tuple[list[Figure], dict[str, Any]]:
    by_collar = [collar_counts(said.events, item.events) for item, said in pairs]
    starts = [collar_counts(said.events, item.events, ends=False) for item, said in pairs]
    ends = [max((event.end for event in [*item.events, *said.events]), default=0.0) for item, said in pairs]
    segments = [segment_counts(said.events, item.events, end) for (item, said), end in zip(pairs, ends, strict=True)]
    figures = []
    for key, name, counts in (
        ("event_f1", "event F1, starts and ends within 0.5 s", by_collar),
        ("onset_f1", "event F1, starts within 0.5 s", starts),
        ("segment_f1", "segment F1, one second each", segments),
    ):
        total = sum(counts, Counts())
        low, high = interval(f1_of(counts), len(counts))
        note = f"precision {total.precision:.3f}, recall {total.recall:.3f}"
        figures.append(Figure(key, name, total.f1, low, high, total.hits + total.misses, note=note))
    return figures, {}


def _transcripts(pairs: Sequence[Pair], truth: References) -> tuple[list[Figure], dict[str, Any]]:
    errors = np.array([word_errors(words(said.text), words(item.transcript)) for item, said in pairs], np.float64)
    lengths = np.array([len(words(item.transcript)) for item, _ in pairs], np.float64)
    low, high = interval(lambda rows: float(errors[rows].sum() / max(1, lengths[rows].sum())), len(pairs))
    value = float(errors.sum() / max(1, lengths.sum()))
    return [Figure("wer", "word error rate", value, low, high, int(lengths.sum()), lower_is_better=True)], {}


MEASURES: dict[str, Callable[[Sequence[Pair], References], tuple[list[Figure], dict[str, Any]]]] = {
    "captions": caption_figures,
    "tags": _tags,
    "answers": _answers,
    "events": _events,
    "transcripts": _transcripts,
}


def _class_figure(
    key: str, name: str, classes: Sequence[ClassScores], value: Callable[[ClassScores], float], note: str
) -> Figure:
    """The mean over classes, its interval by drawing classes."""
    values = np.array([value(one) for one in classes], np.float64)
    if not values.size:
        return Figure(key, name, None, note="no class has items with and without it")
    return Figure(key, name, float(values.mean()), *mean_interval(values), len(classes), note=note)


def _balanced(hits: Any, truths: Any) -> float:
    """The mean of the accuracies on "yes" and on "no"."""
    parts = [float(hits[truths == truth].mean()) for truth in (True, False) if (truths == truth).any()]
    return float(np.mean(parts)) if parts else float("nan")


def _answer_word(answer: str) -> bool | None:
    """True or False for a reference that is a plain yes or no."""
    said = words(answer)
    return {"yes": True, "no": False}.get(said[0]) if len(said) == 1 else None

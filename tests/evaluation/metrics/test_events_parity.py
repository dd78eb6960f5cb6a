"""Event scores equal to sed_eval's, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from samcli.evaluation.metrics.events import Counts, LabelledEvent, collar_counts, segment_counts

MINUTE = 60.0
Events = list[LabelledEvent]


def recordings(count: int = 12) -> list[tuple[Events, Events]]:
    """True events, and found ones that are near, far, of another label, missing or invented."""
    chance = np.random.default_rng(7)
    made = []
    for _ in range(count):
        there, found = [], []
        for slot in range(8):
            start = 7 * slot + chance.uniform(0, 3)
            event = LabelledEvent(str(chance.choice(["dog", "rain", "bell"])), start, start + chance.uniform(0.3, 3.5))
            if chance.random() < 0.8:
                there.append(event)
            if chance.random() < 0.8:
                begin = event.start + chance.normal(0, 0.4)
                end = max(begin + 0.1, event.end + chance.normal(0, 0.6))
                label = event.label if chance.random() < 0.9 else "siren"
                found.append(LabelledEvent(label, max(0.0, begin), end))
        made.append((found, there))
    return made


def listed(events: Events, name: str) -> list[dict[str, object]]:
    return [{"file": name, "event_label": label, "onset": start, "offset": end} for label, start, end in events]


@pytest.mark.parametrize("ends", [True, False])
def test_events_as_sed_eval(ends: bool) -> None:
    sed_eval, containers = pytest.importorskip("sed_eval"), pytest.importorskip("dcase_util.containers")
    theirs = sed_eval.sound_event.EventBasedMetrics(
        ["dog", "rain", "bell", "siren"], t_collar=0.5, percentage_of_length=0.5, evaluate_offset=ends
    )
    mine = Counts()
    for number, (found, there) in enumerate(recordings()):
        name = f"{number}.wav"
        theirs.evaluate(
            containers.MetaDataContainer(listed(there, name)), containers.MetaDataContainer(listed(found, name))
        )
        mine += collar_counts(found, there, ends=ends)
    overall = theirs.results_overall_metrics()["f_measure"]
    assert 0.2 < mine.f1 < 0.95
    assert mine.f1 == pytest.approx(overall["f_measure"])
    assert mine.precision == pytest.approx(overall["precision"])
    assert mine.recall == pytest.approx(overall["recall"])


def test_segments_as_sed_eval() -> None:
    sed_eval, containers = pytest.importorskip("sed_eval"), pytest.importorskip("dcase_util.containers")
    theirs = sed_eval.sound_event.SegmentBasedMetrics(["dog", "rain", "bell", "siren"], time_resolution=1.0)
    mine = Counts()
    for number, (found, there) in enumerate(recordings()):
        name = f"{number}.wav"
        theirs.evaluate(
            containers.MetaDataContainer(listed(there, name)),
            containers.MetaDataContainer(listed(found, name)),
            evaluated_length_seconds=MINUTE,
        )
        mine += segment_counts(found, there, MINUTE)
    assert mine.f1 == pytest.approx(theirs.results_overall_metrics()["f_measure"]["f_measure"])

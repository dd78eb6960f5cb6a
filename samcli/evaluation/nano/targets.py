"""What sam-nano must reach, and what to go for: the table of its figures, in the order they are shown."""

from __future__ import annotations

from typing import Any, NamedTuple

from samcli.evaluation.figures import Figure, share


class Target(NamedTuple):
    name: str  # a leading "- " marks a part of the row above
    must: float | None = None
    goal: float | None = None
    lower_is_better: bool = False
    reference: str = ""


TARGETS = {
    "everyday_accuracy": Target("everyday classes, 50-way accuracy", 0.94, 0.97),
    "cross_source_accuracy": Target("accuracy on sources never trained on", 0.47, 0.55),
    "teacher_map": Target("mean average precision against the teacher's confident labels", 0.60, 0.75),
    "left_out_first_five": Target("a right tag among the first five, sources left out of training"),
    "left_out_map": Target("mean average precision against their labels, sources left out"),
    "left_out_error": Target("calibration error of tags of 0.05 and more, sources left out", 0.04, 0.02, True),
    "captions_name_sound": Target("captions of single sounds that name the sound", 0.78, 0.85),
    "captions_name_everyday": Target("- of everyday clips"),
    "captions_name_cross_source": Target("- of sources never trained on"),
    "captions_nothing": Target("- that name nothing", 0.08, 0.03, True),
    "scenes_both_named": Target("scenes of two events: both named", 0.60, 0.75),
    "scenes_order": Target("- in the right order, where both are named", 0.93, 0.95),
    "yes_no": Target("yes/no questions, half of them about absent sounds", 0.82, 0.90, reference="chance 50 %"),
    "yes_no_present": Target("- about present sounds"),
    "yes_no_absent": Target("- about confusable absent sounds"),
    "multiple_choice": Target("what is heard, one of four", 0.75, 0.88, reference="chance 25 %"),
    # What is made is captioned right every time; recordings may hold other things beside.
    "special_silence": Target("silence: marked silent, nothing said", 1.0),
    "special_tone": Target("pure tones captioned as such", 1.0),
    "special_noise": Target("white noise captioned as such", 1.0),
    "special_speech": Target("speech captioned as such", 0.8),
    "special_music": Target("music captioned as such", 0.8),
    "captions_invent": Target("captions naming a sound neither labelled nor heard by the teacher", 0.12, 0.08, True),
    "captions_repeat": Target("captions that say a phrase twice", 0.0, 0.0, True),
    "captions_distinct": Target("distinct captions", 0.60),
    "captions_commonest": Target("share of the most common caption", 0.05, lower_is_better=True),
    "long_sound": Target("long scenes, half a minute to two hours: captions that are sound sentences", 1.0),
    "long_main": Target("- main sounds named", 0.80, 0.90),
    "long_invented": Target("- sounds named that are not there", 0.10, 0.05, True),
    "long_yes_no": Target("- yes/no, present and absent", 0.85, 0.92, reference="chance 50 %"),
    "long_rare": Target("- the rare sound, when asked for"),
    "long_when": Target("- when it begins, within 2 s, of events that the timeline finds", 0.90, 0.97),
    "long_count": Target("- how many times", 0.75, 0.90),
    "long_first": Target("- what comes first", 0.75, 0.90),
    "long_last": Target("- what comes last", 0.75, 0.90),
    "long_before": Target("- what comes before", 0.75, 0.90),
    "long_after": Target("- what comes after", 0.75, 0.90),
    "long_share": Target("- share of the time, within 10 points", 0.75, 0.90),
    "memory_emptied_yes_no": Target("the same with nothing remembered but the last ten seconds: yes/no"),
    "memory_emptied_main": Target("- main sounds named"),
    "memory_emptied_first": Target("- what comes first"),
    "memory_emptied_count": Target("- how many times"),
    "memory_swapped_yes_no": Target("the same with another scene's memory: yes/no"),
    "memory_swapped_main": Target("- main sounds named"),
    "memory_swapped_first": Target("- what comes first"),
    "memory_swapped_count": Target("- how many times"),
    "asked_understood": Target("questions as people type them: understood", 0.90, 0.97),
    "asked_kept_back": Target("- of a set looked at once"),
    "asked_refused": Target("- out of scope or foreign, and refused", 0.95, 0.99),
    "asked_wrongly_refused": Target("- good ones refused", 0.03, 0.01, True),
    "phrasings_yes_no": Target("yes/no in ten other ways: lost against the plain one", 0.03, 0.01, True),
    "phrasings_which": Target("one of four in ten other ways: lost against the plain one", 0.03, 0.01, True),
    "timeline_f1": Target("timeline of a minute: event F1 at 0.5 s", 0.60, 0.70),
    "timeline_onset_f1": Target("- starts only"),
    "same_tag_resampled": Target("same top tag at another rate", 0.97, 0.99),
    "same_tag_quieter": Target("same top tag 20 dB quieter", 0.97, 0.99),
    "same_tag_mp3": Target("same top tag as MP3", 0.97, 0.99),
    "same_tag_later": Target("same top tag from 0.3 s on", 0.97, 0.99),
    "same_tag_noise": Target("same top tag in a room's noise, 10 dB below", 0.90, 0.95),
    "same_tag_telephone": Target("same top tag by telephone", 0.90, 0.95),
}


def table_figure(key: str, value: float | None, **rest: Any) -> Figure:
    """A figure of the table with its mark."""
    mark = TARGETS[key]
    rest.setdefault("reference", mark.reference)
    return Figure(key, mark.name, value, must=mark.must, goal=mark.goal, lower_is_better=mark.lower_is_better, **rest)


def share_figure(key: str, hits: Any, **rest: Any) -> Figure:
    """The share of hits as a figure of the table."""
    plain = share(key, "", hits)
    measured = {"low": plain.low, "high": plain.high, "count": plain.count, "note": plain.note}
    return table_figure(key, plain.value, **(measured | rest))

"""Orders of many clients: each gets what it would get alone, and whoever comes when all is full is told so."""

from __future__ import annotations

import copy
import io

import pytest

from samcli.engine.options import RunOptions
from samcli.errors import UsageError
from samcli.serving.desk import BusyError, Desk
from samcli.serving.sounds import Roots, input_of
from tests.serving.conftest import DEMO

REQUESTS = [
    ("tag", RunOptions(top_k=3)), ("tag", RunOptions(labels=("Dog",))), ("tag", RunOptions(timeline=True)),
    ("caption", RunOptions()), ("ask", RunOptions(question="is there a dog?")), ("tag", RunOptions(segment=2.0)),
]  # fmt: skip


def test_shared_batches_give_what_each_gives_alone(desk, nano):
    orders = []
    for clip in (DEMO / "dog.opus", DEMO / "thunder.opus"):
        orders += [(clip, *one, desk.order(one[0], input_of(clip.open("rb"), str(clip)), one[1])) for one in REQUESTS]
    for clip, task, options, order in orders:
        alone = list(nano.run(clip, task, options=options))
        assert order.records.result(120) == alone
        order.item.source.close()


def test_a_bad_sound_is_a_record_and_stops_nobody(desk):
    bad = desk.order("tag", input_of(io.BytesIO(b"no sound"), "bad.wav"), RunOptions())
    good = desk.order("caption", input_of((DEMO / "dog.opus").open("rb"), "dog.opus"), RunOptions())
    (record,) = bad.records.result(60)
    assert record.error.type == "not-audio" and record.path == "bad.wav"
    assert good.records.result(60)[0].caption


def test_a_full_queue_says_when_to_come_again(nano):
    desk = Desk(nano.model, most=2)  # nobody works in it
    orders = [desk.order("tag", input_of(io.BytesIO(b"x"), "a"), RunOptions()) for _ in range(2)]
    with pytest.raises(BusyError) as busy:
        desk.order("tag", input_of(io.BytesIO(b"x"), "a"), RunOptions())
    assert busy.value.seconds >= 1
    orders[0].cancel()
    assert desk.waiting == 1
    with pytest.raises(OSError):
        orders[0].item.source.read()
    desk.close()
    assert orders[1].records.result(0)[0].error.type == "stopped"


def test_what_cannot_be_asked_is_refused_before_it_waits(desk):
    before = desk.waiting
    with pytest.raises(UsageError):
        desk.order("tag", input_of(io.BytesIO(b"x"), "a"), RunOptions(labels=("no such sound",)))
    assert desk.waiting == before


def test_a_model_that_breaks_is_told_and_the_desk_goes_on(nano):
    def encode(*rest):
        raise RuntimeError("broken")

    broken = copy.copy(nano.model)
    with Desk(broken) as desk:
        object.__setattr__(broken, "encode", encode)
        for _ in range(4):  # three such failures end a run of the engine, and another begins
            order = desk.order("tag", input_of((DEMO / "dog.opus").open("rb"), "dog"), RunOptions())
            assert order.records.result(60)[0].error.type == "model"
        object.__delattr__(broken, "encode")
        order = desk.order("caption", input_of((DEMO / "dog.opus").open("rb"), "dog"), RunOptions())
        assert order.records.result(60)[0].caption


def test_names_lead_nowhere_else(recordings, tmp_path):
    secret = tmp_path / "secret.opus"
    secret.write_bytes((DEMO / "dog.opus").read_bytes())
    (recordings / "link.opus").symlink_to(secret)
    (recordings / "out").symlink_to(tmp_path)
    roots = Roots([recordings])
    assert roots.open("deep/dog.opus").display == "deep/dog.opus"
    assert roots.open(str(recordings / "deep" / "dog.opus")).source.size > 0
    climbing = ("../secret.opus", "deep/../../secret.opus", str(secret))
    for name in (*climbing, "link.opus", "out/secret.opus", "deep", "", "a\0b"):
        with pytest.raises(Exception, match=r"refused|outside|no name|folder"):
            roots.open(name)
    with pytest.raises(Exception, match="too large"):
        Roots([recordings], 10).open("deep/dog.opus")
    assert roots.within([recordings / "deep"]).folders == (recordings / "deep",)
    assert roots.within([tmp_path]).folders == (recordings,)
    assert roots.within([tmp_path / "other"]).folders == ()

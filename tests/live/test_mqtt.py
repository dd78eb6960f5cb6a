"""Events to a real broker, read by its own client."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from samcli.errors import UsageError
from samcli.live.listener import Told
from samcli.live.outlets import Mqtt
from samcli.records import Record, Tag

pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
BROKER = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    if BROKER is None or shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto and its clients are not installed")
    port = free_port()
    (tmp_path / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    running = subprocess.Popen([BROKER, "-c", tmp_path / "conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    yield port
    running.terminate()
    running.wait()


def told(number: int, kind: str, label: str = "Dog") -> Told:
    record = Record(task="tag", path="x", start=1.0, end=None if kind == "begin" else 2.0, tags=(Tag(label, 0.9),))
    return Told(kind, number, record, 1.7e9, None)  # type: ignore[arg-type]


def test_what_a_broker_gets(broker: int) -> None:
    mqtt = Mqtt(f"mqtt://127.0.0.1:{broker}/house/kitchen", ("Dog", "Smoke detector, smoke alarm"), "x")
    listener = subprocess.Popen(
        ["mosquitto_sub", "-p", str(broker), "-t", "#", "-F", "%t %r %p", "-W", "100"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listener.stdout is not None
    lines = []
    while not any(line.startswith("house/kitchen/status 1 online") for line in lines):  # it is there
        lines.append(listener.stdout.readline())
    mqtt.tell(told(1, "begin"), None)
    mqtt.tell(told(2, "end"), Path("clip.flac"))
    mqtt.tell(told(3, "begin", "Siren"), None)
    assert mqtt.close() == []
    while not lines[-1].startswith("house/kitchen/status 0 offline"):
        lines.append(listener.stdout.readline())
    listener.terminate()
    listener.wait()
    messages = [line.rstrip("\n").split(" ", 2) for line in lines]
    states = [text for topic, _, text in messages if topic == "house/kitchen/dog/state"]
    assert states == ["OFF", "ON", "OFF"]
    events = [json.loads(text) for topic, _, text in messages if topic == "house/kitchen/event"]
    assert [one["number"] for one in events] == [1, 2, 3] and events[1]["clip"] == "clip.flac"
    sensors = {topic: json.loads(text) for topic, _, text in messages if topic.startswith("homeassistant/")}
    assert sorted(one["name"] for one in sensors.values()) == ["Dog", "Siren", "Smoke detector, smoke alarm"]
    for topic, sensor in sensors.items():
        assert topic.startswith("homeassistant/binary_sensor/sam_") and topic.endswith("/config")
        assert sensor["availability_topic"] == "house/kitchen/status" and sensor["unique_id"].startswith("sam_")


def test_a_broker_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="cannot be reached"):
        Mqtt(f"mqtt://127.0.0.1:{free_port()}/x", (), "x")


@pytest.mark.parametrize("address", ["", "host", "http://host/x", "mqtt:///x", "mqtt://host:port/x", "mqtt://host/#"])
def test_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="--mqtt"):
        Mqtt(address, (), "x")

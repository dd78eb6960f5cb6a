"""Where events go: a command of the person's own, or an MQTT broker.

A command gets its arguments as environment and the whole line on standard input, never a shell. A slow one does not
stop the hearing: a few run at once, some wait, and what comes then is not run, and counted.

A broker lets a house act on events; Home Assistant finds its sensors by itself. Under the topic `event` carries every
line as JSON, `LABEL/state` is ON while a sound lasts, `status` is online or, by the broker's own word when the
connection breaks, offline. A broker that is away for a while does not stop the hearing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from samcli._version import __version__
from samcli.errors import UsageError
from samcli.live.clips import slug
from samcli.live.listener import Told

WAITING = 64  # events
AT_ONCE = 4
LONGEST = 60.0  # seconds a command may take before it is ended
PARTING = 30.0  # seconds that commands may still take at the end


class Commands:
    def __init__(
        self, command: str, kinds: tuple[str, ...] = ("begin",), at_once: int = AT_ONCE, parting: float = PARTING
    ) -> None:
        try:
            self.words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--exec cannot be read: {error}.") from None
        if not self.words:
            raise UsageError("--exec names no command.")
        self.kinds, self.parting, self.skipped, self.failed = kinds, parting, 0, 0
        self.problem: str | None = None  # the first that went wrong
        self._waiting: deque[tuple[Told, Path | None]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._threads = [threading.Thread(target=self._work, name="exec", daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

    def tell(self, told: Told, clip: Path | None) -> None:
        if told.kind not in self.kinds:
            return
        with self._changed:
            if len(self._waiting) >= WAITING:
                self.skipped += 1
                return
            self._waiting.append((told, clip))
            self._changed.notify()

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> list[str]:
        """Wait a little for what runs, end it, and say what went wrong."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        deadline = time.monotonic() + self.parting
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self.skipped += len(self._waiting)
            self._waiting.clear()
            for process in self._running:
                process.kill()
        notes = [f"--exec: {self.problem}"] if self.problem else []
        if self.failed > 1:
            notes.append(f"--exec: {self.failed} commands failed.")
        if self.skipped:
            notes.append(f"--exec: {self.skipped} events came while too many commands were running, and had none.")
        return notes

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                told, clip = self._waiting.popleft()
            self._run(told, clip)

    def _run(self, told: Told, clip: Path | None) -> None:
        try:
            # What a command prints is no record: it goes where messages go.
            process = subprocess.Popen(
                self.words, env={**os.environ, **environment(told, clip)}, stdin=subprocess.PIPE, stdout=2, stderr=None
            )
        except (OSError, ValueError) as error:
            self._fail(f"{self.words[0]!r} cannot be run: {getattr(error, 'strerror', None) or error}.")
            return
        with self._changed:
            self._running.add(process)
        try:
            process.communicate((told.line() + "\n").encode("utf-8", "surrogateescape"), LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            with self._changed:
                self._running.discard(process)
        if process.returncode:
            self._fail(f"{self.words[0]!r} ended with {process.returncode}.")

    def _fail(self, problem: str) -> None:
        with self._changed:
            self.failed += 1
            self.problem = self.problem or problem


def environment(told: Told, clip: Path | None) -> dict[str, str]:
    """What a command finds in its environment."""
    values = told.values()
    found = {
        "EVENT": told.kind, "NUMBER": told.number, "LABEL": told.label, "SCORE": told.score, "TIME": values["time"],
        "UNTIL": values["until"], "START": told.record.start, "END": told.record.end, "SOURCE": told.record.path,
        "CAPTION": told.record.caption, "CLIP": clip,
    }  # fmt: skip
    return {f"SAM_{name}": "" if value is None else str(value).replace("\0", "") for name, value in found.items()}


PORTS = {"mqtt": 1883, "mqtts": 8883}
DISCOVERY = "homeassistant"
MOST_WAITING = 1000  # messages that may wait for the broker
SECONDS = 10.0  # to wait for the broker at the start, and for the last messages at the end


class Mqtt:
    def __init__(self, address: str, labels: tuple[str, ...], source: str) -> None:
        """`labels` have their sensors at once; any other when it is heard for the first time."""
        place = _parse(address)
        self.topic = unquote(place.path).strip("/") or "sam"
        self.source = source
        self._known: set[str] = set()
        self._client = _client(place, f"{self.topic}/status")
        self._client.on_connect = self._connected
        try:
            self._client.connect(place.hostname, place.port or PORTS[place.scheme], keepalive=30)
        except OSError as error:
            raise UsageError(f"The broker {place.hostname!r} cannot be reached: {error.strerror or error}.") from None
        self._client.loop_start()
        for label in labels:
            self._introduce(label)

    def tell(self, told: Told, clip: Path | None) -> None:
        more = {} if clip is None else {"clip": str(clip)}
        self._publish(f"{self.topic}/event", json.dumps({**told.values(), **more}, ensure_ascii=False))
        if told.label is not None and told.kind in ("begin", "end"):
            self._introduce(told.label)
            self._publish(f"{self.topic}/{slug(told.label)}/state", "ON" if told.kind == "begin" else "OFF", kept=True)

    def flush(self) -> None:
        """The client sends by itself."""

    def close(self) -> list[str]:
        self._publish(f"{self.topic}/status", "offline", kept=True).wait_for_publish(SECONDS)
        self._client.disconnect()
        self._client.loop_stop()
        return []

    def _connected(self, client: Any, *rest: Any) -> None:
        self._publish(f"{self.topic}/status", "online", kept=True)

    def _introduce(self, label: str) -> None:
        """Home Assistant's discovery: a binary sensor for this label."""
        if label in self._known:
            return
        self._known.add(label)
        node = hashlib.blake2b(self.topic.encode(), digest_size=4).hexdigest()
        sensor = {
            "name": label,
            "unique_id": f"sam_{node}_{slug(label)}",
            "state_topic": f"{self.topic}/{slug(label)}/state",
            "availability_topic": f"{self.topic}/status",
            "device_class": "sound",
            "device": {"identifiers": [f"sam_{node}"], "name": f"sam {self.topic}", "sw_version": __version__},
        }
        self._publish(f"{DISCOVERY}/binary_sensor/sam_{node}/{slug(label)}/config", json.dumps(sensor), kept=True)
        self._publish(f"{self.topic}/{slug(label)}/state", "OFF", kept=True)

    def _publish(self, topic: str, text: str, kept: bool = False) -> Any:
        return self._client.publish(topic, text, qos=1, retain=kept)


def _parse(address: str) -> SplitResult:
    try:
        place = urlsplit(address)
        _ = place.port
    except ValueError as error:
        raise UsageError(f"--mqtt {address!r} cannot be read: {error}.") from None
    if place.scheme not in PORTS or not place.hostname or "+" in place.path or "#" in address:
        raise UsageError(f"--mqtt is an address such as mqtt://HOST/TOPIC, not {address!r}.")
    return place


def _client(place: SplitResult, status: str) -> Any:
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError:
        raise UsageError("--mqtt needs paho-mqtt: pip install 'samcli[live]'.") from None
    client = Client(CallbackAPIVersion.VERSION2)
    if place.username:
        client.username_pw_set(unquote(place.username), unquote(place.password or ""))
    if place.scheme == "mqtts":
        client.tls_set()
    client.max_queued_messages_set(MOST_WAITING)
    client.will_set(status, "offline", qos=1, retain=True)
    return client

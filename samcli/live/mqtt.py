"""Events to an MQTT broker, so that a house can act on them; Home Assistant finds its sensors by itself.

Under the topic: `event` carries every line as JSON, `LABEL/state` is ON while a sound lasts, `status` is online or, by
the broker's own word when the connection breaks, offline. A broker that is away for a while does not stop the hearing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from samcli._version import __version__
from samcli.errors import UsageError
from samcli.live.clips import slug
from samcli.live.listener import Told

PORTS = {"mqtt": 1883, "mqtts": 8883}
DISCOVERY = "homeassistant"
WAITING = 1000  # messages that may wait for the broker
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
    client.max_queued_messages_set(WAITING)
    client.will_set(status, "offline", qos=1, retain=True)
    return client

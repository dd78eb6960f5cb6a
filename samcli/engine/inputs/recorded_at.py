"""When a recording began, as recorders write it into its name.

    20260512_043000.wav                 AudioMoth, and most others that say so
    SM4-FIELD7_20260512_043000.wav      Song Meter
    260512_043000.wav, 260512-043000    Zoom, Olympus
    2026-05-12T04-30-00+0200.flac       with its zone
    5CC8A3B0.WAV                        older AudioMoths: seconds since 1970, in hexadecimal

A name without a zone is in the zone that is given or, without one, in this computer's; a Z behind it is UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from pathlib import PurePath
from zoneinfo import ZoneInfo

from samcli.errors import UsageError

_TIME = r"(?P<hour>[01]\d|2[0-3])[-:.h]?(?P<minute>[0-5]\d)[-:.m]?(?P<second>[0-5]\d)s?"
_NAME = re.compile(
    rf"(?<!\d)(?P<year>(?:19|20)?\d\d)[-_.]?(?P<month>0[1-9]|1[0-2])[-_.]?(?P<day>0[1-9]|[12]\d|3[01])[-_ T]?{_TIME}"
    r"(?P<zone>Z|[+-]\d\d:?[0-5]\d)?(?!\d)"
)
_HEXADECIMAL = re.compile(r"[0-9A-F]{8}")
_OFFSET = re.compile(r"(?:UTC)?(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>[0-5]\d)")
EARLIEST, LATEST = 1_420_070_400, 2_208_988_800  # 2015 to 2040: what an AudioMoth can have recorded


@dataclass(frozen=True)
class Clock:
    """Tells when recordings began."""

    began: datetime | None = None  # of the only recording, said by a person
    zone: tzinfo | None = None  # of names that state none; None: this computer's

    @classmethod
    def of(cls, start_time: str | None, time_zone: str | None) -> Clock:
        """From what a person typed."""
        zone = zone_of(time_zone) if time_zone else None
        if start_time is None:
            return cls(None, zone)
        try:
            began = datetime.fromisoformat(start_time.strip().replace("Z", "+00:00"))
        except ValueError:
            raise UsageError(f"A time is written as 2026-05-12T04:30:00, not as {start_time!r}.") from None
        return cls(_in_zone(began, zone), zone)

    def start_of(self, path: str) -> datetime | None:
        """When the recording at this path began; None when nothing says so."""
        return self.began or recorded_at(path, self.zone)

    def at(self, path: str, seconds: float | None) -> str | None:
        """The clock time of a moment of a recording, as records tell it."""
        began = self.start_of(path)
        if began is None or seconds is None:
            return None
        moment = began + timedelta(seconds=seconds)
        return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


@lru_cache(maxsize=4096)
def recorded_at(path: str, zone: tzinfo | None = None) -> datetime | None:
    """What a file's name says, with its zone."""
    name = PurePath(path).name
    stem = name.partition(".")[0]
    if _HEXADECIMAL.fullmatch(stem) and EARLIEST <= int(stem, 16) < LATEST and not stem.isdecimal():
        return datetime.fromtimestamp(int(stem, 16), timezone.utc)
    match = _NAME.search(name)
    if match is None:
        return None
    parts = {part: int(match[part]) for part in ("year", "month", "day", "hour", "minute", "second")}
    parts["year"] += 2000 if parts["year"] < 100 else 0
    try:
        moment = datetime(**parts)  # type: ignore[arg-type]
        return _in_zone(moment.replace(tzinfo=zone_of(match["zone"])) if match["zone"] else moment, zone)
    except (ValueError, OverflowError, OSError):
        return None


def zone_of(text: str) -> tzinfo:
    """Z, +02:00 or Europe/Berlin."""
    if text in ("Z", "UTC"):
        return timezone.utc
    match = _OFFSET.fullmatch(text)
    if match is not None:
        offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
        if offset < timedelta(days=1):
            return timezone(-offset if match["sign"] == "-" else offset)
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise UsageError(f"There is no time zone {text!r}: name one as +02:00 or Europe/Berlin.") from None


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()

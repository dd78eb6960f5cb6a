"""Any sound file in; 16 kHz mono blocks, filter banks and windows out."""

from samcli.audio.decode import SoundReader, open_sound, read_sound
from samcli.audio.waves import SAMPLE_RATE

__all__ = ["SAMPLE_RATE", "SoundReader", "open_sound", "read_sound"]

"""`sam doctor`"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from samcli._version import __version__
from samcli.cli.flags import JsonFlags, spread
from samcli.cli.output import output
from samcli.cli.tables import readable_size, show, show_json
from samcli.errors import ExitCode

TOLERANCE = 1e-4  # float32: what any way of cutting or computing may differ by
ROUNDED = 0.05  # the same for bfloat16, which keeps 8 bits
PACKAGES = (
    "torch",
    "numpy",
    "soundfile",
    "soxr",
    "av",
    "safetensors",
    "tokenizers",
    "huggingface-hub",
    "typer",
    "rich",
)
EXTRAS = ("triton", "mamba-ssm", "causal-conv1d", "ray")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    group: str
    name: str
    value: str
    ok: bool = True
    advice: str = ""


@spread
def doctor(flags: JsonFlags) -> ExitCode:
    """Look at this installation: versions, devices, kernels, cache, decoders. Exit 1 when something is wrong.

    sam doctor
    sam doctor --json
    sam doctor --json | jq '.findings[] | select(.ok | not)'
    """
    findings = list(examine())
    healthy = all(finding.ok for finding in findings)
    streams = output()
    if flags.json:
        show_json(streams, {"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        rows: list[dict[str, Any]] = [asdict(finding) | {"ok": "ok" if finding.ok else "WRONG"} for finding in findings]
        show(streams, ("group", "name", "value", "ok"), rows)
        for finding in findings:
            if not finding.ok:
                streams.error(f"{finding.name}: {finding.advice or finding.value}")
    return ExitCode.OK if healthy else ExitCode.FAILED


def examine() -> Iterator[Finding]:
    """Every finding. A look that itself fails is a finding too."""
    for group, look in (
        ("version", versions),
        ("machine", machine),
        ("kernel", kernels),
        ("model", bundled_model),
        ("cache", cache),
        ("decoder", decoders),
    ):
        try:
            yield from look()
        except Exception as error:
            yield Finding(group, look.__name__.replace("_", " "), f"{type(error).__name__}: {error}", ok=False)


def versions() -> Iterator[Finding]:
    yield Finding("version", "samcli", __version__)
    yield Finding("version", "python", platform.python_version())
    for name in PACKAGES:
        version = _version(name)
        yield Finding("version", name, version or "missing", version is not None, f"Run: pip install {name}")
    for name in EXTRAS:
        yield Finding("version", name, _version(name) or "not installed (optional)")
    if _version("aws-sam-cli"):
        advice = "aws-sam-cli is in the same environment and its files overwrite ours; install samcli by itself."
        yield Finding("version", "aws-sam-cli", _version("aws-sam-cli") or "", False, advice)


def machine() -> Iterator[Finding]:
    import torch

    yield Finding("machine", "system", f"{platform.system()} {platform.release()} {platform.machine()}")
    yield Finding("machine", "cores", str(os.cpu_count()))
    yield Finding("machine", "torch threads", str(torch.get_num_threads()))
    devices = ["cpu"]
    devices += [f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    yield Finding("machine", "devices", ", ".join(devices))


def cache() -> Iterator[Finding]:
    from samcli.checkpoints.files import cache_folder, is_offline

    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    usable = existing.is_dir() and os.access(existing, os.W_OK)
    yield Finding(
        "cache", "folder", str(folder), usable, f"{existing} cannot be written; set HF_HOME to another place."
    )
    yield Finding("cache", "free space", readable_size(shutil.disk_usage(existing).free) or "")
    yield Finding("cache", "network", "forbidden by HF_HUB_OFFLINE" if is_offline() else "allowed")


def decoders() -> Iterator[Finding]:
    import av
    import soundfile

    formats = sorted(soundfile.available_formats())
    yield Finding("decoder", soundfile.__libsndfile_version__, ", ".join(formats), "FLAC" in formats)
    wanted = ("aac", "alac", "mp3", "opus", "vorbis", "wmav2", "ac3")
    found = [name for name in wanted if name in av.codecs_available]
    advice = "PyAV lacks common decoders; run: pip install --force-reinstall av"
    yield Finding("decoder", f"PyAV {av.__version__}", ", ".join(found), "aac" in found, advice)


def bundled_model() -> Iterator[Finding]:
    from samcli.checkpoints.catalogue import DATA, DEFAULT

    folder = DATA / DEFAULT
    weights = sorted(folder.glob("*.safetensors"))
    size = readable_size(sum(path.stat().st_size for path in weights)) or "0 B"
    advice = "The package was installed without its model; install it again."
    yield Finding("model", DEFAULT, f"{size} at {folder}" if weights else "missing", bool(weights), advice)


def kernels() -> Iterator[Finding]:
    """The scans that run here, against their recurrences taken one step at a time in double precision."""
    import torch

    from samcli.ssm.report import describe, scan_differences

    for name, words in describe().items():
        yield Finding("kernel", name, words)
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in [*devices, *(["mps"] if torch.backends.mps.is_available() else [])]:
        advice = f"The results on {device} cannot be trusted; use another --device, and please report it."
        for name, difference in scan_differences(device).items():
            words = f"pure PyTorch, float32; differs from the recurrence by {difference:.1e}"
            yield Finding("kernel", f"{name} on {device}", words, difference < TOLERANCE, advice)
    for index in range(torch.cuda.device_count()):
        yield production(f"cuda:{index}")


def production(device: str) -> Finding:
    """The default model's own sizes and precision on a card, beside plain PyTorch in float32."""
    import torch

    from samcli.checkpoints.loading import load_model
    from samcli.ssm.report import disagreement

    model: Any = load_model("sam-nano", device=device)
    dtype = model.network.language.lm_head.weight.dtype
    difference = disagreement(model.network.config.language, device, dtype)
    words = f"{str(dtype).removeprefix('torch.')}; differs from plain float32 by {difference:.1e}"
    advice = f"The words on {device} cannot be trusted: set SAM_KERNELS=torch, and please report it."
    near = difference < (ROUNDED if dtype is torch.bfloat16 else TOLERANCE)
    return Finding("kernel", f"sam-nano's steps on {device}", words, near, advice)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

"""What `sam doctor` says of cards: whose kernels run, and why one that is there is not used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from samcli.ssm import report
from samcli.ssm.fast import kernels
from samcli.ssm.language.blocks import LanguageConfig


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with a card that PyTorch does not see."""
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(report, "SIGNS", (str(tmp_path / "nvidiactl"),))


def test_a_machine_without_a_card_has_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(report, "SIGNS", ("/nowhere",))
    assert report.cards() == {}


def test_a_card_that_lies_idle_is_named_with_the_reason(idle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "built without CUDA" in report.cards()["cuda"]
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES is '-1'" in report.cards()["cuda"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert "driver" in report.cards()["cuda"]


def test_every_card_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(report, "cuda_convolution", lambda: None)
    monkeypatch.setattr(report, "mamba_ssm_scan", lambda: None)
    monkeypatch.setattr(report.choice, "trouble", {"cuda:0": None, "cuda:1": "Triton fails: no compiler"}.get)
    found = report.cards()
    assert found["cuda:0"] == "our Triton kernels"
    assert found["cuda:1"] == "PyTorch (Triton fails: no compiler)"
    monkeypatch.setattr(kernels, "_forced", "mamba-ssm")
    assert "mamba_ssm is missing" in report.cards()["cuda:0"]
    monkeypatch.setattr(kernels, "_forced", "torch")
    assert report.cards()["cuda:0"] == "PyTorch (forced)"


def test_the_production_case_agrees_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_forced", "torch")
    config = LanguageConfig(32, 3, 500, d_state=8, headdim=16)
    assert report.disagreement(config, "cpu", torch.float32) < 1e-5
    assert 0 < report.disagreement(config, "cpu", torch.bfloat16) < 0.05


def test_doctor_checks_the_default_model_as_it_is_loaded() -> None:
    """Its own sizes and precision, on the device that is named."""
    from samcli.cli.commands.doctor import production

    finding = production("cpu")
    assert finding.ok and finding.name == "sam-nano's steps on cpu" and finding.value.startswith("float32; differs")

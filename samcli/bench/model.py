"""Where a model's time goes: hearing, listening and speaking, each in seconds of audio or tokens per second.

The limit beside each row is what the filter bank alone could do (for hearing) or the row before it: a part can never be
faster than what feeds it, so `ratio` shows which part to look at.
"""

from __future__ import annotations

from samcli.bench.core import Row, fastest, row

UNIT = "s/s"  # seconds of sound per second


def bench_model(quick: bool, model: str = "sam-nano", device: str = "cpu") -> list[Row]:
    """Rows of name, value, unit, limit, ratio, target for a batch of full windows."""
    import torch

    from samcli.checkpoints.loading import load_model
    from samcli.models.interface import SpeakOptions
    from samcli.models.tuned import encoder_of

    loaded = load_model(model, device=device)
    batch, rounds = (4, 2) if quick else (16, 5)
    samples = int(loaded.window_seconds * loaded.sample_rate)
    waves = torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) * 0.05
    lengths = torch.full((batch,), samples)
    seconds = batch * loaded.window_seconds
    encoder = encoder_of(loaded)
    bank = seconds / fastest(lambda: encoder.features(waves, lengths), rounds, device)
    hearing = seconds / fastest(lambda: loaded.encode(waves, lengths), rounds, device)
    rows = [row("filter bank", bank, UNIT), row("encoder, filter bank included", hearing, UNIT, bank)]
    if "caption" in loaded.tasks:
        encoding = loaded.encode(waves, lengths)
        listening = seconds / fastest(lambda: loaded.listen(encoding, None), rounds, device)
        state = loaded.listen(encoding, None)
        captions = [""] * batch
        speaking = seconds / fastest(lambda: loaded.speak(state, captions, SpeakOptions()), rounds, device)
        rows.append(row("language model listening", listening, UNIT, bank))
        rows.append(row("language model speaking a caption a window", speaking, UNIT, bank))
    return rows

"""Full-size checkpoints, by name and shape: what the published files hold, written out here tensor by tensor from their
documentation, finds its place in our modules, and no place stays empty. No tensor has memory."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from samcli.models.encoders.registry import SIZES, build_encoder, recognise
from samcli.models.layouts import same_numbers

Shape = tuple[int, ...]
Listing = dict[str, Shape]
WIDTHS, RANKS = (96, 192, 384, 768), (6, 12, 24, 48)


def pair(name: str, weight: Shape, bias: int | None = None) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", weight
    yield f"{name}.bias", (weight[0] if bias is None else bias,)


def dass_pth(depths: Shape) -> Listing:
    found: Listing = {}
    v = "module.v."
    for number, shape in (("0", (48, 1, 3, 3)), ("2", (48,)), ("5", (96, 48, 3, 3)), ("7", (96,))):
        found.update(pair(f"{v}patch_embed.{number}", shape))
    for stage, (width, rank, depth) in enumerate(zip(WIDTHS, RANKS, depths, strict=True)):
        for number in range(depth):
            block = f"{v}layers.{stage}.blocks.{number}."
            found.update(pair(block + "norm", (width,)))
            found.update(pair(block + "norm2", (width,)))
            found.update(pair(block + "op.out_norm", (width,)))
            found.update(pair(block + "mlp.fc1", (4 * width, width, 1, 1)))
            found.update(pair(block + "mlp.fc2", (width, 4 * width, 1, 1)))
            found[block + "op.in_proj.weight"] = found[block + "op.out_proj.weight"] = (width, width, 1, 1)
            found[block + "op.conv2d.weight"] = (width, 1, 3, 3)
            found[block + "op.x_proj_weight"] = (4, rank + 2, width)
            found[block + "op.dt_projs_weight"] = (4, width, rank)
            found[block + "op.dt_projs_bias"] = (4, width)
            found[block + "op.A_logs"] = (4 * width, 1)
            found[block + "op.Ds"] = (4 * width,)
        if stage < 3:
            found.update(pair(f"{v}layers.{stage}.downsample.1", (2 * width, width, 3, 3)))
            found.update(pair(f"{v}layers.{stage}.downsample.3", (2 * width,)))
    found.update(pair(v + "classifier.norm", (768,)))
    found.update(pair(v + "classifier.head", (527, 768)))
    return found


def dass_hub(depths: Shape) -> Listing:
    found: Listing = {}
    for number, shape in (("0", (48, 1, 3, 3)), ("1", (48,)), ("3", (96, 48, 3, 3)), ("4", (96,))):
        found.update(pair(f"dass.patch_embeddings.projection.{number}", shape))
    for stage, (width, rank, depth) in enumerate(zip(WIDTHS, RANKS, depths, strict=True)):
        for number in range(depth):
            block = f"dass.layers.{stage}.blocks.{number}."
            for norm in ("norm", "norm2", "op.out_norm"):
                found.update(pair(block + norm, (width,)))
            found.update(pair(block + "mlp.fc1", (4 * width, width)))
            found.update(pair(block + "mlp.fc2", (width, 4 * width)))
            found[block + "op.in_proj.weight"] = found[block + "op.out_proj.weight"] = (width, width)
            found[block + "op.conv2d.weight"] = (width, 1, 3, 3)
            found[block + "op.x_proj.weight"] = (4 * (rank + 2), width, 1)
            found[block + "op.dt_projs.weight"] = (4 * width, rank, 1)
            found[block + "op.dt_projs_bias"] = (4, width)
            found[block + "op.A_logs"] = (4 * width, 1)
            found[block + "op.Ds"] = (4 * width,)
        if stage < 3:
            found.update(pair(f"dass.layers.{stage}.downsample.down", (2 * width, width, 3, 3)))
            found.update(pair(f"dass.layers.{stage}.downsample.norm", (2 * width,)))
    found.update(pair("dass.norm", (768,)))
    found.update(pair("head", (527, 768)))
    return found


def eat_hub(width: int, layers: int, classes: int) -> Listing:
    found: Listing = {
        "model.extra_tokens": (1, 1, width),
        "model.fixed_positional_encoder.positions": (1, 768 * 8, width),
        **dict(pair("model.local_encoder.proj", (width, 1, 16, 16))),
        **dict(pair("model.pre_norm", (width,))),
    }
    for number in range(layers):
        block = f"model.blocks.{number}."
        found.update(pair(block + "norm1", (width,)))
        found.update(pair(block + "norm2", (width,)))
        found.update(pair(block + "attn.qkv", (3 * width, width)))
        found.update(pair(block + "attn.proj", (width, width)))
        found.update(pair(block + "mlp.fc1", (4 * width, width)))
        found.update(pair(block + "mlp.fc2", (width, 4 * width)))
    if classes:
        found.update(pair("model.fc_norm", (width,)))
        found.update(pair("model.head", (classes, width)))
    return found


def ssamba_pth(width: int) -> Listing:
    inner, rank = 2 * width, width // 16
    v = "module.v."
    found: Listing = {
        "module.mask_embed": (1, 1, width),
        "module.p_input_fdim": (),
        "module.p_input_tdim": (),
        v + "cls_token": (1, 1, width),
        v + "pos_embed": (1, 513, width),
        **dict(pair(v + "patch_embed.proj", (width, 1, 16, 16))),
        **dict(pair(v + "norm_f", (width,))),
        **dict(pair(v + "head", (1000, width))),
    }
    for heads in ("cpredlayer", "gpredlayer"):
        found.update(pair(f"module.{heads}.0", (width, width)))
        found.update(pair(f"module.{heads}.2", (256, width)))
    for number in range(24):
        mixer = f"{v}layers.{number}.mixer."
        found.update(pair(f"{v}layers.{number}.norm", (width,)))
        found[mixer + "in_proj.weight"], found[mixer + "out_proj.weight"] = (2 * inner, width), (width, inner)
        for way, decay in (("", "A_log"), ("_b", "A_b_log")):
            found.update(pair(f"{mixer}conv1d{way}", (inner, 1, 4)))
            found.update(pair(f"{mixer}dt_proj{way}", (inner, rank)))
            found[f"{mixer}x_proj{way}.weight"] = (rank + 32, inner)
            found[mixer + decay], found[f"{mixer}D{way}"] = (inner, 16), (inner,)
    return found


def aum_pth(width: int, both: bool) -> Listing:
    inner, rank = 2 * width, width // 16
    found: Listing = {
        "module.cls_token": (1, 1, width),
        "module.pos_embed.pos_embed": (1, 513, width),
        "module.norm_f.weight": (width,),
        **dict(pair("module.patch_embed.proj", (width, 1, 16, 16))),
        **dict(pair("module.head", (527, width))),
    }
    for number in range(24):
        mixer = f"module.layers.{number}.mixer."
        found[f"module.layers.{number}.norm.weight"] = (width,)
        found[mixer + "in_proj.weight"], found[mixer + "out_proj.weight"] = (2 * inner, width), (width, inner)
        found[mixer + "A_log"] = found[mixer + "A_b_log"] = (inner, 16)
        for way in ("", "_b") if both else ("",):
            found.update(pair(f"{mixer}conv1d{way}", (inner, 1, 4)))
            found.update(pair(f"{mixer}dt_proj{way}", (inner, rank)))
            found[f"{mixer}x_proj{way}.weight"], found[f"{mixer}D{way}"] = (rank + 32, inner), (inner,)
    return found


@pytest.mark.parametrize(
    ("preset", "kind", "listing"),
    [
        ("dass-small", "dass", dass_pth((2, 2, 8, 2))),
        ("dass-small", "dass", dass_hub((2, 2, 8, 2))),
        ("dass-medium", "dass", dass_pth((2, 2, 20, 2))),
        ("dass-medium", "dass", dass_hub((2, 2, 20, 2))),
        ("eat-base", "eat", eat_hub(768, 12, 527)),
        ("eat-base-pretrain", "eat", eat_hub(768, 12, 0)),
        ("eat-large", "eat", eat_hub(1024, 24, 527)),
        ("eat-large-pretrain", "eat", eat_hub(1024, 24, 0)),
        ("ssamba-tiny", "ssamba", ssamba_pth(192)),
        ("ssamba-small", "ssamba", ssamba_pth(384)),
        ("ssamba-base", "ssamba", ssamba_pth(768)),
        ("aum-base", "aum", aum_pth(768, both=False)),
        ("aum-small", "aum", aum_pth(384, both=True)),
    ],
)
def test_every_tensor_has_its_place(preset: str, kind: str, listing: Listing) -> None:
    found = recognise(listing)
    assert found is not None and found.name == kind and found.published is not None
    names = found.published.layout.rename(listing)
    ours = {names[name]: shape for name, shape in listing.items() if names[name]}
    assert len(ours) == sum(1 for name in names.values() if name)  # no two names meet
    config = SIZES[preset.removesuffix("-pretrain")]
    config = replace(config, classes=0) if preset.endswith("-pretrain") else config
    assert found.published.config(ours, {}) == config
    with torch.device("meta"):
        module = build_encoder(config)
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert ours.keys() == wanted.keys()
    assert [name for name in ours if not same_numbers(ours[name], wanted[name])] == []


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        ((8, 8, 1, 1), (8, 8), True),
        ((4, 3, 8), (12, 8), True),
        ((12, 8, 1), (4, 3, 8), True),
        ((32, 1), (4, 8), True),
        ((32,), (4, 8), True),
        ((8, 4), (4, 8), False),  # as many numbers, another matrix
        ((3, 8, 4), (12, 8), False),
        ((31,), (4, 8), False),
        ((2, 16), (4, 8), False),
        ((), (), True),
        ((1,), (), True),
        ((2,), (), False),
    ],
)
def test_which_shapes_hold_the_same_numbers(found: Shape, wanted: Shape, same: bool) -> None:
    assert same_numbers(found, wanted) is same and same_numbers(wanted, found) is same
    if same:
        torch.zeros(found).reshape(wanted)

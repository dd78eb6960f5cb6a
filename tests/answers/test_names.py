"""Names for one sound."""

from __future__ import annotations

import pytest

from samcli.digest.names import kin, twins, wider_names
from samcli.text.labels import labels


@pytest.mark.parametrize(
    ("label", "other"),
    [("Bark", "Bark"), ("Bark", "Dog"), ("Bark", "Animal"), ("Bark", "Bow-wow"), ("Goat", "Bleat"), ("Duck", "Quack")],
)
def test_names_that_may_be_one_sound(label: str, other: str) -> None:
    assert kin(label, other) and kin(other, label)


@pytest.mark.parametrize(("label", "other"), [("Bark", "Meow"), ("Sheep", "Goat"), ("Dog", "Rain")])
def test_names_of_two_sounds(label: str, other: str) -> None:
    assert not kin(label, other) and not kin(other, label)


def test_a_name_that_one_model_was_taught_is_kin_to_itself_alone() -> None:
    assert wider_names("my kettle") == twins("my kettle") == frozenset()
    assert [label for label in (*labels(), "my kettle") if kin(label, "my kettle") or kin("my kettle", label)] == [
        "my kettle"
    ]


def test_twins_are_no_wider_names() -> None:
    assert twins("Bark") == {"Bow-wow", "Yip"} and twins("Dog") == frozenset()

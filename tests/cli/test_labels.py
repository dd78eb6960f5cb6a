"""Labels as people give them: lists in any length and shape, files, and what is neither."""

import csv

import pytest

from samcli.cli.resolve import read_labels
from samcli.errors import UsageError


def test_a_list_longer_than_any_file_name():
    """A few dozen labels in one argument are no name of a file, and no reason to stop."""
    labels = tuple(f"Label {number}" for number in range(900))
    assert read_labels(",".join(labels)) == labels


def test_a_list_over_several_lines():
    assert read_labels('Dog\nRain,"Inside, small room"\r\nSiren\r') == ("Dog", "Rain", "Inside, small room", "Siren")


@pytest.mark.parametrize("text", ["x" * (csv.field_size_limit() + 1), ",,", "", "\n", "\0,"[1:]])
def test_what_is_no_list(text):
    with pytest.raises(UsageError, match="--labels"):
        read_labels(text)

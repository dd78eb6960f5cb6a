"""`sam tag`"""

from __future__ import annotations

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import TagFlags, spread


@spread
def tag(flags: TagFlags) -> ExitCode:
    """Name the sounds that are heard, with a score for each.

    sam tag recordings/ -o tags.csv
    sam tag *.wav --labels Dog,Siren | awk -F'\\t' '$3 > 0.5'
    sam tag night.flac --timeline -o night.audacity
    """
    from samcli.cli.listen import listen

    return listen("tag", flags)

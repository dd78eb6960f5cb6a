"""`sam caption`"""

from __future__ import annotations

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import CaptionFlags, spread


@spread
def caption(flags: CaptionFlags) -> ExitCode:
    """Say in a sentence what is heard.

    sam caption recordings/
    sam caption street.flac --segment 10 -o street.srt
    cat talk.mp3 | sam caption - --refine
    """
    from samcli.cli.listen import listen

    return listen("caption", flags)

"""`sam ask`"""

from __future__ import annotations

from typing import Annotated

import typer

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import SpeakFlags, spread
from samcli.errors import UsageError


@spread
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In quotes.", show_default=False)],
    flags: SpeakFlags,
) -> ExitCode:
    """Answer a question about what is heard.

    sam ask "is there a siren?" street.flac
    sam ask "what happens first?" recordings/ -o answers.csv
    sam ask "how many voices?" talk.mp3 --segment 30
    """
    from samcli.cli.listen import listen

    if not question.strip():
        raise UsageError("The question is empty.")
    return listen("ask", flags, question=question)

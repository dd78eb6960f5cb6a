"""`sam ask`"""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import SpeakFlags, spread
from samcli.errors import UsageError


@spread
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="Question, in quotes.", show_default=False)],
    flags: SpeakFlags,
) -> ExitCode:
    """Answer a question about what is heard.

    sam ask "is there a siren?" street.flac
    sam ask "what happens first?" recordings/ -o answers.csv
    sam ask "how many voices?" talk.mp3 --segment 30
    """
    from samcli.cli.listen import listen, names_sounds

    if not question.strip():
        raise UsageError("The question is empty.")
    if not (flags.paths or flags.files_from or flags.files0_from):
        if names_sounds(question):
            raise UsageError(f'The question is missing: sam ask "is there a siren?" {shlex.quote(question)}')
        raise UsageError(f"Say which sounds the question is about: sam ask {shlex.quote(question)} PATHS")
    return listen("ask", flags, question=question)

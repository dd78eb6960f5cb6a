"""`sam caption`, `sam tag` and `sam ask`"""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import CaptionFlags, SpeakFlags, TagFlags, spread
from samcli.cli.listen import listen, names_sounds
from samcli.errors import UsageError


@spread
def caption(flags: CaptionFlags) -> ExitCode:
    """Say in a sentence what is heard.

    sam caption recordings/
    sam caption street.flac --segment 10 -o street.srt
    cat talk.mp3 | sam caption - --refine
    """
    return listen("caption", flags)


@spread
def tag(flags: TagFlags) -> ExitCode:
    """Name the sounds that are heard, with a score for each.

    sam tag recordings/ -o tags.csv
    sam tag *.wav --labels Dog,Siren | awk -F'\\t' '$3 > 0.5'
    sam tag night.flac --timeline -o night.audacity
    """
    return listen("tag", flags)


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
    if not question.strip():
        raise UsageError("The question is empty.")
    if not (flags.paths or flags.files_from or flags.files0_from):
        if names_sounds(question):
            raise UsageError(f'The question is missing: sam ask "is there a siren?" {shlex.quote(question)}')
        raise UsageError(f"Say which sounds the question is about: sam ask {shlex.quote(question)} PATHS")
    return listen("ask", flags, question=question)

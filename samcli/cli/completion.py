"""Completion: what each value may be, and the scripts that ask `sam` for it.

The four scripts speak one protocol: they run `sam` with `_SAM_COMPLETE=complete_fish` (bash and PowerShell have their
own) and get one candidate per line; when there is none, the shell completes names of files. No script knows a command
or an option by itself, so none goes stale. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

import typer

from samcli.cli.output import output
from samcli.errors import UsageError

BASH = """\
# bash completion for sam. Made by `sam completion bash`; source it, or put it at
# /usr/share/bash-completion/completions/sam

_sam_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _SAM_COMPLETE=complete_bash "$1" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]// /\\\\ }")
}

complete -o bashdefault -o default -F _sam_completion sam samcli
"""

ZSH = """\
#compdef sam samcli
# zsh completion for sam. Made by `sam completion zsh`; put it as _sam into a folder of $fpath,
# or source it after compinit.

_sam_completion() {
    local line
    local -a candidates
    for line in "${(@f)$(_TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _TYPER_COMPLETE_FISH_ACTION=get-args \\
            _SAM_COMPLETE=complete_fish ${~words[1]} 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        candidates+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    if (( ${#candidates} )); then
        _describe -V sam candidates
    else
        _files
    fi
}

if [[ ${funcstack[1]} == _sam ]]; then
    _sam_completion "$@"
else
    compdef _sam_completion sam samcli
fi
"""

FISH = """\
# fish completion for sam. Made by `sam completion fish`; put it as sam.fish into ~/.config/fish/completions

function __sam_complete
    set -l words (commandline --tokens-expanded --current-process --cut-at-cursor 2>/dev/null; or commandline -opc)
    set -l program $words[1]
    test -n "$program"; or set program sam
    set -lx _SAM_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION get-args
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    set -l candidates ($program 2>/dev/null)
    if test -n "$candidates[1]"
        printf '%s\\n' $candidates
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command sam --no-files --arguments '(__sam_complete)'
complete --command samcli --no-files --arguments '(__sam_complete)'
"""

POWERSHELL = """\
# PowerShell completion for sam. Made by `sam completion powershell`; run it from your $PROFILE.

Register-ArgumentCompleter -Native -CommandName sam, samcli -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $Env:_SAM_COMPLETE = "complete_powershell"
    $Env:_TYPER_COMPLETE_ARGS = $commandAst.ToString()
    $Env:_TYPER_COMPLETE_WORD_TO_COMPLETE = $wordToComplete
    & $commandAst.CommandElements[0].ToString() 2>$null | ForEach-Object {
        $value, $help = $_ -split ":::", 2
        if (-not $help.Trim()) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $help)
    }
    Remove-Item Env:_SAM_COMPLETE, Env:_TYPER_COMPLETE_ARGS, Env:_TYPER_COMPLETE_WORD_TO_COMPLETE
}
"""

# Shell -> the script, and the name it has in completions/.
SCRIPTS = {
    "bash": (BASH, "sam.bash"),
    "zsh": (ZSH, "_sam"),
    "fish": (FISH, "sam.fish"),
    "powershell": (POWERSHELL, "sam.ps1"),
}


def script(shell: str) -> str:
    """The completion script of a shell."""
    if shell not in SCRIPTS:
        raise UsageError(f"There is no completion for {shell!r}: choose {', '.join(SCRIPTS)}.")
    return SCRIPTS[shell][0]


def completes(names: Iterable[str]) -> Callable[[str], list[str]]:
    """What completes an option that takes one of these names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]

    return complete


ENGINES = ("local", "ray")
DTYPES = ("auto", "float32", "bfloat16", "float16")

complete_device = completes(("auto", "cpu", "cuda", "mps"))
complete_dtype = completes(DTYPES)
complete_engine = completes(ENGINES)


def completion(
    shell: Annotated[str, typer.Argument(help="bash, zsh, fish or powershell.", autocompletion=completes(SCRIPTS))],
) -> None:
    """Print the completion script of a shell.

    source <(sam completion bash)
    sam completion zsh > ~/.zfunc/_sam
    sam completion fish > ~/.config/fish/completions/sam.fish
    """
    output().write(script(shell))


def complete_format(incomplete: str) -> list[str]:
    from samcli.writers.formats import FORMATS

    return completes(FORMATS)(incomplete)


def complete_model(incomplete: str) -> list[str]:
    """Names of the catalogue; what begins like none of them is a folder, and left to the shell."""
    from samcli.checkpoints import catalogue

    return completes((catalogue.DEFAULT, *catalogue.entries()))(incomplete)


def complete_labels(incomplete: str) -> list[str]:
    """Names of sounds, each behind the commas that are there already, in the case that was begun."""
    before, comma, begun = incomplete.rpartition(",")
    given = {name.strip().casefold() for name in before.split(",")}
    names = [name for name in _plain_labels() if name not in given and name.startswith(begun.casefold())]
    return [before + comma + begun + name[len(begun) :] for name in names]


def _plain_labels() -> Iterator[str]:
    """What `--labels` takes without quotes: of "Violin, fiddle" each part that names it by itself."""
    from samcli.text.labels import labels, synonyms

    for label in labels():
        parts = label.split(", ")
        for name in dict.fromkeys(part.casefold() for part in parts):
            if re.fullmatch("[a-z -]+", name) and (len(parts) == 1 or name in synonyms(label)):
                yield name

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
        printf '%s\n' $candidates
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command sam --no-files --arguments '(__sam_complete)'
complete --command samcli --no-files --arguments '(__sam_complete)'

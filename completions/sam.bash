# bash completion for sam. Made by `sam completion bash`; source it, or put it at
# /usr/share/bash-completion/completions/sam

_sam_completion() {
    local IFS=$'\n'
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _SAM_COMPLETE=complete_bash "$1" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]// /\\ }")
}

complete -o bashdefault -o default -F _sam_completion sam samcli

# SPDX-License-Identifier: Apache-2.0
# bash completion of fence (and of docker, where that name is fence's). The candidates come from the
# program's own command tables.
_fence() {
    local IFS=$'\n' words cur
    # names like repo:tag are one word
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local cword
        _get_comp_words_by_ref -n : cur words cword
        words=("${words[@]:1:cword}")
    else
        words=("${COMP_WORDS[@]:1:COMP_CWORD}")
        cur=${COMP_WORDS[COMP_CWORD]}
    fi
    COMPREPLY=($("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null))
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
}
complete -o default -F _fence fence

# gsbatch: its own options, beside what Slurm's completion offers for sbatch.
_gsbatch() {
    local IFS=$'\n' cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} behind_equals="" values=""
    COMPREPLY=()
    # Bash splits "--objective=time" into three.
    if [[ $cur == "=" ]]; then
        behind_equals=yes cur=""
    elif [[ $prev == "=" ]]; then
        behind_equals=yes prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case $prev in
@CASES@
    esac
    if [[ -n $values ]]; then
        COMPREPLY=($(compgen -W "${values// /$IFS}" -- "$cur"))
        [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2> /dev/null
        return 0
    fi
    if ! declare -F _sbatch > /dev/null; then
        if declare -F _comp_load > /dev/null; then
            _comp_load sbatch
        elif declare -F _completion_loader > /dev/null; then
            _completion_loader sbatch
        fi
    fi > /dev/null 2>&1
    if declare -F _sbatch > /dev/null; then
        IFS=$' \t\n' _sbatch 2> /dev/null
    elif [[ $cur == -* ]]; then
        values="@SBATCH_OPTIONS@"
        COMPREPLY=($(compgen -W "${values// /$IFS}" -- "$cur"))
    fi
    if [[ $cur == -* ]]; then
        values="@OWN_OPTIONS@"
        COMPREPLY+=($(compgen -W "${values// /$IFS}" -- "$cur"))
    elif [[ ${#COMPREPLY[@]} -eq 0 ]]; then
        compopt -o filenames 2> /dev/null
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}
complete -F _gsbatch gsbatch

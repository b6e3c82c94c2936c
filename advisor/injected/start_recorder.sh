# Bash reads this file before a batch script that gsbatch submitted (BASH_ENV in bash(1)): it starts the script once more,
# under the recorder. Nothing that it sets is left, and nothing is printed under "bash -x".
{
    if [ -n "${GSBATCH_BASH_ENV-}" ]; then BASH_ENV=$GSBATCH_BASH_ENV; else unset BASH_ENV; fi
    gsbatch_recorder=${GSBATCH_RECORDER-}
    unset GSBATCH_BASH_ENV GSBATCH_RECORDER
    if [ -n "$gsbatch_recorder" ]; then
        shopt -s execfail
        eval "exec $gsbatch_recorder"' "$0" "$@" 2>&9 9>&-' || :
        shopt -u execfail
    fi
    unset gsbatch_recorder
} 9>&2 2>/dev/null
if [ -n "${BASH_ENV-}" ]; then . "$BASH_ENV"; fi

#compdef jobletctl
# Completion of jobletctl for zsh.
# MADE

# The first word of each line of a list is an id, the rest tells the jobs apart; the state selects the jobs
# that a verb can be used on. `host` has the options that choose whom to ask.
_jobletctl_jobs() {
    local -a jobs_here
    jobs_here=("${(@f)$(jobletctl "${(@)host}" job list --limit=JOBS_OFFERED "$@" 2>/dev/null |
        awk 'NR > 1 { id = $1; $1 = ""; print id ":" $0 }')}")
    (( ${#jobs_here[1]} )) && _describe -V job jobs_here
}

# FUNCTIONS

_jobletctl "$@"

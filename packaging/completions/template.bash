# Completion of jobletctl for bash.
# MADE

# Each takes what has been typed, as in `job run`, and tells: the words that may follow; the options; how
# the value of an option is completed; how an argument is.
# CASES

# The first word of each line of a list is an id; the state selects the jobs that a verb can be used on.
# `host` has the options that choose whom to ask.
_jobletctl_jobs() {
    jobletctl "${host[@]}" job list --limit=JOBS_OFFERED "$@" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# $1: how, $2: what is there of the word
_jobletctl_offer() {
    local how=$1 cur=$2
    case $how in
        words\ *) mapfile -t COMPREPLY < <(compgen -W "${how#words }" -- "$cur") ;;
        jobs*)
            # shellcheck disable=SC2086 # options, one each
            mapfile -t COMPREPLY < <(compgen -W "$(_jobletctl_jobs ${how#jobs})" -- "$cur")
            ;;
        variable) mapfile -t COMPREPLY < <(compgen -e -- "$cur") ;;
        directory) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        file) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    esac
}

_jobletctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} path='' option='' command=0 i word how
    local -a host=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [ -n "$option" ]; then
            # bash makes a word of the = in --option=value
            [ "$word" = = ] && continue
            case $option in -H | --node | --config) host+=("$option" "$word") ;; esac
            option=''
        elif [[ $word == -* ]]; then
            [ "$word" = -- ] && command=$((i + 1)) && break
            _jobletctl_valued "${path:+$path }$word" >/dev/null && option=$word
        elif [[ " $(_jobletctl_words "$path") " == *" $word "* ]]; then
            path=${path:+$path }$word
        elif [ "$(_jobletctl_argument "$path")" = command ]; then
            command=$i
            break
        fi
    done
    if ((command)); then
        # The rest belongs to the command.
        if ((command < COMP_CWORD)) && declare -F _command_offset >/dev/null; then
            _command_offset "$command"
        elif ((command < COMP_CWORD)); then
            _jobletctl_offer file "$cur"
        else
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        fi
        return
    fi
    if [ -n "$option" ]; then
        [ "$cur" = = ] && cur=''
        _jobletctl_offer "$(_jobletctl_valued "${path:+$path }$option")" "$cur"
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_jobletctl_options "$path")" -- "$cur")
    elif how=$(_jobletctl_words "$path"); then
        _jobletctl_offer "words $how" "$cur"
    elif how=$(_jobletctl_argument "$path"); then
        if [ "$how" = command ]; then
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        else
            _jobletctl_offer "$how" "$cur"
        fi
    fi
}

complete -F _jobletctl jobletctl

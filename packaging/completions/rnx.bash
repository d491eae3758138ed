# Completion of rnx for bash.
# Made by packaging/pages from the commands themselves; `make man` makes it anew.

# Each takes what has been typed, as in `job run`, and tells: the words that may follow; the options; how
# the value of an option is completed; how an argument is.
_rnx_words() {
    case $1 in
        '')
            echo 'job events top monitor nodes version help config-help' ;;
        'job')
            echo 'cancel cp delete delete-all inspect list log metrics run status stop update wait' ;;
        'monitor')
            echo 'status top watch' ;;
        *) return 1 ;;
    esac
}

_rnx_options() {
    case $1 in
        '')
            echo '-v --version --json -H --node --config -h --help' ;;
        'job' | 'job cancel' | 'job cp' | 'job delete' | 'monitor' | 'nodes' | 'version')
            echo '--json -h --help' ;;
        'job delete-all')
            echo '--all-users --json -h --help' ;;
        'job inspect' | 'job status' | 'monitor status' | 'config-help')
            echo '--no-pager --json -h --help' ;;
        'job list')
            echo '--all --state --mine --filter --sort --wide --limit -w --watch --no-pager --json -h --help' ;;
        'job log')
            echo '--follow -f --no-follow --tail --since --stream -t --timestamps --json -h --help' ;;
        'job metrics')
            echo '-f --follow --history --since --no-pager --json -h --help' ;;
        'job run')
            echo '-d --detach --wait -f --follow --rm --dry-run --name -e --env --env-file --secret-env --secret-env-file --upload --upload-dir --output --schedule --max-cpu --cpu-weight --cpu-cores --max-memory --max-io --max-iobps --max-iops --io-weight --max-tasks --timeout --stop-grace --max-work --max-tmp --max-shm --user --network --init --json -h --help' ;;
        'job stop')
            echo '--no-wait --json -h --help' ;;
        'job update')
            echo '--max-cpu --cpu-weight --cpu-cores --max-memory --max-io --max-iobps --max-iops --io-weight --max-tasks --json -h --help' ;;
        'job wait')
            echo '--timeout --json -h --help' ;;
        'events')
            echo '-n --count --json -h --help' ;;
        'top')
            echo '--interval -n --count --sort --wide --json -h --help' ;;
        'monitor top')
            echo '--filter --json -h --help' ;;
        'monitor watch')
            echo '--interval -n --count --filter --compact --json -h --help' ;;
        'help')
            echo '--no-pager -h --help' ;;
        *) return 1 ;;
    esac
}

_rnx_valued() {
    case $1 in
        '-H' | '--node' | 'job list --filter' | 'job list --sort' | 'job list --limit' | 'job log --tail' | 'job log --since' | 'job metrics --since' | 'job run --name' | 'job run --schedule' | 'job run --max-cpu' | 'job run --cpu-weight' | 'job run --cpu-cores' | 'job run --max-memory' | 'job run --max-io' | 'job run --max-iobps' | 'job run --max-iops' | 'job run --io-weight' | 'job run --max-tasks' | 'job run --timeout' | 'job run --stop-grace' | 'job run --max-work' | 'job run --max-tmp' | 'job run --max-shm' | 'job run --user' | 'job update --max-cpu' | 'job update --cpu-weight' | 'job update --cpu-cores' | 'job update --max-memory' | 'job update --max-io' | 'job update --max-iobps' | 'job update --max-iops' | 'job update --io-weight' | 'job update --max-tasks' | 'job wait --timeout' | 'events -n' | 'events --count' | 'top --interval' | 'top -n' | 'top --count' | 'monitor top --filter' | 'monitor watch --interval' | 'monitor watch -n' | 'monitor watch --count' | 'monitor watch --filter')
            echo 'nothing' ;;
        '--config' | 'job run --env-file' | 'job run --secret-env-file' | 'job run --upload' | 'job run --output')
            echo 'file' ;;
        'job list --state')
            echo 'words PENDING SCHEDULED INITIALIZING RUNNING COMPLETED FAILED STOPPED CANCELED TIMEOUT' ;;
        'job log --stream')
            echo 'words stdout stderr' ;;
        'job run -e' | 'job run --env' | 'job run --secret-env')
            echo 'variable' ;;
        'job run --upload-dir')
            echo 'directory' ;;
        'job run --network')
            echo 'words none' ;;
        'top --sort')
            echo 'words cpu memory tasks read written time name owner' ;;
        *) return 1 ;;
    esac
}

_rnx_argument() {
    case $1 in
        'job cancel')
            echo 'jobs --state=PENDING --state=SCHEDULED' ;;
        'job cp')
            echo 'file' ;;
        'job delete')
            echo 'jobs --state=COMPLETED --state=FAILED --state=STOPPED --state=CANCELED --state=TIMEOUT' ;;
        'job inspect' | 'job log' | 'job metrics' | 'job status' | 'job update')
            echo 'jobs' ;;
        'job run')
            echo 'command' ;;
        'job stop' | 'job wait')
            echo 'jobs --state=PENDING --state=SCHEDULED --state=INITIALIZING --state=RUNNING' ;;
        'help')
            echo 'nothing' ;;
        *) return 1 ;;
    esac
}

# The first word of each line of a list is an id; the state selects the jobs that a verb can be used on.
# `host` has the options that choose whom to ask.
_rnx_jobs() {
    rnx "${host[@]}" job list --limit=200 "$@" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# $1: how, $2: what is there of the word
_rnx_offer() {
    local how=$1 cur=$2
    case $how in
        words\ *) mapfile -t COMPREPLY < <(compgen -W "${how#words }" -- "$cur") ;;
        jobs*)
            # shellcheck disable=SC2086 # options, one each
            mapfile -t COMPREPLY < <(compgen -W "$(_rnx_jobs ${how#jobs})" -- "$cur")
            ;;
        variable) mapfile -t COMPREPLY < <(compgen -e -- "$cur") ;;
        directory) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        file) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    esac
}

_rnx() {
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
            _rnx_valued "${path:+$path }$word" >/dev/null && option=$word
        elif [[ " $(_rnx_words "$path") " == *" $word "* ]]; then
            path=${path:+$path }$word
        elif [ "$(_rnx_argument "$path")" = command ]; then
            command=$i
            break
        fi
    done
    if ((command)); then
        # The rest belongs to the command.
        if ((command < COMP_CWORD)) && declare -F _command_offset >/dev/null; then
            _command_offset "$command"
        elif ((command < COMP_CWORD)); then
            _rnx_offer file "$cur"
        else
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        fi
        return
    fi
    if [ -n "$option" ]; then
        [ "$cur" = = ] && cur=''
        _rnx_offer "$(_rnx_valued "${path:+$path }$option")" "$cur"
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_rnx_options "$path")" -- "$cur")
    elif how=$(_rnx_words "$path"); then
        _rnx_offer "words $how" "$cur"
    elif how=$(_rnx_argument "$path"); then
        if [ "$how" = command ]; then
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        else
            _rnx_offer "$how" "$cur"
        fi
    fi
}

complete -F _rnx rnx

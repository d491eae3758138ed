#compdef rnx
# Completion of rnx for zsh.
# Made by packaging/pages from the commands themselves; `make man` makes it anew.

# The first word of each line of a list is an id, the rest tells the jobs apart; the state selects the jobs
# that a verb can be used on. `host` has the options that choose whom to ask.
_rnx_jobs() {
    local -a jobs_here
    jobs_here=("${(@f)$(rnx "${(@)host}" job list --limit=200 "$@" 2>/dev/null |
        awk 'NR > 1 { id = $1; $1 = ""; print id ":" $0 }')}")
    (( ${#jobs_here[1]} )) && _describe -V job jobs_here
}

_rnx() {
    local curcontext="$curcontext" state line
    local -a words_here
    local -a host=()
    local chosen
    _arguments -s -S -C \
        '(-v --version)-v[Show the version of this program]' \
        '(-v --version)--version[Show the version of this program]' \
        '(--json)--json[Print results as JSON]' \
        '(-H --node)-H+[Ask this node of the file of nodes (rnx-config.yml), over the network]:NODE: ' \
        '(-H --node)--node=[Ask this node of the file of nodes (rnx-config.yml), over the network]:NODE: ' \
        '(--config)--config=[The file of nodes]:FILE:_files' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '1: :->word' \
        '*:: :->rest'
    case $state in
    word)
        words_here=(
            'job:Run commands as jobs, watch and end them'
            'events:Print what happens to the jobs of this host, from now on until Ctrl-C'
            'top:Show what running jobs use, until Ctrl-C or q\: CPU, memory, tasks, disk'
            'monitor:Show the state of the host\: CPU, memory, disks, network, processes'
            'nodes:Show the hosts that jobs can be run on\: this one, and those of the file of nodes'
            'version:Show the versions of this client and of the daemon'
            'help:Show the help of a command, such as that of '\''job run'\'''
            'config-help:Show where settings are, and which variables count'
        )
        _describe command words_here ;;
    rest)
        for chosen in -H --node --config; do
            (( ${+opt_args[$chosen]} )) &&
                host+=("$chosen" "${(Q)opt_args[$chosen]}")
        done
        case $words[1] in
        job) _rnx_job ;;
        events) _rnx_events ;;
        top) _rnx_top ;;
        monitor) _rnx_monitor ;;
        nodes) _rnx_nodes ;;
        version) _rnx_version ;;
        help) _rnx_help ;;
        config-help) _rnx_config_help ;;
        esac ;;
    esac
}

_rnx_job() {
    local curcontext="$curcontext" state line
    local -a words_here
    _arguments -s -S -C \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '1: :->word' \
        '*:: :->rest'
    case $state in
    word)
        words_here=(
            'cancel:Give up jobs that have not started'
            'cp:Copy a file or directory out of a job'\''s /work'
            'delete:Remove ended jobs with their logs and work directories'
            'delete-all:Remove all ended jobs of the calling user'
            'inspect:Print everything that is known of jobs, as a JSON array'
            'list:List jobs, the newest first'
            'log:Print the output of a job\: its stdout to stdout, its stderr to stderr'
            'metrics:Show what a job used from its start on\: CPU, memory, disk, tasks'
            'run:Submit a command as a job and print the job'\''s id'
            'status:Show what is known of a job'
            'stop:End jobs\: SIGTERM, then SIGKILL after their grace'
            'update:Give jobs that have not ended other limits'
            'wait:Wait for the end of jobs'
        )
        _describe command words_here ;;
    rest)
        case $words[1] in
        cancel) _rnx_job_cancel ;;
        cp) _rnx_job_cp ;;
        delete) _rnx_job_delete ;;
        delete-all) _rnx_job_delete_all ;;
        inspect) _rnx_job_inspect ;;
        list) _rnx_job_list ;;
        log) _rnx_job_log ;;
        metrics) _rnx_job_metrics ;;
        run) _rnx_job_run ;;
        status) _rnx_job_status ;;
        stop) _rnx_job_stop ;;
        update) _rnx_job_update ;;
        wait) _rnx_job_wait ;;
        esac ;;
    esac
}

_rnx_job_cancel() {
    _arguments -s -S \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '*: :_rnx_jobs --state=PENDING --state=SCHEDULED'
}

_rnx_job_cp() {
    _arguments -s -S \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '1: :_files' \
        '2: :_files'
}

_rnx_job_delete() {
    _arguments -s -S \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '*: :_rnx_jobs --state=COMPLETED --state=FAILED --state=STOPPED --state=CANCELED --state=TIMEOUT'
}

_rnx_job_delete_all() {
    _arguments -s -S \
        '(--all-users)--all-users[Also the jobs of other users]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_job_inspect() {
    _arguments -s -S \
        '(--no-pager)--no-pager[Print what is longer than the terminal as it is, without $PAGER]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '*: :_rnx_jobs'
}

_rnx_job_list() {
    _arguments -s -S \
        '(--all)--all[All jobs, however many there are]' \
        '*--state=[Only jobs in this state, such as running or failed]:STATE:(PENDING SCHEDULED INITIALIZING RUNNING COMPLETED FAILED STOPPED CANCELED TIMEOUT)' \
        '(--mine)--mine[Only jobs of the calling user]' \
        '*--filter=[Only jobs of which this is true]:KEY=VALUE: ' \
        '(--sort)--sort=[Order by submitted, start, end, duration, name, state, owner, exit-code, queued, cpu, memory, read, written]:KEY: ' \
        '(--wide)--wide[Also time in the queue, what was used, and the reason]' \
        '(--limit)--limit=[At most so many jobs]:N: ' \
        '(-w --watch)-w[Show the list again when something changes, until Ctrl-C or q]' \
        '(-w --watch)--watch[Show the list again when something changes, until Ctrl-C or q]' \
        '(--no-pager)--no-pager[Print what is longer than the terminal as it is, without $PAGER]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_job_log() {
    _arguments -s -S \
        '(--follow -f --no-follow)--follow[Go on until the job has ended (the default), or print what is there]' \
        '(--follow -f --no-follow)-f[Go on until the job has ended (the default), or print what is there]' \
        '(--follow -f --no-follow)--no-follow[Go on until the job has ended (the default), or print what is there]' \
        '(--tail)--tail=[Only the last so many lines]:N: ' \
        '(--since)--since=[Only what came after a time, or in the last 10m]:TIME: ' \
        '(--stream)--stream=[Only one of the streams]:STREAM:(stdout stderr)' \
        '(-t --timestamps)-t[Put the time before each line]' \
        '(-t --timestamps)--timestamps[Put the time before each line]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '1: :_rnx_jobs'
}

_rnx_job_metrics() {
    _arguments -s -S \
        '(-f --follow)-f[Go on until the job has ended, or Ctrl-C or q]' \
        '(-f --follow)--follow[Go on until the job has ended, or Ctrl-C or q]' \
        '(--history)--history[A row for each sample]' \
        '(--since)--since=[Only samples since then\: a time, or a duration ago (10m)]:TIME: ' \
        '(--no-pager)--no-pager[Print what is longer than the terminal as it is, without $PAGER]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '1: :_rnx_jobs'
}

_rnx_job_run() {
    _arguments -s -S \
        '(-d --detach)-d[Print the id and do not wait]' \
        '(-d --detach)--detach[Print the id and do not wait]' \
        '(--wait)--wait[Wait for the end]' \
        '(-f --follow)-f[Show the output as it comes, and wait as --wait does]' \
        '(-f --follow)--follow[Show the output as it comes, and wait as --wait does]' \
        '(--rm)--rm[Delete the job, its log and its files after its end]' \
        '(--dry-run)--dry-run[Run nothing\: show the properties of the scope and what would be done, in words]' \
        '(--name)--name=[A name for people]:NAME: ' \
        '*-e+[A variable for the job]:NAME\[=VALUE:_parameters -g "*export*"' \
        '*--env=[A variable for the job]:NAME\[=VALUE:_parameters -g "*export*"' \
        '*--env-file=[Variables from a file, NAME=VALUE or NAME a line, '\''#'\'' for a comment]:FILE:_files' \
        '*--secret-env=[A variable whose value is shown nowhere]:NAME\[=VALUE:_parameters -g "*export*"' \
        '*--secret-env-file=[Such variables from a file, as for --env-file]:FILE:_files' \
        '*--upload=[Copy a file into /work before the job starts, under its own name]:FILE:_files' \
        '*--upload-dir=[Copy what a directory holds into /work before the job starts]:DIR:_files -/' \
        '*--output=[With --wait or --follow\: copy a file or directory of /work here, as '\''job cp'\'' does, when the job has ended]:PATH\[\:DEST:_files' \
        '(--schedule)--schedule=[Start later\: after a duration (1h30m, 2d), or at a time, either RFC 3339 with its zone or '\''YYYY-MM-DD HH\:MM\[\:SS\]'\'' in local time]:WHEN: ' \
        '(--max-cpu)--max-cpu=[CPU time in percent\: 100 is one whole CPU, 250 two and a half]:PERCENT: ' \
        '(--cpu-weight)--cpu-weight=[Share where CPUs are short\: 1 to 10000, and 100 is normal]:N: ' \
        '(--cpu-cores)--cpu-cores=[CPUs to run on, such as 0-3,5]:CPUS: ' \
        '(--max-memory)--max-memory=[Memory, such as 512M or 2G]:SIZE: ' \
        '(--max-io --max-iobps)--max-io=[Bytes per second from disk, and as many to disk, such as 2M]:SIZE: ' \
        '(--max-io --max-iobps)--max-iobps=[Bytes per second from disk, and as many to disk, such as 2M]:SIZE: ' \
        '(--max-iops)--max-iops=[Operations per second, reads and writes each]:N: ' \
        '(--io-weight)--io-weight=[Share where the disk is busy\: 1 to 10000, and 100 is normal]:N: ' \
        '(--max-tasks)--max-tasks=[Processes and threads]:N: ' \
        '(--timeout)--timeout=[End the job when it has run so long\: 90s, 1h30m, 2d]:DURATION: ' \
        '(--stop-grace)--stop-grace=[Time between the request to end (SIGTERM) and the kill (SIGKILL)]:DURATION: ' \
        '(--max-work)--max-work=[Size of /work, on disk]:SIZE: ' \
        '(--max-tmp)--max-tmp=[Size of /tmp]:SIZE: ' \
        '(--max-shm)--max-shm=[Size of /dev/shm]:SIZE: ' \
        '(--user)--user=[The uid inside the job, 0 to 65535]:N: ' \
        '(--network)--network=[The job'\''s network]:NETWORK:(none)' \
        '(--init)--init[Put a small PID 1 in front that reaps children]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '(-)1: :_command_names -e' \
        '*:: :_normal'
}

_rnx_job_status() {
    _arguments -s -S \
        '(--no-pager)--no-pager[Print what is longer than the terminal as it is, without $PAGER]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '1: :_rnx_jobs'
}

_rnx_job_stop() {
    _arguments -s -S \
        '(--no-wait)--no-wait[Do not wait for the end of the jobs]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '*: :_rnx_jobs --state=PENDING --state=SCHEDULED --state=INITIALIZING --state=RUNNING'
}

_rnx_job_update() {
    _arguments -s -S \
        '(--max-cpu)--max-cpu=[CPU time in percent\: 100 is one whole CPU, 250 two and a half]:PERCENT: ' \
        '(--cpu-weight)--cpu-weight=[Share where CPUs are short\: 1 to 10000, and 100 is normal]:N: ' \
        '(--cpu-cores)--cpu-cores=[CPUs to run on, such as 0-3,5]:CPUS: ' \
        '(--max-memory)--max-memory=[Memory, such as 512M or 2G]:SIZE: ' \
        '(--max-io --max-iobps)--max-io=[Bytes per second from disk, and as many to disk, such as 2M]:SIZE: ' \
        '(--max-io --max-iobps)--max-iobps=[Bytes per second from disk, and as many to disk, such as 2M]:SIZE: ' \
        '(--max-iops)--max-iops=[Operations per second, reads and writes each]:N: ' \
        '(--io-weight)--io-weight=[Share where the disk is busy\: 1 to 10000, and 100 is normal]:N: ' \
        '(--max-tasks)--max-tasks=[Processes and threads]:N: ' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '*: :_rnx_jobs'
}

_rnx_job_wait() {
    _arguments -s -S \
        '(--timeout)--timeout=[Give up after this time]:DURATION: ' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '*: :_rnx_jobs --state=PENDING --state=SCHEDULED --state=INITIALIZING --state=RUNNING'
}

_rnx_events() {
    _arguments -s -S \
        '(-n --count)-n+[End after so many events]:N: ' \
        '(-n --count)--count=[End after so many events]:N: ' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_top() {
    _arguments -s -S \
        '(--interval)--interval=[Time between two pictures]:DURATION: ' \
        '(-n --count)-n+[End after so many pictures]:N: ' \
        '(-n --count)--count=[End after so many pictures]:N: ' \
        '(--sort)--sort=[What to order by]:SORT:(cpu memory tasks read written time name owner)' \
        '(--wide)--wide[Also name, owner, CPU time and limits]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_monitor() {
    local curcontext="$curcontext" state line
    local -a words_here
    _arguments -s -S -C \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '1: :->word' \
        '*:: :->rest'
    case $state in
    word)
        words_here=(
            'status:Show everything that is known of the host'
            'top:Show the host in short, with its busiest processes, once'
            'watch:Show the host in short, live, until Ctrl-C or q'
        )
        _describe command words_here ;;
    rest)
        case $words[1] in
        status) _rnx_monitor_status ;;
        top) _rnx_monitor_top ;;
        watch) _rnx_monitor_watch ;;
        esac ;;
    esac
}

_rnx_monitor_status() {
    _arguments -s -S \
        '(--no-pager)--no-pager[Print what is longer than the terminal as it is, without $PAGER]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_monitor_top() {
    _arguments -s -S \
        '*--filter=[Only these, with commas between them or the option again\: cpu, memory, disk, network, io, process]:GROUPS: ' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_monitor_watch() {
    _arguments -s -S \
        '(--interval)--interval=[Time between two pictures, at least 1s]:DURATION: ' \
        '(-n --count)-n+[End after so many pictures]:N: ' \
        '(-n --count)--count=[End after so many pictures]:N: ' \
        '*--filter=[Only these, with commas between them or the option again\: cpu, memory, disk, network, io, process]:GROUPS: ' \
        '(--compact)--compact[All interfaces in one line]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_nodes() {
    _arguments -s -S \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_version() {
    _arguments -s -S \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx_help() {
    _arguments -s -S \
        '(--no-pager)--no-pager[Print what is longer than the terminal as it is, without $PAGER]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]' \
        '*: : '
}

_rnx_config_help() {
    _arguments -s -S \
        '(--no-pager)--no-pager[Print what is longer than the terminal as it is, without $PAGER]' \
        '(--json)--json[Print results as JSON]' \
        '(-h --help)-h[Show this message and exit]' \
        '(-h --help)--help[Show this message and exit]'
}

_rnx "$@"

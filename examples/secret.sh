#!/bin/sh
# Gives a job a password that no list, log, unit or file of this host shows.
#
#     examples/secret.sh <FILE            FILE: NAME=VALUE lines, as for docker's --env-file
#
# Values come through standard input: on a command line every user of this host could read them.
set -eu

jobletctl job run --name secret --follow --secret-env-file - -- \
    sh -c 'echo "the password has ${#PASSWORD} characters"'
# What anybody with the rights to see the job sees of it:
jobletctl job list --mine --limit 1 --json | grep PASSWORD

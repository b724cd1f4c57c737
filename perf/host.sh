#!/usr/bin/env bash
# host.sh [SECONDS] [ROUNDS]: what being watched costs the host. 64-byte frames come in over a veth pair as
# fast as one core makes and takes them (FLOWS="1 1000"), in turns with no monitor, with --capture af-packet
# and with --capture bpf (METHODS="af-packet bpf"; af-xdp takes the frames away); the monitor runs on another
# core.
#
# host   ns a frame on the core that makes and takes them: all of the kernel's work, the monitor's hooks
#        included; "added" is the difference to no monitor
# user   ns a frame of the monitor's own threads, user and kernel time
# bpf    ns a run of the program, as the kernel counts it (kernel.bpf_stats_enabled), in a run of its own
#
# CHURN=K ends each flow with a RST after K segments of TCP, and begins another one: "short" connections.
#
# The traffic stays between this machine's main namespace and one made for it, and both are removed
# at the end.
source "$(dirname "$0")/lib.sh"
arguments=$*
seconds=${1:-5}
rounds=${2:-3}
flows=${FLOWS:-1 1000}
methods=${METHODS:-af-packet bpf}

work_directory
veth_rig
program
export PUT_TTY=0 PUT_WARM=1 DRAIN=1
begin_record host
# once METHOD FLOWS: a row of rate.py; "none" is a program that does nothing.
once() {
    if [ "$1" = none ]; then
        PUT_NAME=none PUT_CMD="sleep 1000" PUT_DONE='no such text (\d+)' python3 "$measure/rate.py" once 0 60 "$2" "$seconds" "${CHURN:+-T -c $CHURN}"
    else
        local take=
        [ "$1" != af-xdp ] || take=--af-xdp-take-traffic
        PUT_NAME=$1 PUT_CMD="$rustnet -i {if} --capture $1 $take --headless --output json > {dir}/out.json" \
            PUT_DONE='"type":"summary","packets":(\d+)' PUT_DROPS='"lost":(\d+)' \
            python3 "$measure/rate.py" once 0 60 "$2" "$seconds" "${CHURN:+-T -c $CHURN}"
    fi
}
for n in $flows; do
    for round in $(seq "$rounds"); do
        for method in none $methods; do
            once "$method" "$n"
        done
    done
done | tee "$work/rows.json" | python3 "$perf/host_row.py"

stats=/proc/sys/kernel/bpf_stats_enabled
if [[ " $methods " == *" bpf "* ]]; then
    at_exit "echo $(cat $stats) >$stats"
    echo 1 >$stats
    for n in $flows; do
        once bpf "$n" >/dev/null &
        load=$!
        sleep $((1 + seconds / 2))
        python3 "$perf/bpf_stats.py" "$rustnet" "$n"
        # (Not for the record's own process.)
        wait "$load"
    done
fi
echo "record: $record" >&2

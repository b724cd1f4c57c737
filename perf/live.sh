#!/usr/bin/env bash
# live.sh [SECONDS]: what rustnet keeps up with on a veth pair, on one core: frames lost, CPU time in
# user space per packet, and memory, at RATE packets per second (700000) of 64-byte frames over 1,
# 1,000, 100,000 and 1,000,000 flows (FLOWS="..."), without a screen and with one, and beside it what
# tcpdump -w /dev/null keeps of the same. RATE=0 is what the generator is able to make. METHOD: the way of capture (auto).
#
# The traffic stays between this machine's main namespace and one made for it, and both are removed
# at the end.
source "$(dirname "$0")/lib.sh"
arguments=$*
seconds=${1:-20}
rate=${RATE:-700000}
flows=${FLOWS:-1 1000 100000 1000000}
method=${METHOD:-auto}

work_directory
need script tcpdump
veth_rig
program

begin_record live
row() {
    python3 "$measure/rate.py" once "$rate" 60 "$1" "$seconds"
}
for n in $flows; do
    PUT_NAME=headless PUT_TTY=0 PUT_CMD="$rustnet -i {if} --capture $method --headless --output json > {dir}/out.json" \
        PUT_DONE='"type":"summary","packets":(\d+)' PUT_DROPS='"lost":(\d+)' row "$n" |
        python3 "$perf/live_row.py" "$measure"
    # The screen's own head says what was lost; nothing else is asked for a count, which would
    # reset the kernel's.
    PUT_NAME=screen PUT_TTY=1 PUT_QUIT=qq PUT_DONE='no such text (\d+)' KEEP=1 \
        PUT_CMD="script -qfc '$rustnet -i {if} --capture $method' {dir}/screen" row "$n" |
        python3 "$perf/live_row.py" "$measure"
    PUT_NAME=tcpdump PUT_TTY=0 PUT_CMD="tcpdump -i {if} -w /dev/null 2> {dir}/out" \
        PUT_DONE='(\d+) packets? captured' PUT_DROPS='(\d+) packets? dropped by kernel' row "$n" |
        python3 "$perf/live_row.py" "$measure"
done
echo "record: $record" >&2

#!/usr/bin/env bash
# live.sh [SECONDS]: what rustnet keeps up with on a veth pair, on one core: frames lost, CPU time in
# user space per packet, and memory, at RATE packets per second (700000) of 64-byte frames over 1,
# 1,000, 100,000 and 1,000,000 flows (FLOWS="..."), without a screen and with one.
#
# The traffic stays between this machine's main namespace and one made for it, and both are removed
# at the end.
source "$(dirname "$0")/lib.sh"
arguments=$*
seconds=${1:-20}
rate=${RATE:-700000}
flows=${FLOWS:-1 1000 100000 1000000}

need_root
need python3 ip ethtool clang cc script taskset
measure=$shared/measure
[ -e "$measure/rate.py" ] || skip "$measure/rate.py is not there (set RUSTNET_SHARED)"
work_directory
program

make -s -C "$measure/gen" OUT="$work" >&2 || skip "the traffic generator could not be built (needs libbpf)"

# Load goes from rnpB in its own namespace to rnpA; GRO on makes both ends poll like a NIC.
at_exit 'ip netns del rnp 2>/dev/null; ip link del rnpA 2>/dev/null; true'
ip netns del rnp 2>/dev/null || true
ip link del rnpA 2>/dev/null || true
ip netns add rnp
ip link add rnpA type veth peer name rnpB netns rnp
ip addr add 10.98.7.1/24 dev rnpA
ip -n rnp addr add 10.98.7.2/24 dev rnpB
ip link set rnpA up
ip -n rnp link set rnpB up
ethtool -K rnpA gro on
ip netns exec rnp ethtool -K rnpB gro on

export M_NS=rnp M_IF=rnpA M_PEER=rnpB M_IP=10.98.7.1 M_TMP=$work PKTGEN=$work/pktgen BENCH_HOLD=600
begin_record live
row() {
    python3 "$measure/rate.py" once "$rate" 60 "$1" "$seconds"
}
for n in $flows; do
    PUT_NAME=headless PUT_TTY=0 PUT_CMD="$rustnet -i {if} --headless --output json > {dir}/out.json" \
        PUT_DONE='"type":"summary","packets":(\d+)' PUT_DROPS='"lost":(\d+)' row "$n" |
        python3 "$perf/live_row.py" "$measure"
    # The screen's own head says what was lost; nothing else is asked for a count, which would
    # reset the kernel's.
    PUT_NAME=screen PUT_TTY=1 PUT_QUIT=qq PUT_DONE='no such text (\d+)' KEEP=1 \
        PUT_CMD="script -qfc '$rustnet -i {if}' {dir}/screen" row "$n" |
        python3 "$perf/live_row.py" "$measure"
done
echo "record: $record" >&2

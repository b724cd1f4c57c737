#!/usr/bin/env bash
# idle.sh [SECONDS]: what rustnet takes of a core while nothing happens, on a host with SOCKETS=10000 open sockets
# (half TCP, half UDP, in PROCESSES=100 processes): headless and with a screen of 200 x 50, for each way of capture
# (METHODS="af-packet bpf"). "by ticks" is user and system time as ps(1) counts it; the other figure is exact.
#
# Sockets and program live in a namespace made for it, which is removed at the end.
source "$(dirname "$0")/lib.sh"
arguments=$*
seconds=${1:-30}
sockets=${SOCKETS:-10000}
processes=${PROCESSES:-100}

work_directory
need_root
need python3 ip
program
ns=rnp-idle
at_exit "ip netns del $ns 2>/dev/null || true"
ip netns add $ns
ip -n $ns link set lo up
ip -n $ns link add rnpi0 type veth peer name rnpi1
ip -n $ns addr add 10.98.8.1/24 dev rnpi0
ip -n $ns link set rnpi0 up
ip -n $ns link set rnpi1 up

begin_record idle
ulimit -n 65536 2>/dev/null || true
: >"$work/held"
setsid ip netns exec $ns python3 "$perf/idle.py" hold "$sockets" "$processes" >"$work/held" &
held=$!
at_exit "kill -- -$held 2>/dev/null || true"
while [ "$(wc -c <"$work/held")" -lt "$processes" ]; do
    kill -0 $held 2>/dev/null || { echo "the sockets could not be opened" >&2; exit 1; }
    sleep 0.2
done
for method in ${METHODS:-af-packet bpf}; do
    ip netns exec $ns python3 "$perf/idle.py" measure "$method headless" "$seconds" \
        sh -c "exec '$rustnet' -i rnpi0 --capture $method --headless --output json >'$work/out'"
    ip netns exec $ns python3 "$perf/idle.py" measure "$method screen" "$seconds" \
        "$rustnet" -i rnpi0 --capture "$method"
done
echo "record: $record" >&2

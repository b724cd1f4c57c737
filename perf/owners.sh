#!/usr/bin/env bash
# Owners of connections, measured: sudo -E perf/owners.sh [attrib|open|cost] ...
#
#   attrib  share of short connections that are attributed to the right process, by life time, with BPF and
#           without (LIVES="1,10,100,1000", COUNT=50 of each, RATE=40 starts a second). Needs attrib.py of the
#           shared measurements (RUSTNET_SHARED, default ../shared).
#   open    SOCKETS=100000 open sockets in PROCESSES=200 processes: how long the first pass takes
#   cost    ns of a TCP connect and of a UDP send, with and without rustnet
#
# Everything stays on a veth pair between this namespace and one of its own, which go at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${RUSTNET_SHARED:-../shared}
rustnet=${RUSTNET:-$PWD/target/release/rustnet}
ns=owners-perf
work=$(mktemp -d)
trap 'ip netns del $ns 2>/dev/null || true; rm -rf "$work"' EXIT

network() {
    ip netns add $ns
    ip link add ownp0 type veth peer name ownp1 netns $ns
    ip addr add 10.97.7.1/24 dev ownp0
    ip link set ownp0 up
    ip -n $ns addr add 10.97.7.2/24 dev ownp1
    ip -n $ns link set ownp1 up
    ip -n $ns link set lo up
}

attrib() {
    for method in ${METHODS:-bpf proc}; do
        M_TMP=$work M_NS=$ns M_IF=ownp0 M_PEER=ownp1 M_SRV=10.97.7.2 PUT_TTY=0 PUT_CPU= PUT_NICE=${PUT_NICE:-0} \
            PUT_NAME="rustnet $method" ATTR_NAME=process ATTR_PORTS=sport,dport \
            PUT_CMD="$rustnet -i {if} --headless --owners $method > {dir}/ev.jsonl" \
            python3 "$shared/measure/attrib.py" "${LIVES:-1,10,100,1000}" "${COUNT:-50}" "${RATE:-40}"
    done
}

open_sockets() {
    ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    cat >"$work/many.py" <<'PY'
import os, socket, sys, time
sockets, processes = int(sys.argv[1]), int(sys.argv[2])
each = sockets // processes
for n in range(processes):
    if os.fork() == 0:
        held = []
        for i in range(each):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((f"127.{n + 1}.{i // 200}.1", 20000 + i % 200))
            held.append(s)
        os.write(1, b".")
        time.sleep(600)
        os._exit(0)
time.sleep(600)
PY
    python3 "$work/many.py" "${SOCKETS:-100000}" "${PROCESSES:-200}" >"$work/ready" &
    local parent=$!
    while [ "$(wc -c <"$work/ready")" -lt "${PROCESSES:-200}" ]; do sleep 0.2; done
    for method in bpf proc; do
        "$rustnet" -i lo --headless --duration 3 --owners $method | tail -1 |
            python3 -c 'import json,sys; r=json.loads(sys.stdin.readline()); print({k: r[k] for k in r if k.startswith("owner")})'
    done
    pkill -P $parent || true
    kill $parent
}

cost() {
    cat >"$work/cost.c" <<'C'
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e9 + t.tv_nsec; }
static int order(const void *a, const void *b) { double x = *(double *)a - *(double *)b; return (x > 0) - (x < 0); }
enum { ROUNDS = 60, CONNECTS = 300, SENDS = 10000 };
/* The programs are to be counted in the part of the name that was given only. */
static const char *part = "";
static void count(const char *name, int on) {
	if (strcmp(part, name)) return;
	int f = open("/proc/sys/kernel/bpf_stats_enabled", O_WRONLY);
	if (write(f, on ? "1" : "0", 1) != 1) perror("bpf_stats_enabled");
	close(f);
}
int main(int argc, char **argv) {
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0), to = socket(AF_INET, SOCK_DGRAM, 0);
	int ours[CONNECTS], theirs[CONNECTS];
	struct linger hard = { 1, 0 };
	double tcp[ROUNDS], over[ROUNDS], udp[ROUNDS];
	if (argc > 1) part = argv[1];
	bind(l, (void *)&a, len); listen(l, 4096); getsockname(l, (void *)&a, &len);
	for (int r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < CONNECTS; i++) {
			ours[i] = socket(AF_INET, SOCK_STREAM, 0);
			setsockopt(ours[i], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		}
		count("connect", 1);
		double t = now();
		for (int i = 0; i < CONNECTS; i++)
			if (connect(ours[i], (void *)&a, len)) { perror("connect"); return 1; }
		tcp[r] = (now() - t) / CONNECTS;
		count("connect", 0);
		for (int i = 0; i < CONNECTS; i++) theirs[i] = accept(l, 0, 0);
		count("close", 1);
		t = now();
		for (int i = 0; i < CONNECTS; i++) { close(ours[i]); close(theirs[i]); }
		over[r] = (now() - t) / CONNECTS;
		count("close", 0);
	}
	struct sockaddr_in b = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	bind(to, (void *)&b, len); getsockname(to, (void *)&b, &len);
	count("send", 1);
	for (int r = 0; r < ROUNDS; r++) {
		double t = now();
		for (int i = 0; i < SENDS; i++) sendto(u, "x", 1, 0, (void *)&b, len);
		udp[r] = (now() - t) / SENDS;
	}
	count("send", 0);
	qsort(tcp, ROUNDS, sizeof *tcp, order); qsort(over, ROUNDS, sizeof *over, order); qsort(udp, ROUNDS, sizeof *udp, order);
	if (!*part)
		printf("connect %.0f ns (median %.0f)   close of both ends %.0f ns (median %.0f)   udp send %.0f ns (median %.0f)\n",
		       tcp[3], tcp[ROUNDS / 2], over[3], over[ROUNDS / 2], udp[3], udp[ROUNDS / 2]);
	else
		printf("%d\n", strcmp(part, "send") ? ROUNDS * CONNECTS : ROUNDS * SENDS);
}
C
    cc -O2 -o "$work/cost" "$work/cost.c"
    local stats last
    stats=$(cat /proc/sys/kernel/bpf_stats_enabled)
    for ((turn = 0; turn < ${TURNS:-3}; turn++)); do
        for method in off bpf; do
            command -v bpftool >/dev/null && last=$(last_program)
            # On another interface, so that only the programs differ.
            "$rustnet" -i ownp0 --headless --duration 60 --owners $method >/dev/null 2>&1 &
            local pid=$!
            sleep 1
            echo "owners $method: $(taskset -c 1 "$work/cost")"
            if [ $method = bpf ] && [ $turn = 0 ] && command -v bpftool >/dev/null; then
                echo 0 >/proc/sys/kernel/bpf_stats_enabled
                for part in connect close send; do
                    before=$(run_times $last)
                    times=$("$work/cost" $part)
                    after=$(run_times $last)
                    echo "  bpf_stats: $(((after - before) / times)) ns a $part"
                done
                echo "$stats" >/proc/sys/kernel/bpf_stats_enabled
            fi
            kill -INT $pid
            wait $pid || true
        done
    done
}

# ns so far in the programs that were loaded after program $1
run_times() {
    bpftool prog show | awk -v last="$1" '/^[0-9]+:/ && $1 + 0 > last { for (i = 1; i < NF; i++) if ($i == "run_time_ns") n += $(i + 1) }
        END { print n + 0 }'
}

last_program() {
    bpftool prog show | awk '/^[0-9]+:/ && $1 + 0 > last { last = $1 + 0 } END { print last + 0 }'
}

network
for what in "${@:-attrib}"; do
    case $what in
        attrib) attrib ;;
        open) open_sockets ;;
        cost) cost ;;
        *) echo "unknown: $what (attrib, open, cost)" >&2; exit 2 ;;
    esac
done

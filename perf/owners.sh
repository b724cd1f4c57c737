#!/usr/bin/env bash
# Owners of connections, measured: sudo -E perf/owners.sh [attrib|open|cost] ...
#
#   attrib  share of short connections that are attributed to the right process, by life time, with BPF and
#           without (LIVES="1,10,100,1000", COUNT=50 of each, RATE=40 starts a second). Needs attrib.py of the
#           shared measurements (RUSTNET_SHARED, default ../shared).
#   open    SOCKETS=100000 open sockets in PROCESSES=200 processes: how long the first pass takes with BPF and
#           by /proc, and how many have their owner by it
#   cost    ns of a TCP connect and of a UDP send: by the clock in turns with and without the programs, and in
#           the programs (bpf_stats). A connect is what runs from connect(2) to its return, over loopback: of its
#           own socket CLOSE, SYN_SENT, ESTABLISHED, and of the socket on the other side of the same host
#           SYN_RECV, ESTABLISHED. Closing both is counted apart. The process is known already; what its first
#           socket costs more comes once in its life.
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

# All sockets are open before rustnet starts, and their processes sleep: what is right comes from passes over
# all sockets alone. One datagram to each of them asks for its owner.
open_sockets() {
    ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    ip addr add 10.97.7.3/24 dev ownp0
    cat >"$work/many.py" <<'PY'
import os, signal, socket, sys
sockets, processes, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
each = sockets // processes
places = [(f"10.97.7.{1 + 2 * (n % 2)}", 5000 + n // 2) for n in range(120000)]
for n in range(processes):
    if os.fork() == 0:
        held, lines = [], ""
        for place in places[n * len(places) // processes:]:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                s.bind(place)
            except OSError:
                continue
            held.append(s)
            lines += f"{place[0]} {place[1]} {os.getpid()}\n"
            if len(held) == each:
                break
        with open(f"{path}/{n}", "w") as f:
            f.write(lines)
        os.write(1, b".")
        signal.pause()
        os._exit(0)
signal.pause()
PY
    cat >"$work/ask.py" <<'PY'
import glob, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.97.7.2", 4000))
n = 0
for path in glob.glob(sys.argv[1] + "/*"):
    for line in open(path):
        address, port, _ = line.split()
        s.sendto(b"x", (address, int(port)))
        n += 1
        if n % 500 == 0:
            time.sleep(0.01)
PY
    cat >"$work/right.py" <<'PY'
import glob, json, sys
truth = {(a, int(p)): int(pid) for path in glob.glob(sys.argv[1] + "/*") for a, p, pid in map(str.split, open(path))}
right = wrong = none = 0
for line in open(sys.argv[2]):
    r = json.loads(line)
    if r["type"] == "flow" and r["proto"] == "UDP":
        place = (r["dst"], r["dport"]) if r["sport"] == 4000 else (r["src"], r["sport"])
        if place in truth:
            right += r.get("pid") == truth[place]
            wrong += r.get("pid") not in (None, truth[place])
            none += r.get("pid") is None
print(f"{sys.argv[3]}: {len(truth)} sockets of {len(set(truth.values()))} processes: {right} right, {wrong} wrong, {none} without;",
      f"first pass {r['owner_first_pass_us'] / 1000:.0f} ms, last {r['owner_pass_us'] / 1000:.0f} ms, {r['owner_passes']} passes, lost {r['lost']}")
PY
    mkdir "$work/truth"
    python3 "$work/many.py" "${SOCKETS:-100000}" "${PROCESSES:-200}" "$work/truth" >"$work/ready" &
    local parent=$!
    while [ "$(wc -c <"$work/ready")" -lt "${PROCESSES:-200}" ]; do sleep 0.2; done
    for method in ${METHODS:-bpf proc}; do
        "$rustnet" -i ownp0 --headless --owners "$method" >"$work/open.jsonl" &
        local pid=$!
        while ! grep -qs header "$work/open.jsonl"; do sleep 0.1; done
        ip netns exec $ns python3 "$work/ask.py" "$work/truth"
        sleep 2
        kill -INT $pid
        wait $pid || true
        python3 "$work/right.py" "$work/truth" "$work/open.jsonl" "$method"
    done
    pkill -P $parent || true
    kill $parent
    wait $parent 2>/dev/null || true
    ip addr del 10.97.7.3/24 dev ownp0
}

cost() {
    cat >"$work/cost.c" <<'C'
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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
/* A program that does nothing at a tracepoint: what is counted for it is the count's own. */
static int idle(const char *tracepoint) {
	struct bpf_insn code[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT, .insn_cnt = 2, .insns = (long)code, .license = (long)"GPL" };
	int f = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	union bpf_attr open = { .raw_tracepoint = { .name = (long)tracepoint, .prog_fd = f } };
	if (f < 0 || syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &open, sizeof open) < 0) perror(tracepoint);
	return f;
}
static double idle_ns(int f) {
	struct bpf_prog_info info = { 0 };
	union bpf_attr ask = { .info = { .bpf_fd = f, .info_len = sizeof info, .info = (long)&info } };
	if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &ask, sizeof ask)) return 0;
	return info.run_time_ns;
}
int main(int argc, char **argv) {
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0), to = socket(AF_INET, SOCK_DGRAM, 0);
	int ours[CONNECTS], theirs[CONNECTS];
	struct linger hard = { 1, 0 };
	double tcp[ROUNDS], over[ROUNDS], udp[ROUNDS];
	int nothing = -1;
	if (argc > 1) {
		part = argv[1];
		nothing = idle(strcmp(part, "send") ? "inet_sock_set_state" : "sock_send_length");
	}
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
	else {
		int times = ROUNDS * (strcmp(part, "send") ? CONNECTS : SENDS);
		printf("%d %.1f\n", times, idle_ns(nothing) / times);
	}
}
C
    cc -O2 -o "$work/cost" "$work/cost.c"
    for ((turn = 0; turn < ${TURNS:-3}; turn++)); do
        for method in off bpf; do
            command -v bpftool >/dev/null && programs >"$work/others"
            # On another interface, so that only the programs differ.
            "$rustnet" -i ownp0 --headless --duration 120 --owners $method >/dev/null 2>&1 &
            local pid=$!
            sleep 1
            echo "owners $method: $(taskset -c 1 "$work/cost")"
            if [ $method = bpf ] && [ $turn = 0 ] && command -v bpftool >/dev/null; then count_runs; fi
            kill -INT $pid
            wait $pid || true
        done
    done
}

# ns in our programs for one connect, close of both ends, and send, and in which: the middle one of RUNS=5, as
# the kernel counts it. It looks at a clock before and after each run, and counts most of that too: how much, programs
# that do nothing at the same tracepoints tell.
count_runs() {
    local stats part run
    stats=$(cat /proc/sys/kernel/bpf_stats_enabled)
    echo 0 >/proc/sys/kernel/bpf_stats_enabled
    for part in connect close send; do
        for ((run = 0; run < ${RUNS:-5}; run++)); do
            programs >"$work/before$run"
            taskset -c 1 "$work/cost" $part >"$work/times$run"
            programs >"$work/after$run"
        done
        python3 - $part "$work" "${RUNS:-5}" <<'PY'
import json, statistics, sys
part, work, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
read = lambda path: {p["id"]: p for p in json.load(open(path))}
others, ours, idle, by_name = read(f"{work}/others"), [], [], {}
for run in range(runs):
    before, after = read(f"{work}/before{run}"), read(f"{work}/after{run}")
    times, bare = map(float, open(f"{work}/times{run}").read().split())
    total = 0
    for id, p in after.items():
        count, ns = (p.get(k, 0) - before.get(id, p).get(k, 0) for k in ("run_cnt", "run_time_ns"))
        # Without the one that does nothing.
        if id not in others and id in before and count:
            total += ns / times
            if count / times > 0.01:
                by_name.setdefault(p["name"], []).append((count / times, ns / count))
    ours.append(total)
    idle.append(bare)
text = "".join(f"; {name} {statistics.median(c for c, _ in all):.2f} runs of {statistics.median(ns for _, ns in all):.0f} ns"
               for name, all in by_name.items())
spread = f"{min(ours):.0f} to {max(ours):.0f}"
print(f"  bpf_stats: {statistics.median(ours):.0f} ns a {part} ({spread}), of which the count itself {statistics.median(idle):.0f}{text}")
PY
    done
    echo "$stats" >/proc/sys/kernel/bpf_stats_enabled
}

# All loaded programs
programs() {
    bpftool prog show -j
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

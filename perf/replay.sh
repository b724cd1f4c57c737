#!/usr/bin/env bash
# replay.sh [FILE...]: is a file read the same as that file captured live?
#
# Each file is replayed over a veth pair between two namespaces, whose ends have no addresses and
# send nothing themselves, GRO and GSO off, VLAN tags in place; the two exports must be equal in
# everything but time. Then the same with GRO on at the receiving end: equal packets and bytes, and
# fewer frames if there was anything to merge. Frames must not be longer than the MTU (1500).
source "$(dirname "$0")/lib.sh"
arguments=$*

need_root
need python3 ip ethtool tcpreplay
files=("$@")
if [ ${#files[@]} = 0 ]; then
    [ -d "$shared/captures" ] || skip "no files given, and $shared/captures is not there (set RUSTNET_SHARED)"
    for name in arp-vlan.pcap dhcp-basic.pcap dns-udp.pcap http-bro-org.pcap \
        http-ipv6.pcap icmp-time-exceeded.pcap ipv4-frag-1.pcap ipv6-frag-dns.pcap mpls-basic.pcap \
        pppoe-session.pcap sctp-basic.cap tcp-out-of-order.pcap tcp-retransmissions.pcapng \
        tls-12.pcap tunnel-gre.pcapng tunnel-vxlan.pcap vlan-8021q.pcap vlan-qinq.pcap; do
        files+=("$shared/captures/$name")
    done
fi
work_directory
program

at_exit 'ip netns del rnpS 2>/dev/null; ip netns del rnpR 2>/dev/null; true'
for namespace in rnpS rnpR; do
    ip netns del $namespace 2>/dev/null || true
    ip netns add $namespace
    # No router solicitations, no neighbour discovery: only what is replayed is on the wire.
    ip netns exec $namespace sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
ip -n rnpS link add rnp0 type veth peer name rnp1 netns rnpR
ip -n rnpS link set rnp0 arp off up
ip -n rnpR link set rnp1 arp off up
for end in rnpS:rnp0 rnpR:rnp1; do
    ip netns exec ${end%:*} ethtool -K ${end#*:} gro off gso off tso off tx off txvlan off >/dev/null 2>&1 || true
done

begin_record replay
failed=0
merged=0
# Holds what came in for 2 ms, so that there is something to merge with.
hold() {
    echo "$2" | ip netns exec rnpR tee /sys/class/net/rnp1/napi_defer_hard_irqs >/dev/null
    echo "$1" | ip netns exec rnpR tee /sys/class/net/rnp1/gro_flush_timeout >/dev/null
}
# Captures what is replayed: live FILE OUT
live() {
    ip netns exec rnpR "$rustnet" -i rnp1 --headless --output jsonl >"$2" 2>"$work/live.err" &
    local pid=$!
    sleep 0.7
    ip netns exec rnpS tcpreplay -q --pps 20000 -i rnp0 "$1" >"$work/replay.out" 2>&1 || true
    sleep 0.5
    kill -INT $pid
    wait $pid || cat "$work/live.err"
}
for file in "${files[@]}"; do
    "$rustnet" --read "$file" --headless --output jsonl >"$work/file.jsonl" 2>"$work/file.err" || {
        echo "$(basename "$file"): $(cat "$work/file.err")"
        failed=1
        continue
    }
    ip netns exec rnpR ethtool -K rnp1 gro off
    hold 0 0
    live "$file" "$work/live.jsonl"
    python3 "$perf/compare.py" "$(basename "$file")" "$work/file.jsonl" "$work/live.jsonl" || failed=1
    ip netns exec rnpR ethtool -K rnp1 gro on
    hold 2000000 10
    live "$file" "$work/gro.jsonl"
    python3 "$perf/compare.py" --merged "$(basename "$file")" "$work/file.jsonl" "$work/gro.jsonl" || failed=1
    summary='s/.*"type":"summary".*"frames":\([0-9]*\),.*/\1/p'
    [ "$(sed -n "$summary" "$work/gro.jsonl")" -ge "$(sed -n "$summary" "$work/file.jsonl")" ] || merged=$((merged + 1))
done
echo "of $merged of ${#files[@]} files some frames were merged"
echo "record: $record" >&2
exit $failed

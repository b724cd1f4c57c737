#!/usr/bin/env bash
# guard.sh [--record]: has the path of a packet become longer? Counts the instructions of the whole pipeline a
# frame, for three loads that the bench `line_rate` makes, and compares them with perf/record/instructions.txt:
# more than 3 % above fails; more than 3 % below asks for a new record. --record writes it.
#
#   udp   64-byte datagrams of 1,000 flows that come round again and again
#   tcp   connections of 1,000 hosts from SYN to FIN, no payload
#   mix   TCP, UDP, ICMP, IPv6, tags, fragments, payloads of 300 bytes on average
#
# Instructions do not depend on what else the machine does: seeds are fixed, addresses are not random, one
# run is subtracted from a longer one so that start and end cancel out. They depend on the compiler: where
# it is not the one of the record, the comparison is skipped. GUARD names the built bench, if there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
record=perf/record/instructions.txt
tolerance=3

skip() {
    echo "skipped: $*" >&2
    exit 0
}
for tool in valgrind setarch python3; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
[ "$(uname -m)" = x86_64 ] || skip "the record is of x86_64"

guard=${GUARD:-}
if [ -z "$guard" ]; then
    # As .ci/run builds benches: without link-time optimisation, which takes minutes.
    export CARGO_PROFILE_BENCH_LTO=off CARGO_PROFILE_BENCH_CODEGEN_UNITS=16 CARGO_INCREMENTAL=0
    guard=$(cargo bench --locked --no-run --bench line_rate --message-format json |
        sed -n 's/.*"executable":"\([^"]*line_rate[^"]*\)".*/\1/p' | tail -1)
fi
compiler=$(rustc --version)

# instructions LOAD FRAMES
instructions() {
    setarch -R valgrind --tool=callgrind --callgrind-out-file=/dev/null "$guard" guard "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : //p'
}

# count LOAD: instructions a frame.
count() {
    local short long
    short=$(instructions "$1" 20000)
    long=$(instructions "$1" 80000)
    python3 -c "print(round(($long - $short) / 60000, 1))"
}

if [ "${1:-}" = --record ]; then
    {
        echo "# $compiler; instructions a frame, perf/guard.sh --record"
        for load in udp tcp mix; do
            echo "$load $(count "$load")"
        done
    } | tee "$record"
    exit
fi

[ -e "$record" ] || skip "there is no $record (--record)"
grep -qF "# $compiler;" "$record" || skip "the record is of another compiler: $(head -1 "$record")"
failed=0
while read -r load before; do
    now=$(count "$load")
    python3 - "$load" "$before" "$now" "$tolerance" <<'PYTHON' || failed=1
import sys
load, before, now, tolerance = sys.argv[1], *map(float, sys.argv[2:])
change = 100 * (now / before - 1)
word = "longer than the record" if change > tolerance else "ok"
if change < -tolerance:
    word = "shorter than the record: perf/guard.sh --record"
print(f"{load}: {now} instructions a frame, record {before}, {change:+.1f} %: {word}")
sys.exit(change > tolerance)
PYTHON
done < <(grep -v '^#' "$record")
exit $failed

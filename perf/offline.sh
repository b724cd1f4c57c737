#!/usr/bin/env bash
# offline.sh [ROUNDS]: CPU time per packet of whole runs over capture files, beside a bare loop that
# only parses and counts, and beside tcpdump's read loop, in turns, so that all see the same machine.
#
# A load of 64-byte frames over 1,000 and over 1,000,000 flows, and a SYN flood of as many sources
# as packets beside the calm case. PACKETS (10M) and FLOOD_PACKETS (5M) set the sizes.
source "$(dirname "$0")/lib.sh"
arguments=$*
rounds=${1:-5}
packets=${PACKETS:-10M}
flood=${FLOOD_PACKETS:-5M}

need python3 gcc tcpdump
make_load=$shared/captures/make_load.py
[ -e "$make_load" ] || skip "$make_load is not there (set RUSTNET_SHARED)"
[ -e "$shared/measure/floor.c" ] || skip "$shared/measure/floor.c is not there (set RUSTNET_SHARED)"
python3 -c 'import numpy' 2>/dev/null || skip "the load generator needs numpy: pip install numpy"
work_directory
program

# Makes a load once.
load() {
    local file=$work/$1.pcap
    shift
    [ -e "$file" ] && return
    python3 "$make_load" -o "$file.part" --size 64 "$@" >&2
    mv "$file.part" "$file"
}

gcc -O3 -march=native -o "$work/floor" "$shared/measure/floor.c"
load k1 --packets "$packets" --flows 1000
load m1 --packets "$packets" --flows 1M
load flood --packets "$flood" --flows "$flood" --proto tcp=1 --lifecycle syn
load calm --packets "$flood" --flows 100k --proto tcp=1 --lifecycle data

begin_record offline
measure() {
    python3 "$perf/cpu_time.py" --rounds "$rounds" "$@"
}
run="$rustnet --headless --output json --read"
for case in k1:12 m1:21; do
    file=$work/${case%:*}.pcap
    measure --file "$file" \
        "floor=$work/floor tablebatch $file ${case#*:}" \
        "rustnet=$run $file" \
        "tcpdump=tcpdump -r $file -w /dev/null"
done
limit="--max-flows 200000"
measure --file "$work/calm.pcap" "calm=$run $work/calm.pcap $limit" "flood=$run $work/flood.pcap $limit"
echo "record: $record" >&2

#!/usr/bin/env bash
# Makes fuzz/corpus/<target>/ from captures: fuzz/seeds.sh CAPTURE...
# Each flow's first payloads become an input (see README.md) of every target. Needs tshark and python3.
set -euo pipefail
cd "$(dirname "$0")"
for capture; do
    timeout 60 tshark -n -r "$capture" -Y 'tcp.payload || udp.payload' -T fields \
        -e tcp.stream -e udp.stream -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport \
        -e tcp.payload -e udp.payload 2>/dev/null | sed "s|^|$capture\t|" || true
done | python3 -c '
import collections, hashlib, os, re, sys

BUDGET = 6000
flows = collections.OrderedDict()
for line in sys.stdin:
    capture, tcp, udp, ts, td, us, ud, tp, up = line.rstrip("\n").split("\t")
    stream, src, payload = ("t" + tcp, ts, tp) if tp else ("u" + udp, us, up)
    if "," in payload or "," in stream:  # a datagram quoted in another
        continue
    first, pieces = flows.setdefault((capture, stream), (src, []))
    if sum(map(len, pieces)) < BUDGET and len(pieces) < 12:
        data = bytes.fromhex(payload)[:0x7fff]
        pieces.append((len(data) | (0x8000 if src != first else 0)).to_bytes(2, "big") + data)

targets = re.findall(r"^name = \"(\w+)\"$", open("Cargo.toml").read().split("[[bin]]", 1)[1], re.M)
for first, pieces in flows.values():
    data = bytes([1, 0]) + b"".join(pieces)
    name = hashlib.sha256(data).hexdigest()[:16]
    for target in targets:
        os.makedirs("corpus/" + target, exist_ok=True)
        with open("corpus/%s/%s" % (target, name), "wb") as f:
            f.write(b"\0" + data if target == "any" else data[4:] if target == "hellos" else data)
print(len(flows), "flows for", len(targets), "targets")
'

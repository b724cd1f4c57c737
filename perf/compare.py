#!/usr/bin/env python3
"""Compares two jsonl exports in everything but time.

usage: compare.py [--merged] NAME FILE.jsonl LIVE.jsonl

--merged: the second may have fewer frames, because the kernel merged some; packets and bytes must be
the same. Prints one line, and the differences; ends with 1 if there are any.
"""
import collections, json, sys

# What follows from time: stamps, round trips, which lifetimes had passed, names of the source.
TIME = {"type", "first", "last", "first_ts", "last_ts", "rtt_handshake_us", "rtt_data_us", "end", "iface", "local"}
KEY = ("proto", "src", "dst", "sport", "dport")
ORDER = ("retrans", "out_of_order", "fwd_frames", "rev_frames")


def read(path):
    with open(path) as lines:
        rows = [json.loads(line) for line in lines]
    return [r for r in rows if r["type"] == "flow"], next(r for r in rows if r["type"] == "summary")


def joined(rows):
    """Joins rows of one key that only a lifetime has parted: a replay takes no time."""
    last, out = {}, []
    for row in sorted(rows, key=lambda row: row["first"]):
        key = tuple(row.get(part) for part in KEY) + (row.get("vlan"),)
        before = last.get(key)
        if before is None or before["end"] != "timeout":
            last[key] = row
            out.append(row)
            continue
        for name in ("fwd_pkts", "rev_pkts", "fwd_bytes", "rev_bytes", "fwd_frames", "rev_frames"):
            if name in row or name in before:
                before[name] = before.get(name, 0) + row.get(name, 0)
        for name in ("retrans", "out_of_order"):
            if name in row and name in before:
                before[name] = [a + b for a, b in zip(before[name], row[name])]
        before["state"], before["end"] = row["state"], row["end"]
    return out


def facts(row, merged):
    row = {k: v for k, v in row.items() if k not in TIME and not (merged and k in ORDER)}
    if row.get("proto") != "TCP":
        # The others' states are how long they have been silent.
        row.pop("state", None)
    return json.dumps(row, sort_keys=True)


def main():
    merged = sys.argv[1] == "--merged"
    name, one, two = sys.argv[1 + merged:]
    (flows, total), (live_flows, live_total) = read(one), read(two)
    differences = []
    for what in ("packets", "bytes", "not_flow_frames", "lost") + (() if merged else ("frames", "drops")):
        if total[what] != live_total[what]:
            differences.append(f"{what}: {total[what]} in the file, {live_total[what]} live")
    if merged and live_total["frames"] > total["frames"]:
        differences.append(f"frames: {total['frames']} in the file, {live_total['frames']} live")
    count = lambda rows: collections.Counter(facts(row, merged) for row in rows)
    file_rows, live_rows = count(joined(flows)), count(joined(live_flows))
    differences += [f"only in the file: {row}" for row in file_rows - live_rows]
    differences += [f"only live:        {row}" for row in live_rows - file_rows]
    frames = f", {live_total['frames']} frames" if merged else ""
    verdict = "equal" if not differences else f"{len(differences)} differences"
    print(f"{name} {'merged' if merged else 'as it is'}: {len(flows)} flows, {total['packets']} packets{frames}: {verdict}")
    for difference in differences[:20]:
        print(f"    {difference}")
    sys.stdout.flush()
    return 1 if differences else 0


sys.exit(main())

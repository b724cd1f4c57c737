#!/usr/bin/env python3
"""Reads rows of rate.py, and prints for each number of flows what each method costs, by medians."""
import json
import statistics
import sys

rows = [json.loads(line) for line in sys.stdin if line.startswith("{")]
for flows in dict.fromkeys(row["flows"] for row in rows):
    none = None
    for name in dict.fromkeys(row["name"] for row in rows):
        runs = [row for row in rows if row["flows"] == flows and row["name"] == name]
        host = statistics.median(1e9 / row["rate"] for row in runs)
        none = host if name == "none" else none
        received = sum(row["rx"] for row in runs)
        line = f"flows {flows:>8}  {name:10} host {host:6.0f} ns"
        if name != "none":
            own = statistics.median(1e9 * row["cpu_s"] / row["rx"] for row in runs)
            user = statistics.median(1e9 * row["cpu_user"] / row["rx"] for row in runs)
            done = sum(row["done"] or 0 for row in runs)
            lost = sum(row["self_drop"] or 0 for row in runs)
            line += (
                f"  added {host - none:5.0f} ns  own {own:5.0f} ns (user {user:4.0f})"
                f"  received {received}  done {done}  lost {lost}"
            )
        else:
            line += f"  {received / sum(row['secs'] for row in runs) / 1e6:.2f} Mpps"
        print(line, flush=True)
for row in rows:
    print(json.dumps(row))

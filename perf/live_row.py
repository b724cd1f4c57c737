#!/usr/bin/env python3
"""Reads the JSON line of one live run, prints what matters as text, and the line itself.

usage: ... | live_row.py MEASURE_DIRECTORY

Of a run with a screen the directory was kept: the last head line is read off the recorded terminal.
"""
import json, os, re, shutil, sys

sys.argv[1:] and sys.path.insert(0, sys.argv[1])


def lost_on_screen(directory):
    """Returns the text behind "Lost" on the last screen, or None."""
    from put import Screen
    path = os.path.join(directory, "screen")
    if not os.path.exists(path):
        return None
    screen = Screen()
    with open(path, "rb") as file:
        screen.feed(file.read())
    found = re.search(r"Lost [\d,]+ of [\d,.]+\w?( \([^)]*\))?", screen.text())
    return found.group(0) if found else None


for line in sys.stdin:
    row = json.loads(line)
    directory = row.pop("dir", None)
    received = row["rx"] or 1
    user = row["cpu_user"] * 1e9 / received
    lost = f"lost {received - row['done']}" if row["done"] is not None else ""
    if directory:
        lost = lost_on_screen(directory) or "no loss figure on screen"
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{row['name']:9} {row['flows']:8} flows  {row['rate'] / 1e6:.2f} Mpps  {received} frames: {lost}; "
          f"user {user:.0f} ns, all {row['cpu_s'] * 1e9 / received:.0f} ns a packet; "
          f"{row['rss_kb'] / 1e3:.0f} MB, {row['rss_per_flow']} B a flow")
    print("  " + json.dumps(dict(row, user_ns=round(user, 1), lost_on_screen=lost)), flush=True)

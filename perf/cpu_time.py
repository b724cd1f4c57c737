#!/usr/bin/env python3
"""CPU time per packet of several programs over capture files, in turns.

usage: cpu_time.py [--rounds N] --file FILE NAME=COMMAND...

FILE tells how many packets there are (a pcap of frames of one length). Prints, for each program, the
best and the median of user + system time of the whole process in ns a packet, its share of the first
program's time in the same round (median), and its memory: the peak, and that part of it which is no
mapped file.
"""
import argparse, json, os, shlex, struct, sys, threading, time


def packets(path):
    """Returns the number of packets of a pcap whose frames all have the same length."""
    with open(path, "rb") as file:
        head = file.read(40)
    captured = struct.unpack("<I", head[32:36])[0]
    return (os.path.getsize(path) - 24) // (16 + captured)


def anonymous(pid, peak, done):
    """Keeps the largest anonymous memory of a process in peak[0], in KB."""
    while not done.is_set():
        try:
            with open(f"/proc/{pid}/status") as status:
                for line in status:
                    if line.startswith("RssAnon"):
                        peak[0] = max(peak[0], int(line.split()[1]))
        except OSError:
            return
        time.sleep(0.02)


def run(command):
    """Returns CPU seconds, user seconds, peak memory in KB and its anonymous part."""
    sink = os.open(os.devnull, os.O_RDWR)
    argv = shlex.split(command)
    actions = [(os.POSIX_SPAWN_DUP2, sink, fd) for fd in (0, 1, 2)]
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=anonymous, args=(pid, peak, done))
    watcher.start()
    _, status, usage = os.wait4(pid, 0)
    done.set()
    watcher.join()
    os.close(sink)
    if status != 0:
        sys.exit(f"{command}: ended with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_utime, usage.ru_maxrss, peak[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", required=True)
    parser.add_argument("rows", nargs="+", metavar="NAME=COMMAND")
    options = parser.parse_args()
    rows = [row.split("=", 1) for row in options.rows]
    count = packets(options.file)
    # Into the page cache: what is measured is no disk.
    for _, command in rows:
        for word in shlex.split(command):
            if word.endswith(".pcap"):
                with open(word, "rb") as file:
                    while file.read(1 << 24):
                        pass
    results = {name: [] for name, _ in rows}
    for _ in range(options.rounds):
        for name, command in rows:
            results[name].append(run(command))
    median = lambda values: sorted(values)[len(values) // 2]
    first = results[rows[0][0]]
    print(f"{os.path.basename(options.file)}: {count} packets, {options.rounds} rounds in turns")
    print(f"  {'':10} {'best ns':>9} {'median':>9} {'user':>9} {'ratio':>7} {'peak MB':>9} {'anon MB':>9}")
    for name, _ in rows:
        all_ = results[name]
        row = dict(
            best=min(r[0] for r in all_) * 1e9 / count, median=median([r[0] for r in all_]) * 1e9 / count,
            user=median([r[1] for r in all_]) * 1e9 / count,
            ratio=median([r[0] / f[0] for r, f in zip(all_, first)]),
            peak_mb=max(r[2] for r in all_) / 1e3, anon_mb=max(r[3] for r in all_) / 1e3)
        print(f"  {name:10} {row['best']:9.1f} {row['median']:9.1f} {row['user']:9.1f} {row['ratio']:7.2f} "
              f"{row['peak_mb']:9.0f} {row['anon_mb']:9.0f}")
        figures = {key: round(value, 2) for key, value in row.items()}
        print("  " + json.dumps(dict(file=os.path.basename(options.file), packets=count, name=name, **figures)))
    print(flush=True)


main()

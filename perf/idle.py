#!/usr/bin/env python3
"""What idle.sh runs: `hold SOCKETS PROCESSES` opens idle sockets and says so; `measure NAME SECONDS COMMAND...` runs a
command on a terminal of its own and prints what its threads work."""
import json, os, pty, select, signal, socket, struct, sys, time, fcntl, termios

TICK = os.sysconf("SC_CLK_TCK")


def hold(sockets, processes):
    """Half of them TCP connections over loopback, both ends of which are ours; half UDP."""
    each = sockets // processes
    for _ in range(processes):
        if os.fork() == 0:
            listener = socket.create_server(("127.0.0.1", 0), backlog=each)
            held = []
            for _ in range((each // 2 - 1) // 2):
                held.append(socket.create_connection(listener.getsockname()))
                held.append(listener.accept()[0])
            while len(held) < each - 1:
                held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held[-1].bind(("127.0.0.1", 0))
            os.write(1, b"+")
            signal.pause()
    signal.pause()


def stat(path):
    """Returns user and system time in s, and how often it went to sleep."""
    fields = open(f"{path}/stat").read().rsplit(")", 1)[1].split()
    status = open(f"{path}/status").read()
    sleeps = int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return int(fields[11]) / TICK, int(fields[12]) / TICK, sleeps


def ran(path):
    """Returns ns on a core, exact where ticks are coarse."""
    return int(open(f"{path}/schedstat").read().split()[0])


def threads(pid):
    all = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        path = f"/proc/{pid}/task/{task}"
        all[task] = (open(f"{path}/comm").read().strip(), ran(path), stat(path)[2])
    return all


def measure(name, seconds, command):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    wrote = 0

    def read_until(end):
        nonlocal wrote
        while (left := end - time.monotonic()) > 0:
            if select.select([terminal], [], [], left)[0]:
                try:
                    wrote += len(os.read(terminal, 1 << 16))
                except OSError:
                    sys.exit(f"{name}: it has ended")

    # Start and first passes are over by then.
    read_until(time.monotonic() + 5)
    wrote = 0
    user, system, _ = stat(f"/proc/{pid}")
    before, begun = threads(pid), time.monotonic()
    read_until(begun + seconds)
    after, wall = threads(pid), time.monotonic() - begun
    user, system = (b - a for a, b in zip((user, system), stat(f"/proc/{pid}")))
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    known = [(n, ns - before[t][1], s - before[t][2]) for t, (n, ns, s) in after.items() if t in before]
    total, sleeps = sum(ns for _, ns, _ in known), sum(s for _, _, s in known)
    print(f"{name:<20} {total / wall / 1e7:.2f} % of a core ({100 * (user + system) / wall:.2f} by ticks), "
          f"woken {sleeps / wall:.0f} times a second, {wrote / wall / 1000:.1f} kB/s to the terminal")
    for thread, ns, times in sorted(known, key=lambda row: -row[1]):
        if ns > 0.0001 * wall * 1e9 or times / wall > 2:
            print(f"    {thread:<16} {ns / wall / 1e7:.3f} %, {times / wall:.1f}/s, {ns / max(times, 1) / 1000:.0f} us each")
    print(json.dumps({"name": name, "share": total / wall / 1e9, "ticks": (user + system) / wall, "wall": wall,
                      "sleeps": sleeps, "threads": known}), flush=True)


if sys.argv[1] == "hold":
    hold(int(sys.argv[2]), int(sys.argv[3]))
else:
    measure(sys.argv[2], float(sys.argv[3]), sys.argv[4:])

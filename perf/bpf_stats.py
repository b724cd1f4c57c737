#!/usr/bin/env python3
"""bpf_stats.py PROGRAM FLOWS: ns a run of each BPF program that a running PROGRAM holds, as the kernel counts
them while kernel.bpf_stats_enabled is 1."""
import os
import sys

program, flows = os.path.realpath(sys.argv[1]), sys.argv[2]
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.path.realpath(f"/proc/{pid}/exe") != program:
            continue
        for fd in os.listdir(f"/proc/{pid}/fdinfo"):
            lines = open(f"/proc/{pid}/fdinfo/{fd}").read().splitlines()
            facts = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            runs = int(facts.get("run_cnt", 0))
            if runs > 1000:
                time = int(facts["run_time_ns"])
                print(f"flows {flows:>8}  bpf program {facts['prog_id']}: {time / runs:.0f} ns a run, {runs} runs")
    except (OSError, ValueError):
        continue

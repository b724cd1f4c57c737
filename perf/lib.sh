# What the measuring scripts share; to be sourced.
#
#   RUSTNET         the program; target/release/rustnet is built and taken if absent
#   RUSTNET_SHARED  captures, load and traffic generators; by default shared/ beside the project
#   WORK            directory for loads, kept; by default a temporary one, removed at the end
#   RECORD          directory for the record; by default perf/record/<host>/<date>

set -euo pipefail

perf=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$perf")
shared=${RUSTNET_SHARED:-$root/../shared}

# Ends with a message, successfully: what is missing is no failure of the program.
skip() {
    echo "skipped: $*" >&2
    exit 0
}

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}

need_root() {
    [ "$(id -u)" = 0 ] || skip "needs root: network namespaces and a packet socket"
}

# Sets $work, and removes it at the end unless the caller named it.
work_directory() {
    if [ -n "${WORK:-}" ]; then
        mkdir -p "$WORK"
        work=$WORK
    else
        work=$(mktemp -d)
        at_exit "rm -rf '$work'"
    fi
}

# Sets up what rate.py drives: load goes from rnpB in its own namespace to rnpA; GRO on makes both ends poll like a
# card. Needs work_directory. Removed at the end.
veth_rig() {
    need_root
    need python3 ip ethtool clang cc make taskset
    measure=$shared/measure
    [ -e "$measure/rate.py" ] || skip "$measure/rate.py is not there (set RUSTNET_SHARED)"
    make -s -C "$measure/gen" OUT="$work" >&2 || skip "the traffic generator could not be built (needs libbpf)"
    local remove='ip netns del rnp 2>/dev/null || true; ip link del rnpA 2>/dev/null || true'
    at_exit "$remove"
    eval "$remove"
    ip netns add rnp
    ip link add rnpA type veth peer name rnpB netns rnp
    ip addr add 10.98.7.1/24 dev rnpA
    ip -n rnp addr add 10.98.7.2/24 dev rnpB
    ip link set rnpA up
    ip -n rnp link set rnpB up
    ethtool -K rnpA gro on
    ip netns exec rnp ethtool -K rnpB gro on
    export M_NS=rnp M_IF=rnpA M_PEER=rnpB M_IP=10.98.7.1 M_TMP=$work PKTGEN=$work/pktgen BENCH_HOLD=600
}

# Runs a command at the end, the latest first.
exit_commands=
at_exit() {
    exit_commands="$1; $exit_commands"
    # shellcheck disable=SC2064
    trap "$exit_commands" EXIT
}

# Sets $rustnet.
program() {
    rustnet=${RUSTNET:-}
    if [ -z "$rustnet" ]; then
        (cd "$root" && cargo build --release --locked)
        rustnet=${CARGO_TARGET_DIR:-$root/target}/release/rustnet
    fi
    rustnet=$(realpath "$rustnet")
    if [ ! -x "$rustnet" ]; then
        echo "$rustnet is not a program (RUSTNET)" >&2
        exit 1
    fi
}

# Begins the record `name`: from here on, standard output goes there too.
begin_record() {
    local directory=${RECORD:-$perf/record/$(hostname -s)/$(date +%F)}
    mkdir -p "$directory"
    record=$directory/$1.txt
    exec > >(tee "$record")
    echo "command  $0 ${arguments:-}"
    echo "date     $(date -u +%FT%TZ)"
    echo "commit   $(git -C "$root" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)"
    echo "program  $("$rustnet" --version)"
    echo "machine  $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores," \
        "$(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)"
    echo "kernel   $(uname -sr)"
    echo "load     $(cut -d' ' -f1-3 /proc/loadavg)"
    echo
}

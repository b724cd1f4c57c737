#!/usr/bin/env bash
# Starts a built rustnet: run.sh BINARY [FLAG...]
# Through sudo when it captures and neither this user nor the binary has the privilege.
set -euo pipefail

binary=$1
shift

captures=yes
for flag in "$@"; do
    case $flag in
    --read | --read=* | -h | --help | -V | --version | --show-plan | --list-interfaces | --check | --man | --completions | --completions=*) captures=no ;;
    esac
done

# CAP_NET_RAW is bit 13 of the effective set (capabilities(7)).
may_capture() {
    local effective
    effective=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status 2>/dev/null) || return 1
    [ $((0x${effective:-0} >> 13 & 1)) -eq 1 ] && return 0
    command -v getcap >/dev/null && getcap "$binary" 2>/dev/null | grep -q cap_net_raw
}

if [ "$captures" = yes ] && ! may_capture && command -v sudo >/dev/null; then
    echo "capturing needs CAP_NET_RAW: starting with sudo" >&2
    exec sudo "$binary" "$@"
fi
exec "$binary" "$@"

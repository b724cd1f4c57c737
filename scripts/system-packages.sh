#!/usr/bin/env bash
# Installs the system packages that a build needs and that are missing (Debian, Ubuntu, Fedora).
# A machine that has them all is not touched, and nobody is asked for a password.
set -euo pipefail

# What is needed, by what shows that it is there: a C compiler, and what libbpf is built with (it comes
# with its crate): pkg-config, libelf, zlib. Without BPF (FEATURES=none) the linker alone does.
missing=()
command -v cc >/dev/null || missing+=(gcc)
if [ "${FEATURES:-}" != none ]; then
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    [ -e /usr/include/libelf.h ] || missing+=(libelf)
    [ -e /usr/include/zlib.h ] || missing+=(zlib)
fi

# The linker alone does not do: the C library's start files belong to its development package.
if [ ${#missing[@]} -eq 0 ] && ! echo 'int main(void){return 0;}' | cc -x c - -o /dev/null 2>/dev/null; then
    missing+=(libc-dev)
fi

# Capture through libpcap is a feature of its own: FEATURES=pcap make packages
if [[ " ${FEATURES:-} " == *" pcap "* ]]; then
    pkg-config --exists libpcap 2>/dev/null || missing+=(libpcap)
fi

[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "missing: ${missing[*]}. Neither root nor sudo: ask somebody to install them." >&2
        exit 1
    fi
    as_root=(sudo)
fi

# name <package> : what this distribution calls it
if command -v apt-get >/dev/null; then
    declare -A name=([gcc]=gcc [libc-dev]=libc6-dev [pkg-config]=pkg-config [libpcap]=libpcap-dev [libelf]=libelf-dev [zlib]=zlib1g-dev)
    refresh=(apt-get update -qq)
    install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends)
    # gcc alone does not bring them where recommendations are off.
    [[ " ${missing[*]} " != *" gcc "* ]] || missing+=(libc-dev)
elif command -v dnf >/dev/null; then
    declare -A name=([gcc]=gcc [libc-dev]=glibc-devel [pkg-config]=pkgconf-pkg-config [libpcap]=libpcap-devel [libelf]=elfutils-libelf-devel [zlib]=zlib-devel)
    refresh=()
    install=(dnf install -y -q)
else
    echo "missing: ${missing[*]}. Install them with this system's package manager." >&2
    exit 1
fi

packages=()
for what in "${missing[@]}"; do packages+=("${name[$what]}"); done
echo "installing ${packages[*]}" >&2
[ ${#refresh[@]} -eq 0 ] || "${as_root[@]}" "${refresh[@]}"
"${as_root[@]}" "${install[@]}" "${packages[@]}"

#!/usr/bin/env bash
# Compiles the programs; needed only when a source here has changed. What it makes is committed, so that a
# build of rustnet needs no clang.
#
#   bpf/build.sh          compiles, and writes owners.bpf.o and sources.sha256
#   bpf/build.sh --check  compiles beside it, and says whether the committed object is the same
#
# Needs clang, llvm-strip and libbpf's headers (Debian: apt-get install clang llvm libbpf-dev). The object
# is the same on every machine with the same major version of clang, which the first line of
# sources.sha256 names.
set -euo pipefail
cd "$(dirname "$0")"

for tool in clang llvm-strip; do
    command -v "$tool" >/dev/null || { echo "missing: $tool (apt-get install clang llvm libbpf-dev)" >&2; exit 3; }
done
[ -e /usr/include/bpf/bpf_core_read.h ] || { echo "missing: libbpf-dev" >&2; exit 3; }
version=$(clang -dumpversion | cut -d. -f1)

compile() {
    clang -O2 -g -Wall -Werror -target bpf -mcpu=v3 -fdebug-prefix-map="$PWD=." -c owners.bpf.c -o "$1"
    # Types (BTF) stay; DWARF goes.
    llvm-strip -g "$1"
}

if [ "${1:-}" = --check ]; then
    made=$(sed -n '1s/^# clang //p' sources.sha256)
    [ "$made" = "$version" ] || { echo "skipped: made by clang $made, this is clang $version"; exit 0; }
    new=$(mktemp)
    trap 'rm -f "$new"' EXIT
    compile "$new"
    cmp "$new" owners.bpf.o && echo "owners.bpf.o is what its sources say"
    exit
fi
compile owners.bpf.o
{ echo "# clang $version"; sha256sum -- *.c *.h owners.bpf.o; } >sources.sha256

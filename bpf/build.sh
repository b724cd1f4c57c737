#!/usr/bin/env bash
# Compiles the programs; needed only when a source here has changed. What it makes is committed, so that a
# build of rustnet needs no clang.
#
#   bpf/build.sh          compiles each *.bpf.c, and writes its .o and sources.sha256
#   bpf/build.sh --check  compiles beside them, and says whether the committed objects are the same
#
# Needs clang, llvm-strip and libbpf's headers (Debian: apt-get install clang llvm libbpf-dev). An object
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
    clang -O2 -g -Wall -Werror -target bpf -mcpu=v3 -fdebug-prefix-map="$PWD=." -c "$1" -o "$2"
    # Types (BTF) stay; DWARF goes.
    llvm-strip -g "$2"
}

if [ "${1:-}" = --check ]; then
    made=$(sed -n '1s/^# clang //p' sources.sha256)
    [ "$made" = "$version" ] || { echo "skipped: made by clang $made, this is clang $version"; exit 0; }
    new=$(mktemp)
    trap 'rm -f "$new"' EXIT
    for source in *.bpf.c; do
        compile "$source" "$new"
        cmp "$new" "${source%.c}.o" && echo "${source%.c}.o is what its sources say"
    done
    exit
fi
for source in *.bpf.c; do
    compile "$source" "${source%.c}.o"
done
{ echo "# clang $version"; sha256sum -- *.c *.h *.o; } >sources.sha256

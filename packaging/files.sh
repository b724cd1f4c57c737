#!/usr/bin/env bash
# Writes man page and completions of a built rustnet, for packages: files.sh BINARY [FOLDER]
set -euo pipefail

binary=${1:?files.sh BINARY [FOLDER]}
out=${2:-$(dirname "$0")/out}

mkdir -p "$out"
"$binary" --man >"$out/rustnet.1"
"$binary" --completions bash >"$out/rustnet.bash"
"$binary" --completions zsh >"$out/_rustnet"
"$binary" --completions fish >"$out/rustnet.fish"

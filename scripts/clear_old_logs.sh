#!/usr/bin/env bash
# Removes all logs but the newest: clear_old_logs.sh [FOLDER], by default logs in the working directory.
set -euo pipefail
shopt -s nullglob

folder=${1:-logs}
if [ ! -d "$folder" ]; then
    echo "clear_old_logs.sh: there is no folder $folder" >&2
    exit 1
fi

# Names sort as their times do; two of one second have _2, _3 behind it.
logs=("$folder"/rustnet_[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]_[0-9][0-9]-[0-9][0-9]-[0-9][0-9]*.log)
[ ${#logs[@]} -gt 1 ] || exit 0
newest=$(printf '%s\0' "${logs[@]}" | sed -z 's/\.log$//' | LC_ALL=C sort -zV | tail -zn 1 | tr -d '\0').log
for log in "${logs[@]}"; do
    if [ "$log" != "$newest" ] && [ -f "$log" ] && [ ! -L "$log" ]; then
        rm -- "$log"
    fi
done

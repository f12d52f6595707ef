#!/usr/bin/env bash
# What the bundle's launcher does where torch is, is not, or is another version; with stand-ins for the program, torch
# and python3. Changes nothing outside a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# torch FOLDER VERSION: a stand-in.
torch() { mkdir -p "$1/lib" && touch "$1/lib/libtorch_cpu.so" && echo "__version__ = '$2+cu130'" >"$1/version.py"; }

# expect NAME PATTERN [VARIABLE=VALUE...]: what the launcher prints in that environment, in one line.
expect() {
    local output
    output=$(env -i HOME="$work/home" PATH="$work/bin:$PATH" "${@:3}" "$work/linked" a "b c" 2>&1) || true
    # shellcheck disable=SC2053
    if [[ $output == $2 && $output != *$'\n'* ]]; then echo "ok: $1"; else
        echo "FAILED: $1: $output" && failures=$((failures + 1))
    fi
}

mkdir -p "$work"/{bundle/lib,bin}
cp Scripts/bundle/transcend "$work/bundle/"
ln -s bundle/transcend "$work/linked"
# shellcheck disable=SC2016
printf '#!/bin/sh\necho "$# $LD_LIBRARY_PATH"\n' >"$work/bundle/lib/transcend"
printf '#!/bin/sh\n[ -d "%s/site" ] && echo "%s/site/torch"\n' "$work" "$work" >"$work/bin/python3"
chmod +x "$work"/{bundle/lib/transcend,bin/python3}

expect "no torch" "transcend: error: torch 2.11.0 is needed; run *"
torch "$work/site/torch" 2.9.1
expect "another torch" "*2.11.0 is needed, and $work/site/torch is torch 2.9.1; run *"
torch "$work/home/.cache/transcend/libtorch-2.11.0/torch" 2.11.0
expect "the cache folder" "2 $work/bundle/lib:$work/home/.cache/transcend/libtorch-2.11.0/torch/lib"
torch "$work/site/torch" 2.11.0
expect "python3's torch" "2 $work/bundle/lib:$work/site/torch/lib"
torch "$work/given" 2.11.0
expect "LIBTORCH" "2 $work/bundle/lib:$work/given/lib:/other" LIBTORCH="$work/given" LD_LIBRARY_PATH=/other
expect "LIBTORCH without torch" "*is needed, and LIBTORCH=$work/bin holds no lib/libtorch_cpu.so; *" LIBTORCH="$work/bin"
torch "$work/given" 2.12.0
expect "LIBTORCH of another version" "*is needed, and $work/given is torch 2.12.0; *" LIBTORCH="$work/given"

[ "$failures" = 0 ]

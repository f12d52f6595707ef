#!/usr/bin/env bash
# What setup.sh says where something cannot be had, with stand-ins for the programs that it calls. Needs no network and
# changes nothing outside a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
setup=(Scripts/setup.sh)

# program NAME LINES: a stand-in, in a folder that `setup` puts before the others in PATH.
program() {
    mkdir -p "$work/bin"
    printf '#!/bin/sh\n%s\n' "$2" >"$work/bin/$1" && chmod +x "$work/bin/$1"
}

# expect NAME PATTERN [VARIABLE=VALUE...]: setup.sh fails, and its last line, the only one with "error:", matches.
expect() {
    local output
    if output=$(env -u LIBTORCH PATH="$work/bin:$PATH" XDG_CACHE_HOME="$work/cache" "${@:3}" "${setup[@]}" 2>&1); then
        output="(no failure) $output"
    fi
    if [[ $(tail -1 <<<"$output") == "setup: error: "*$2* && $(grep -c error: <<<"$output") = 1 ]]; then
        echo "ok: $1"
    else
        echo "FAILED: $1: $output" && failures=$((failures + 1))
    fi
    rm -rf "${work:?}"/{bin,cache}
}

# A folder to be all of PATH, without Swift and Python.
mkdir "$work/bare"
for name in bash env dirname uname sed id mkdir flock rm; do ln -s "$(command -v "$name")" "$work/bare/"; done

expect "no swift" "There is no swift in PATH" PATH="$work/bare"
program swift 'echo "Swift version 5.10.1 (swift-5.10.1-RELEASE)"'
expect "an old swift" "needs Swift 6 or newer, and $work/bin/swift is 5.10.1."
program uname 'echo Darwin arm64'
expect "another system" "and this is Darwin arm64."

expect "LIBTORCH without libtorch" "LIBTORCH=$work names no libtorch" LIBTORCH="$work"
mkdir -p "$work/torch/lib" "$work/torch/include/torch/headeronly" && touch "$work/torch/lib/libtorch_cpu.so"
expect "LIBTORCH of no version" "is libtorch of an unknown version, and Transcend needs 2.11.0." LIBTORCH="$work/torch"
printf '#define TORCH_VERSION_%s\n' 'MAJOR 2' 'MINOR 12' 'PATCH 1' >"$work/torch/include/torch/headeronly/version.h"
expect "LIBTORCH of another version" "is libtorch 2.12.1, and Transcend needs 2.11.0." LIBTORCH="$work/torch"
echo "__version__ = '2.9.1+cu130'" >"$work/torch/version.py"
expect "a wheel of another version" "is libtorch 2.9.1+cu130, and Transcend needs 2.11.0." LIBTORCH="$work/torch"

program swift 'echo "Swift version 6.3.1"'
expect "no python3" "there is no python3 in PATH; run: sudo apt-get install -y python3-pip" PATH="$work/bin:$work/bare"
program python3 'exit 1'
expect "no pip" "python3 lacks; run: sudo apt-get install -y python3-pip"
program df 'printf "\n- - - 700 -\n"'
expect "a full disk" "cache/transcend has 700 MB."
# pip REASON: pip that fails and says so.
pip() { program python3 "case \"\$*\" in *--version*) ;; *) echo '$1'; exit 1 ;; esac"; }
pip 'WARNING: Retrying (Retry(total=0)) after connection broken by NewConnectionError'
expect "no network" "pip has no connection to its package index"
pip 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.'
expect "another hash" "differs from its hash in Scripts/libtorch.txt"
pip 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device'
expect "a disk that fills" "is full."
pip 'ERROR: No matching distribution found for torch==2.11.0'
expect "a wheel that is not there" "No matching distribution found for torch==2.11.0"

# Headers can be hidden only where a mount namespace can be had.
if unshare --mount true 2>/dev/null; then
    program id 'echo 1000'
    setup=(unshare --mount sh -c "mount -t tmpfs none /usr/include && exec Scripts/setup.sh")
    expect "packages that are missing" "sudo apt-get install -y libturbojpeg0-dev libpng-dev zlib1g-dev"
fi

[ "$failures" = 0 ]

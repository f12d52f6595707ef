#!/usr/bin/env bash
# Fails where `swift format` has a remark or a release build gives a warning in our own sources.
set -euo pipefail
cd "$(dirname "$0")/.."

swift format lint --strict -r Sources Tests Package.swift

# What is up to date is not compiled, and so does not repeat its warnings: every build that make does adds its output to
# this file, and modules that have warned are compiled anew to see whether they still do.
log=.build/build.log
warnings() { grep -hE '^[^|]*warning:' "$log" | grep -v '/\.build/checkouts/' | sort -u; }

make tests
if warnings >/dev/null; then
    warnings | sed -nE 's;.*/(Sources|Tests)/([^/]+)/.*;\2;p' | sort -u | while read -r module; do
        find ".build/release/$module.build" -name '*.o' -delete || true  # gone: the module has a new name
    done
    rm "$log"
    make tests
fi
if warnings; then
    echo "lint: error: the build gives the warnings above." >&2
    exit 1
fi

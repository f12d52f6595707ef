#!/usr/bin/env bash
# Makes a directory that runs on other machines with glibc 2.36 and torch 2.11.0: the program with Swift's libraries
# linked into it, the image and compression libraries, a launcher that finds torch, and the licences.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -nE 's/.*current = "(.*)"/\1/p' Sources/Transcend/Run/Diagnosis.swift)
bundle=.build/transcend-$version-linux-x86_64
partial=$bundle.partial
limit_mb=64  # of 2^20 bytes
shipped=(libturbojpeg.so.0:libturbojpeg0 libpng16.so.16:libpng16-16 libz.so.1:zlib1g)  # library:Debian package
# What every machine that can import torch has: glibc, the C++ library, and torch itself.
given='^(lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|c10|torch_cpu|gomp)\.so.*|ld-linux-x86-64\.so\.2)$'

fail() {
    echo "bundle: error: $*" >&2
    exit 1
}

# Relocations in their packed form (glibc 2.36) and equal functions kept once: together 3 MB.
compile() {
    TRANSCEND_BUNDLE=1 swift build -c release --product transcend --static-swift-stdlib --scratch-path .build/bundle \
        -Xswiftc -use-ld=lld -Xlinker -s -Xlinker --icf=safe -Xlinker -z -Xlinker pack-relative-relocs 2>&1 |
        tee .build/bundle.log | tail -1
}

place() {
    local pair name path
    cp .build/bundle/release/transcend "$partial/lib/"
    cp Scripts/bundle/transcend "$partial/"
    for pair in "${shipped[@]}"; do
        name=${pair%:*}
        path=$(ldd .build/release/transcend | awk -v name="$name" '$1 == name { print $3 }')
        [ -n "$path" ] || fail "The program does not use $name; correct the list in Scripts/bundle.sh."
        cp -L "$path" "$partial/lib/$name"
    done
}

place_licences() {
    local pair name files toolchain package
    toolchain=$(dirname "$(readlink -f "$(command -v swift)")")/..
    cp LICENSE "$partial/"
    cp "$toolchain/share/swift/LICENSE.txt" "$partial/licences/swift.txt"
    for package in .build/bundle/checkouts/*; do
        cat "$package"/LICENSE* >"$partial/licences/$(basename "$package").txt"
    done
    cp Scripts/bundle/icu.txt "$partial/licences/"
    for pair in "${shipped[@]}"; do
        name=${pair#*:}
        files=("/usr/share/doc/$name"*/copyright)
        [ -e "${files[0]}" ] || fail "The licence of $name is not in /usr/share/doc; install the Debian package $name."
        cp "${files[0]}" "$partial/licences/$name.txt"
    done
}

# Every library that something in the bundle needs is in it or on every machine, and no folder is written down.
check() {
    local file name size
    for file in "$partial"/lib/*; do
        for name in $(objdump -p "$file" | awk '$1 == "NEEDED" { print $2 }'); do
            [[ -e $partial/lib/$name || $name =~ $given ]] || fail "$(basename "$file") needs $name, which is not shipped."
        done
        name=$(objdump -p "$file" | awk '$1 == "RUNPATH" || $1 == "RPATH" { print $2 }')
        # shellcheck disable=SC2016
        [[ -z $name || $name = '$ORIGIN' ]] || fail "$(basename "$file") looks for libraries in $name."
    done
    size=$(du -sb "$partial" | cut -f1)
    [ "$size" -le $((limit_mb << 20)) ] || fail "The bundle has $size bytes, more than $limit_mb MB."
    echo "$bundle: $((size >> 20)) MB"
}

rm -rf "$partial"
mkdir -p "$partial"/{lib,licences}
compile
place
place_licences
check
rm -rf "$bundle"
mv "$partial" "$bundle"

#!/usr/bin/env bash
# Gets what the build needs and the machine lacks: Debian packages, libtorch (into the user's cache folder, which clones
# share) and the Swift packages. Says in a line what it does; says nothing where nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

version=2.11.0
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/transcend  # Package.swift knows the same place
libtorch=$cache/libtorch-$version
partial=$libtorch.partial  # what an interrupted set-up leaves behind; the next one removes it
needed_mb=1200             # two copies of the large wheel while pip moves it, or one and the files from it

say() { echo "setup: $*"; }
fail() {
    echo "setup: error: $*" >&2
    exit 1
}

check_machine() {
    [ "$(uname -sm)" = "Linux x86_64" ] || fail "Transcend runs on Linux on x86_64, and this is $(uname -sm)."
    command -v swift >/dev/null ||
        fail "There is no swift in PATH; install Swift 6 (https://www.swift.org/install/linux) and run make again."
    local found
    found=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9.]+).*/\1/p' || true)
    [ "${found%%.*}" -ge 6 ] 2>/dev/null ||
        fail "Transcend needs Swift 6 or newer, and $(command -v swift) is ${found:-of an unknown version}."
}

# Debian packages, told by a header of each: quick, and right on other distributions too.
missing_packages() {
    local pair
    for pair in turbojpeg.h:libturbojpeg0-dev png.h:libpng-dev zlib.h:zlib1g-dev; do
        [ -e "/usr/include/${pair%:*}" ] || echo "${pair#*:}"
    done
}

install_packages() {
    local install=(apt-get install -y "$@") update="" package log
    command -v apt-get >/dev/null ||
        fail "Development files are missing; install what Debian calls $* and run make again."
    for package; do
        apt-cache show "$package" >/dev/null 2>&1 || update="sudo apt-get update && "
    done
    [ "$(id -u)" = 0 ] || fail "Debian packages are missing, which only root can install; run: ${update}sudo ${install[*]}"
    say "Installing the Debian packages $*"
    lock
    export DEBIAN_FRONTEND=noninteractive
    install+=(-q -o DPkg::Lock::Timeout=120)
    # A failure of the first try may only mean that the lists are old or empty.
    log=$({ "${install[@]}" || { apt-get update -q && "${install[@]}"; }; } 2>&1 9>&-) ||
        fail "apt-get could not install $*: $(grep -m1 'Failed to fetch' <<<"$log" || grep -m1 ^E: <<<"$log")"
}

# One set-up at a time. pip inherits the lock, so that it holds even if this script is killed before pip ends.
lock() {
    { mkdir -p "$cache" && : >>"$cache/setup.lock"; } 2>/dev/null || fail "The cache folder $cache cannot be written."
    exec 9>>"$cache/setup.lock"
    flock -n 9 || { say "Waiting for another set-up that is running" && flock 9; }
}

# LIBTORCH: an installation that the user has, used as it is.
check_given() {
    local hint="it must be the absolute path of a folder torch with lib/ and include/, as in site-packages"
    [[ $1 = /* && -e $1/lib/libtorch_cpu.so && -d $1/include ]] || fail "LIBTORCH=$1 names no libtorch: $hint."
    local found
    found=$(sed -nE "s/^__version__ = '([^']+)'.*/\1/p" "$1/version.py" 2>/dev/null || header_version "$1")
    [ "${found%%+*}" = "$version" ] ||
        fail "LIBTORCH=$1 is libtorch ${found:-of an unknown version}, and Transcend needs $version."
}

header_version() {
    local headers=("$1"/include/torch/{headeronly,csrc/api/include/torch}/version.h)  # older releases: the second
    sed -nE 's/^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' "${headers[@]}" 2>/dev/null |
        head -3 | paste -sd. || true
}

complete() {
    local file
    for file in torch/include/torch/headeronly/version.h torch/lib/lib{torch_cpu.so,c10.so,gomp.so.1} \
        nvidia/cu13/lib/lib{cudart,cupti}.so.13; do
        [ -s "$1/$file" ] || return 1
    done
}

install_libtorch() {
    command -v python3 >/dev/null ||
        fail "libtorch is fetched with pip, and there is no python3 in PATH; run: sudo apt-get install -y python3-pip"
    python3 -m pip --version >/dev/null 2>&1 ||
        fail "libtorch is fetched with pip, which $(command -v python3) lacks; run: sudo apt-get install -y python3-pip"
    lock
    ! complete "$libtorch" || return 0  # another clone has just done it
    trap 'rm -rf "$partial"' EXIT
    rm -rf "$partial" "$libtorch"
    local free_mb log
    free_mb=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
    [ "$free_mb" -ge "$needed_mb" ] || fail "libtorch needs $needed_mb MB while it is installed; $cache has $free_mb MB."
    say "Installing libtorch $version into $libtorch (540 MB to download, 500 MB on disk)"
    mkdir -p "$partial"/{wheels,tree}
    # The Python named here only picks the wheel: nothing of Python's is kept.
    log=$(TMPDIR=$partial python3 -m pip download -q --no-deps --no-cache-dir --only-binary=:all: --python-version 3.11 \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
        --require-hashes -r Scripts/libtorch.txt -d "$partial/wheels" 2>&1) ||
        fail "libtorch could not be fetched: $(pip_reason "$log")"
    log=$(unpack 2>&1) || fail "libtorch could not be unpacked: $(tail -1 <<<"$log")"
    complete "$partial/tree" || fail "The wheels of libtorch $version lack files that they should hold."
    sync -f "$partial"
    mv -T "$partial/tree" "$libtorch"
}

pip_reason() {
    case $1 in
        *"DO NOT MATCH THE HASHES"*) echo "a download differs from its hash in Scripts/libtorch.txt; try again." ;;
        *"No space left"*) echo "the disk of $cache is full." ;;
        *ConnectionError* | *"onnection broken"* | *[Tt]ime*out* | *ProxyError* | *"Max retries"*)
            echo "pip has no connection to its package index; check the network and run make again." ;;
        *) grep '^ERROR' <<<"$1" | tail -1 || tail -1 <<<"$1" ;;
    esac
}

unpack() {
    python3 - "$partial/wheels" "$partial/tree" <<'END'
import pathlib, sys, zipfile
keep = ("torch/include/", "torch/version.py", "torch/lib/libtorch_cpu.so", "torch/lib/libc10.so",
        "torch/lib/libgomp.so.1", "nvidia/cu13/lib/libcudart.so.13", "nvidia/cu13/lib/libcupti.so.13")
for path in pathlib.Path(sys.argv[1]).glob("*.whl"):
    with zipfile.ZipFile(path) as wheel:  # extracting checks each file's CRC
        names = wheel.namelist()
        wheel.extractall(sys.argv[2], [n for n in names if n.startswith(keep) or ".dist-info/licenses/" in n])
END
}

resolve_swift_packages() {
    local log
    mkdir -p .build
    [ .build/workspace-state.json -nt Package.swift ] || say "Fetching the Swift packages that Package.swift names"
    log=$(swift package resolve 2>&1 || swift package resolve 2>&1) ||  # servers have their moments
        fail "Swift packages could not be fetched; check the network and run make again ($(grep -m1 error: <<<"$log"))."
    touch .build/resolved
}

check_machine
mapfile -t packages < <(missing_packages)
[ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
if [ -n "${LIBTORCH:-}" ]; then check_given "$LIBTORCH"; else complete "$libtorch" || install_libtorch; fi
exec 9>&-
[ .build/resolved -nt Package.swift ] || resolve_swift_packages

#!/usr/bin/env bash
# Installs the Debian packages that Unroll needs and that are missing; with everything there it touches no network.
#
#   launch/install-deps.sh [--tests | --neon]
#
#   --tests   also what tests/run.sh needs (a second compiler, formatter, thread checker)
#   --neon    instead what preset neon needs on another machine than a 64-bit ARM one: a cross compiler, qemu, and two libraries
#             of Debian's arm64, which is made known to dpkg for that (67 MB to fetch, 355 MB on disk)
#
# As root it calls apt-get, otherwise sudo apt-get; with neither it prints the line to run and fails.  Elsewhere than on
# Debian and its descendants it names the libraries and goes on, for CMake says best what it misses.
set -euo pipefail

packages=(
    build-essential cmake ninja-build pkg-config
    libopenmpi-dev openmpi-bin      # ranks
    libopenblas-openmp-dev          # products of matrices; the OpenMP flavour shares our threads, the pthread one adds its own
    libhdf5-dev libxxhash-dev libssl-dev            # corpora and checkpoints, their digests
    libyaml-dev libjansson-dev libarchive-dev libutf8proc-dev
    librandom123-dev libhwloc-dev
    libcmocka-dev                   # CMake configures the tests too
)
architecture=""
case ${1:-} in
    "") ;;
    --tests) packages+=(clang libclang-rt-14-dev clang-format llvm libomp-14-dev python3-h5py) ;;
    --neon)
        architecture=arm64
        packages=(cmake ninja-build pkg-config librandom123-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
                  libcmocka-dev:arm64 libopenblas-openmp-dev:arm64) ;;
    *)
        echo "usage: ${0##*/} [--tests | --neon]" >&2
        exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not Debian: please install what these packages hold: ${packages[*]}" >&2
    exit 0
fi

# A library may be there for two architectures, and then has two lines.
missing=() native=$(dpkg --print-architecture)
for package in "${packages[@]}"; do
    case $package in *:*) which=${package##*:} ;; *) which=$native ;; esac
    states=$(dpkg-query -W -f='${Architecture} ${db:Status-Status}\n' "$package" 2>/dev/null) || true
    grep -qxE "($which|all) installed" <<<"$states" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing packages. Run this as root, then start again:" >&2
        echo "    ${architecture:+dpkg --add-architecture $architecture && }apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "Installing ${missing[*]}"
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ -n "$architecture" ]; then
    "${as_root[@]}" dpkg --add-architecture $architecture
fi
if ! apt update || ! apt install --no-install-recommends "${missing[@]}"; then
    cat "$log" >&2
    echo "apt-get failed; its output stands above" >&2
    exit 1
fi

#!/usr/bin/env bash
# Builds the packages of this machine's architecture into packaging/out: build.sh deb|rpm|tarball...
# deb needs `cargo install cargo-deb`, rpm `cargo install cargo-generate-rpm`, tarball a musl target
# (`rustup target add x86_64-unknown-linux-musl`); it finds owners without BPF.
set -euo pipefail

cd "$(dirname "$0")/.."
out=packaging/out
mkdir -p "$out"
arch=$(uname -m)

# NB: read by cargo-deb and cargo-generate-rpm too: all look in the same place.
export CARGO_TARGET_DIR=target

release() {
    cargo build --release --locked
    packaging/files.sh target/release/rustnet "$out"
}

for kind in "${@:-deb}"; do
    case $kind in
    deb)
        release
        case $arch in x86_64) name=amd64 ;; aarch64) name=arm64 ;; armv7*) name=armhf ;; *) name=$arch ;; esac
        cargo deb --no-build --output "$out/Rustnet_LinuxDEB_$name.deb"
        ;;
    rpm)
        release
        cargo generate-rpm --output "$out/Rustnet_LinuxRPM_$arch.rpm"
        ;;
    tarball)
        cargo build --release --locked --no-default-features --target "$arch-unknown-linux-musl"
        packaging/files.sh "target/$arch-unknown-linux-musl/release/rustnet" "$out"
        tar -C "target/$arch-unknown-linux-musl/release" -czf "$out/rustnet-linux-musl-$arch.tar.gz" rustnet \
            -C "$PWD/$out" rustnet.1 rustnet.bash _rustnet rustnet.fish
        ;;
    *)
        echo "build.sh deb|rpm|tarball..." >&2
        exit 2
        ;;
    esac
done

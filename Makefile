# make run ARGS="-i eth0"   builds and starts rustnet
# make test                 runs every test
# make bench                runs the benches
# make check                what a change must pass: format, lints, documents, tests
# make loom                 models of the lock-free parts, over all interleavings
# make package-files        man page and completions, in packaging/out
#
# Each installs the system packages that are missing, and asks for sudo only then.

# Also where rustup has just put it, before the next login finds it.
CARGO ?= $(shell command -v cargo || echo $(HOME)/.cargo/bin/cargo)
ARGS ?=
# Capture through libpcap comes in where libpcap's development files are.
PCAP := $(shell pkg-config --exists libpcap 2>/dev/null && echo --features pcap)
BINARY = $${CARGO_TARGET_DIR:-target}/release/rustnet

.PHONY: run build test bench check loom package-files packages cargo

# Capture needs CAP_NET_RAW. Files, help and listings do not: only a live run asks for sudo.
run: build
	@exec scripts/run.sh "$(BINARY)" $(ARGS)

build: packages cargo
	$(CARGO) build --release --locked $(PCAP)

test: packages cargo
	$(CARGO) test --locked $(PCAP)

bench: packages cargo
	$(CARGO) bench --locked

check: packages cargo
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet
	$(CARGO) test --locked

# In a folder of its own: every crate is built anew with the flag.
loom: packages cargo
	RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-target}/loom \
		$(CARGO) test --locked --lib model::

package-files: build
	packaging/files.sh "$(BINARY)"

packages:
	@scripts/system-packages.sh

cargo:
	@command -v $(CARGO) >/dev/null || { \
		echo "cargo is missing: install Rust 1.88 or later, for example from https://rustup.rs," >&2; \
		echo "and open a new shell, or run: . \"\$$HOME/.cargo/env\"" >&2; \
		exit 1; }

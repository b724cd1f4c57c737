//! The races of `bpf/tally.h` with its reader, step by step: see `tests/tally/races.c`, which includes the program as one
//! of user space.
#![cfg(all(target_os = "linux", target_arch = "x86_64", feature = "bpf"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{path::Path, process::Command};

/// `cc` is there where libbpf could be built.
#[test]
fn whatever_the_reader_does_between_two_steps_each_frame_counts_once_and_where_it_was() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tally");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("races");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let done = Command::new(compiler)
        .args(["-O1", "-w", "-fno-strict-aliasing", "-I"])
        .arg(&dir)
        .arg("-o")
        .arg(&program)
        .arg(dir.join("races.c"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let run = Command::new(program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout), "ok\n");
}

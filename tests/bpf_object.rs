//! The compiled BPF programs belong to their sources: whoever changes one runs `bpf/build.sh`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{path::Path, process::Command};

#[test]
fn the_object_is_made_from_the_sources_that_are_there() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf");
    let Ok(done) = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "sources.sha256"])
        .current_dir(&dir)
        .output()
    else {
        return eprintln!("skipped: no sha256sum");
    };
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "run bpf/build.sh: {text}");
    // And none was left out.
    let list = std::fs::read_to_string(dir.join("sources.sha256")).unwrap();
    for file in std::fs::read_dir(&dir).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        let is_source = name.ends_with(".c") || name.ends_with(".h") || name.ends_with(".o");
        assert!(!is_source || list.lines().any(|l| l.ends_with(&format!("  {name}"))), "{name}");
    }
}

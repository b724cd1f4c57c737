//! Captures with their ground truth, which lie beside the clone where they are there.

use std::path::{Path, PathBuf};

/// Returns the folder of shared captures, or `None` with a message if it is not there.
pub fn captures() -> Option<PathBuf> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("RUSTNET_SHARED").map_or_else(|| base.join("../shared"), PathBuf::from);
    let captures = shared.join("captures");
    if captures.join("expected").is_dir() {
        return Some(captures);
    }
    eprintln!("skipped: no shared captures in {} (RUSTNET_SHARED names another place)", captures.display());
    None
}

//! Paths of control groups by their ids, which are the inode numbers of their directories in the unified
//! hierarchy (cgroups(7)).

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Unknown ids are looked for at most so often.
const PAUSE: Duration = Duration::from_secs(2);
/// Directories looked at in one search.
const MOST: usize = 20_000;

fn root_path() -> &'static Path {
    let unified = Path::new("/sys/fs/cgroup/unified");
    if unified.is_dir() { unified } else { Path::new("/sys/fs/cgroup") }
}

/// Opens the root of the unified hierarchy.
///
/// # Errors
/// When it is not there.
#[cfg(feature = "bpf")]
pub fn root() -> std::io::Result<fs::File> {
    fs::File::open(root_path())
}

/// Paths that were found.
#[derive(Debug, Default)]
pub struct Cgroups {
    paths: HashMap<u64, Box<str>>,
    searched: Option<Instant>,
}

impl Cgroups {
    /// Returns the path of a control group below the root of the hierarchy.
    pub fn path(&mut self, id: u64) -> Option<Box<str>> {
        if id > 1 && !self.paths.contains_key(&id) && self.searched.is_none_or(|at| at.elapsed() > PAUSE) {
            self.search();
        }
        self.paths.get(&id).cloned()
    }

    fn search(&mut self) {
        self.searched = Some(Instant::now());
        let root = root_path();
        let mut todo: Vec<PathBuf> = vec![root.to_owned()];
        let mut paths = HashMap::new();
        while let Some(dir) = todo.pop() {
            let Ok(entries) = fs::read_dir(&dir) else { continue };
            for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
                let path = entry.path();
                if let (Ok(meta), Ok(below)) = (entry.metadata(), path.strip_prefix(root)) {
                    paths.insert(meta.ino(), format!("/{}", below.display()).into());
                }
                todo.push(path);
            }
            if paths.len() >= MOST {
                break;
            }
        }
        self.paths = paths;
    }
}

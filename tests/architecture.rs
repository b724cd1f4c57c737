//! The house rules that the compiler cannot see, as tests.
//!
//! A module may import only from floors below its own; see `src/lib.rs` for the map.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, fs, path::Path};

/// Floor of each top-level module. Data flows up; imports point down.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["packet"],
    &["capture"],
    &["dpi"],
    &["flow"],
    &["process", "names"],
    &["snapshot"],
    &["pipeline", "query"],
    &["tui", "export", "platform"],
    &["config"],
    &["main"],
];

/// Exceptions by file: the readers' floor may not name these parts of a lower module.
const READERS: &[&str] = &["tui", "export", "query"];
const LIVE_STATE: &[&str] = &["flow::table", "flow::tcp", "flow::slab", "pipeline::"];

#[test]
fn imports_point_down() {
    let floor: BTreeMap<_, _> =
        FLOORS.iter().enumerate().flat_map(|(n, ms)| ms.iter().map(move |m| (*m, n))).collect();
    for (file, text) in sources() {
        let module = file.split('/').next().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let own = floor.get(module).unwrap_or_else(|| panic!("{file}: give `{module}` a floor"));
        assert!(!text.contains("super::super"), "{file}: write `crate::` instead of climbing");
        for target in crate_paths(&text) {
            let head = target.split("::").next().unwrap();
            if head == module {
                continue;
            }
            let Some(theirs) = floor.get(head) else { continue };
            assert!(theirs < own, "{file} (floor {own}) imports `{head}` (floor {theirs})");
        }
    }
}

#[test]
fn readers_see_snapshots_only() {
    for (file, text) in sources() {
        if !READERS.iter().any(|r| file.starts_with(r)) {
            continue;
        }
        for live in LIVE_STATE {
            let named = crate_paths(&text).iter().any(|p| reaches(p, live));
            assert!(!named, "{file} names `{live}`");
        }
    }
}

#[test]
fn one_file_names_the_operating_system() {
    for (file, text) in sources() {
        let named = text.contains("target_os") || text.contains("cfg(unix") || text.contains("cfg(windows");
        assert!(!named || file == "platform/mod.rs", "{file}: move the cfg behind `Platform`");
    }
}

#[test]
fn nothing_panics_where_nobody_reads_what_is_told() {
    for (file, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for told in ["println!(", "eprint!(", " print!("] {
            assert!(!code.contains(told), "{file}: `{told}` panics without a reader; see `say` in `main.rs`");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "{file}: begin with a `//!` line");
    }
}

/// Whether `path` names `part`, also as `flow::{key, table}`.
fn reaches(path: &str, part: &str) -> bool {
    let (module, item) = part.split_once("::").unwrap();
    let Some(rest) = path.strip_prefix(module).and_then(|r| r.strip_prefix("::")) else { return false };
    item.is_empty() || rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|w| w == item)
}

/// All `crate::a::b` paths in code, groups taken apart; comments and test modules left out.
fn crate_paths(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let code: String =
        code.lines().map(|l| l.split("//").next().unwrap()).flat_map(|l| [l.trim(), " "]).collect();
    let mut paths = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let mut depth = 0;
        let end = rest.find(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0 && !(c.is_alphanumeric() || "_:}".contains(c))
        });
        let path = &rest[..end.unwrap_or(rest.len())];
        match path.strip_prefix('{') {
            // Members of a group; a nested group keeps only its own prefix, which is what counts.
            Some(group) => {
                let mut depth = 0;
                paths.extend(
                    group
                        .split(|c: char| {
                            depth += i32::from(c == '{') - i32::from(c == '}');
                            c == ',' && depth == 0
                        })
                        .map(|m| m.trim().trim_end_matches('}').to_owned()),
                );
            }
            None => paths.push(path.to_owned()),
        }
    }
    paths
}

/// Every source file: path below `src/`, and text.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, root: &Path, out: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                out.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    walk(&root, &root, &mut out);
    out
}

//! Files that rows, sums and texts are written to.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::{
    process::listening::Listening,
    query::{
        finder::Finder,
        group::{Group, GroupBy},
        kept::of_row,
        window::Request,
    },
    snapshot::{row::Row, tap::Ended, view::Snapshot},
    tui::app::Form,
};

/// Appends the line of a sum by host or process.
pub type WriteSum = fn(&mut Vec<u8>, GroupBy, &Group, &[Listening]);

/// What files are written with.
#[derive(Clone, Copy)]
pub struct Files {
    /// Appends a row's line of JSON.
    pub json: fn(&mut Vec<u8>, &Ended),
    /// Appends a row's comma-separated values.
    pub csv: fn(&mut Vec<u8>, &Row),
    /// Appends a sum's line of JSON.
    pub sum_json: WriteSum,
    /// Appends a sum's comma-separated values.
    pub sum_csv: WriteSum,
    /// Makes a file that was not there, readable by its owner only.
    pub create: fn(&Path) -> io::Result<fs::File>,
}

/// Writes rows into a file of their own, which only its owner can read.
pub fn write_rows(
    finder: &mut Finder,
    snapshot: &Snapshot,
    request: &Request,
    path: &Path,
    files: Files,
) -> io::Result<String> {
    let mut lines = Vec::new();
    let form = Form::of(path);
    let count = finder.export::<io::Error>(snapshot, request, |row| {
        match form {
            Form::Jsonl | Form::Text => (files.json)(&mut lines, &of_row(row)),
            Form::Csv => (files.csv)(&mut lines, row),
        }
        Ok(())
    })?;
    write_new(path, &lines, files)?;
    Ok(format!("{count} rows"))
}

/// Writes sums into a file of their own.
pub fn write_sums(
    finder: &mut Finder,
    snapshot: &Snapshot,
    (request, by): (&Request, GroupBy),
    listening: &[Listening],
    path: &Path,
    files: Files,
) -> io::Result<String> {
    let mut lines = Vec::new();
    let write = match Form::of(path) {
        Form::Csv => files.sum_csv,
        Form::Jsonl | Form::Text => files.sum_json,
    };
    let count = finder.export_sums(snapshot, request, |group| write(&mut lines, by, group, listening));
    write_new(path, &lines, files)?;
    Ok(format!("{count} {}", if by == GroupBy::Host { "hosts" } else { "processes" }))
}

/// Returns a name that no file has: names tell the second, in which there may be several.
pub fn free_name(path: PathBuf) -> PathBuf {
    let (stem, ending) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    let numbered = |n: u32| {
        let mut name = stem.to_owned();
        name.push(format!("_{n}."));
        name.push(ending);
        path.with_file_name(name)
    };
    match path.exists() {
        true => (2..100).map(numbered).find(|name| !name.exists()).unwrap_or(path),
        false => path,
    }
}

/// Writes a file that was not there, which only its owner can read.
pub fn write_new(path: &Path, bytes: &[u8], files: Files) -> io::Result<()> {
    (files.create)(path)?.write_all(bytes)
}

/// Says what became of a file.
pub fn told(written: io::Result<String>, path: &Path) -> Result<String, String> {
    let name = path.display();
    written
        .map(|what| format!("{what} written to {name}"))
        .map_err(|error| format!("cannot write {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_a_name_that_no_other_has() {
        let folder = std::env::temp_dir().join(format!("rustnet-names-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for ending in ["jsonl", "pcapng"] {
            let name = folder.join(format!("rustnet_2026-11-22_13-58-04.{ending}"));
            for n in 1..4 {
                let path = free_name(name.clone());
                let number = if n > 1 { format!("_{n}") } else { String::new() };
                assert_eq!(path, folder.join(format!("rustnet_2026-11-22_13-58-04{number}.{ending}")));
                fs::write(path, "").unwrap();
            }
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}

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

/// Writes a file that was not there, which only its owner can read: all of it or nothing.
pub fn write_new(path: &Path, bytes: &[u8], files: Files) -> io::Result<()> {
    let mut file = (files.create)(path)?;
    file.write_all(bytes).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Says what became of a file.
pub fn told(written: io::Result<String>, path: &Path) -> Result<String, String> {
    let name = path.display();
    written.map(|what| format!("{what} written to {name}")).map_err(|error| match path.exists() {
        true => format!("cannot write {name}: {error}"),
        false => format!("cannot write {name}: {error}; nothing of it is left"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_that_has_no_room_nothing_is_left() {
        // Whatever is written to it finds no room (full(4)).
        let full = |path: &Path| {
            fs::write(path, "cut")?;
            fs::OpenOptions::new().write(true).open("/dev/full")
        };
        let files = Files {
            json: |_, _| {},
            csv: |_, _| {},
            sum_json: |_, _, _, _| {},
            sum_csv: |_, _, _, _| {},
            create: full,
        };
        if !Path::new("/dev/full").exists() {
            return;
        }
        let path = std::env::temp_dir().join(format!("rustnet-full-{}.jsonl", std::process::id()));
        let written = write_new(&path, b"{}\n", files).map(|()| "1 rows".to_owned());
        assert!(!path.exists());
        let text = told(written, &path).unwrap_err();
        assert!(text.contains("No space left") && text.ends_with("; nothing of it is left"), "{text}");
    }

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

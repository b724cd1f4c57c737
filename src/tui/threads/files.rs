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
    /// Appends the names of these values, which stand before the first row.
    pub csv_names: fn(&mut Vec<u8>),
    /// Appends a sum's line of JSON.
    pub sum_json: WriteSum,
    /// Appends a sum's comma-separated values.
    pub sum_csv: WriteSum,
    /// Appends the names of these values.
    pub sum_csv_names: fn(&mut Vec<u8>, GroupBy),
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
    if lines.is_empty() && form == Form::Csv {
        (files.csv_names)(&mut lines);
    }
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
    if lines.is_empty() && Form::of(path) == Form::Csv {
        (files.sum_csv_names)(&mut lines, by);
    }
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

/// Makes a file that was not there, by the name that it is to have or one with a number: another program may take the
/// name that was free a moment ago.
///
/// # Errors
/// When none can be made.
pub fn make_new(name: &Path, files: Files) -> io::Result<(PathBuf, fs::File)> {
    let mut tries = 0;
    loop {
        let path = free_name(name.to_owned());
        match (files.create)(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 10 => tries += 1,
            made => return made.map(|file| (path, file)),
        }
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

    /// Files of rows without text.
    fn writing_nothing(create: fn(&Path) -> io::Result<fs::File>) -> Files {
        Files {
            json: |_, _| {},
            csv: |_, _| {},
            csv_names: |_| {},
            sum_json: |_, _, _, _| {},
            sum_csv: |_, _, _, _| {},
            sum_csv_names: |_, _| {},
            create,
        }
    }

    #[test]
    fn of_a_file_that_has_no_room_nothing_is_left() {
        // Whatever is written to it finds no room (full(4)).
        let full = |path: &Path| {
            fs::write(path, "cut")?;
            fs::OpenOptions::new().write(true).open("/dev/full")
        };
        let files = writing_nothing(full);
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
    fn k19_a_name_that_another_program_takes_at_the_same_moment_is_no_failure() {
        let folder = std::env::temp_dir().join(format!("rustnet-taken-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let create = |path: &Path| {
            // Somebody else was faster, once.
            if !path.to_string_lossy().contains('_') {
                fs::write(path, "other")?;
            }
            fs::OpenOptions::new().write(true).create_new(true).open(path)
        };
        let files = writing_nothing(create);
        let (path, _) = make_new(&folder.join("frames.pcapng"), files).unwrap();
        assert_eq!(path, folder.join("frames_2.pcapng"));
        assert_eq!(fs::read(folder.join("frames.pcapng")).unwrap(), b"other");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn k19_a_table_without_rows_has_the_names_of_its_fields() {
        let path = std::env::temp_dir().join(format!("rustnet-empty-{}.csv", std::process::id()));
        let files = Files {
            json: |_, _| {},
            csv: |_, _| {},
            csv_names: |out| out.extend_from_slice(b"a,b\r\n"),
            sum_json: |_, _, _, _| {},
            sum_csv: |_, _, _, _| {},
            sum_csv_names: |out, _| out.extend_from_slice(b"of,a\r\n"),
            create: |path| fs::File::create(path),
        };
        let snapshot = crate::snapshot::sample::of_rows(&[], Default::default(), Default::default());
        let (mut finder, request) = (Finder::default(), Request::default());
        write_rows(&mut finder, &snapshot, &request, &path, files).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"a,b\r\n");
        fs::remove_file(&path).unwrap();
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

//! README against the program: its tables name what is there, and nothing else.

#![allow(clippy::unwrap_used, reason = "helpers of tests, where a panic is the answer")]

#[path = "common/engine.rs"]
mod engine;

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use clap::CommandFactory as _;
use rustnet::{
    base::{counters::DropReason, time::Nanos},
    capture::synthetic::{MemorySource, Mix, Traffic},
    config::cli::Cli,
    dpi::{
        fact::Fact,
        inspector::{BYTES_PER_FLOW, MOST_DATAGRAMS, MOST_SEGMENTS},
        service::Service,
        talk::{MEMORY, STREAM_BUDGET},
    },
    flow::state::{EndReason, FlowState},
    query::column::COLUMNS,
    tui::keys::KEYS,
};
use serde_json::Value;

const README: &str = include_str!("../README.md");

/// The text of a section, without its heading.
fn section(heading: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The first table of a section: the cells of its rows, without the header.
fn table(section: &str) -> Vec<Vec<String>> {
    let lines = section.lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    lines.skip(2).map(cells).collect()
}

fn cells(line: &str) -> Vec<String> {
    let whole = line.replace("\\|", "\0");
    whole.trim_matches('|').split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// What stands between backticks.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn flags_are_those_of_the_program() {
    let mut command = Cli::command();
    command.build();
    let there: BTreeSet<String> = command
        .get_arguments()
        .map(|arg| {
            let short = arg.get_short().map_or(String::new(), |s| format!("-{s}, "));
            let flag = format!("{short}--{}", arg.get_long().unwrap());
            let values: Vec<_> = arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
            match arg.get_action().takes_values() {
                false => flag,
                true if values.is_empty() => format!("{flag} <{}>", arg.get_value_names().unwrap()[0]),
                true => format!("{flag} <{}>", values.join("|")),
            }
        })
        .collect();
    let rows = table(section("Flags"));
    let told = rows.iter().flat_map(|row| spans(&row[0])).map(str::to_owned).collect();
    assert_eq!(there, told);
}

#[test]
fn keys_are_those_of_the_program() {
    let there: Vec<&str> = KEYS.iter().flat_map(|key| key.name.split(", ")).collect();
    let rows = table(section("Keys"));
    let told: Vec<&str> = rows.iter().flat_map(|row| spans(&row[0])).collect();
    assert_eq!(there, told);
}

#[test]
fn columns_and_their_widths_are_those_of_the_program() {
    let there: Vec<_> = COLUMNS.iter().map(|c| (c.header, c.shown_from.to_string())).collect();
    let rows = table(section("Columns"));
    let told: Vec<_> = rows.iter().map(|row| (spans(&row[0])[0], row[1].clone())).collect();
    assert_eq!(there, told);
}

#[test]
fn states_and_lifetimes_are_those_of_the_program() {
    let rows = table(section("States and lifetimes"));
    let told: Vec<(&str, &str)> = rows
        .iter()
        .flat_map(|row| spans(&row[0]).into_iter().map(|state| (state, row[1].as_str())))
        .collect();
    let mut there = BTreeSet::new();
    for state in FlowState::ALL {
        let lifetime = state.expires_after().0 / 1_000_000_000;
        for silence in [0, 20, 50] {
            let text = state.text(Nanos::from_secs(silence));
            there.insert(text);
            let is_told = told.iter().any(|(name, life)| {
                let is_right = life.starts_with(&format!("{lifetime} s"))
                    || lifetime % 60 == 0 && life.starts_with(&format!("{} min", lifetime / 60));
                *name == text && is_right && life.contains("from entering") == state.counts_from_entry()
            });
            assert!(is_told, "{text} of {state:?} lives {lifetime} s");
        }
    }
    let names: BTreeSet<_> = told.iter().map(|t| t.0).collect();
    assert_eq!(there, names);
}

#[test]
fn services_and_facts_are_those_of_the_program() {
    let text = section("Applications");
    let told = spans(text);
    for service in Service::ALL {
        assert!(told.contains(&service.text()), "{} is missing", service.text());
    }
    let rows: Vec<Vec<String>> = table(text.rsplit("The facts of").next().unwrap());
    let facts: Vec<&str> = rows.iter().map(|row| spans(&row[0])[0]).collect();
    assert_eq!(facts, Fact::ALL.iter().map(|fact| fact.key()).collect::<Vec<_>>());
    const { assert!(BYTES_PER_FLOW < 1024 && STREAM_BUDGET == 8192 && MEMORY == 2 * STREAM_BUDGET) };
    // How long a connection is looked into.
    let limits = table(text);
    for (what, most) in [
        ("bytes of each direction of a TCP connection", STREAM_BUDGET),
        ("segments with payload of a connection that nobody knows", MOST_SEGMENTS as usize),
        ("datagrams of a UDP flow that nobody knows", MOST_DATAGRAMS as usize),
    ] {
        let row = limits.iter().find(|row| row[0] == what).unwrap_or_else(|| panic!("{what}"));
        assert_eq!(row[1].replace(',', ""), most.to_string(), "{what}");
    }
}

/// Whether a name is one that README writes, perhaps with `*` for one part.
fn is_told(told: &[&str], name: &str) -> bool {
    told.iter().any(|t| match t.split_once('*') {
        Some((head, tail)) => name.starts_with(head) && name.ends_with(tail),
        None => *t == name,
    })
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn export_fields_are_those_of_the_program() {
    let export = section("Export");
    let shown: Vec<Value> =
        export.lines().filter(|l| l.starts_with('{')).map(|l| serde_json::from_str(l).unwrap()).collect();
    let rows = table(export);
    let fields: Vec<&str> = rows.iter().flat_map(|row| spans(&row[0])).collect();

    let frames = Arc::new(Traffic::new(200, 6000, 1).mix(Mix::ALL).frames());
    let run = engine::run(engine::config(), vec![MemorySource::new(frames)]);
    let lines: Vec<Value> =
        String::from_utf8(run.jsonl).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let (first, last) = (&lines[0], lines.last().unwrap());
    assert_eq!(names(&shown[0]), names(first));
    assert_eq!(names(&shown[2]), names(last));
    assert_eq!(names(&shown[2]["drops"]), names(&last["drops"]));
    assert_eq!(DropReason::ALL.len(), names(&last["drops"]).len());
    for flow in lines[1..lines.len() - 1].iter().chain([&shown[1]]) {
        for name in names(flow) {
            assert!(name == "type" || is_told(&fields, name), "{name} is not in the table of fields");
        }
    }
    use EndReason::*;
    let ends = &rows.iter().find(|row| row[0] == "`end`").unwrap()[1];
    for end in [Fin, Rst, Timeout, Evicted, Replaced, Eof] {
        assert!(spans(ends).contains(&end.key()), "{}", end.key());
    }
}

#[test]
fn the_tree_shows_the_folders_that_are_there() {
    fn walk(folder: &Path, out: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|e| e.path().is_dir()) {
            out.insert(entry.file_name().into_string().unwrap());
            walk(&entry.path(), out);
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut there = BTreeSet::new();
    walk(&root.join("src"), &mut there);
    let tree = section("How it works").rsplit("```text").next().unwrap();
    let told: Vec<&str> = tree.split_whitespace().filter_map(|word| word.strip_suffix('/')).collect();
    for name in &there {
        assert!(told.contains(&name.as_str()), "{name}/ is missing");
    }
    for name in told {
        assert!(there.contains(name) || root.join(name).is_dir(), "there is no {name}/");
    }
}

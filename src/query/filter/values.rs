//! The texts that a keyword finds among some rows, for who types a filter.

use std::collections::BTreeSet;

use crate::{
    query::{
        filter::{Field, eval::Surroundings, texts::any_text},
        kept::of_row,
    },
    snapshot::{flow_view::FlowView, row::Row},
};

/// More of them nobody goes through.
const MOST: usize = 200;

/// Returns the texts of a field that begin with `start`, without regard to case, each once and in order; those
/// that a line cannot hold are left out.
pub fn values(field: Field, start: &str, rows: &[Row], around: &Surroundings) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut room = String::new();
    for row in rows {
        let flow = of_row(row);
        let flow = FlowView { silence: row.silence, ..flow.view() };
        any_text(field, &flow, around, &mut room, &mut |text| {
            if let Ok(text) = std::str::from_utf8(text)
                && begins(text, start)
                && !text.is_empty()
                && !text.contains(char::is_control)
                && !found.contains(text)
            {
                found.insert(text.to_owned());
            }
            false
        });
        if found.len() >= MOST {
            break;
        }
    }
    found.into_iter().collect()
}

/// Returns those of some texts, in lower case, that a field has among the rows, in their order.
pub fn among(field: Field, wanted: &[String], rows: &[Row], around: &Surroundings) -> Vec<String> {
    let mut left: Vec<&String> = wanted.iter().collect();
    let mut room = String::new();
    for row in rows {
        let flow = of_row(row);
        let flow = FlowView { silence: row.silence, ..flow.view() };
        any_text(field, &flow, around, &mut room, &mut |text| {
            left.retain(|wanted| !text.eq_ignore_ascii_case(wanted.as_bytes()));
            left.is_empty()
        });
        if left.is_empty() {
            break;
        }
    }
    wanted.iter().filter(|text| !left.contains(text)).cloned().collect()
}

/// Returns whether a text begins with another, without regard to the case of ASCII letters.
pub fn begins(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

//! What the filter's words can become, by what the table shows.

use super::*;
use crate::{
    base::time::Tick,
    query::{
        filter::{
            Field,
            eval::Surroundings,
            field::Keyword,
            values::{among, begins, values},
        },
        group::GroupLine,
    },
    tui::completion::Sought,
};

impl App {
    /// Completes the word before the filter's cursor, or puts the next candidate there, or the one before.
    pub fn complete_filter(&mut self, back: bool) {
        let mut bar = std::mem::take(&mut self.filter);
        bar.complete(|keyword, wanted| self.values(keyword, wanted), back);
        self.filter = bar;
    }

    /// Returns values of a keyword, of the rows and sums that are there.
    fn values(&self, keyword: &Keyword, wanted: Sought) -> Vec<String> {
        let Some(view) = &self.view else { return Vec::new() };
        let interfaces = view.sources.iter().flat_map(|source| &source.interfaces);
        let interfaces: Vec<String> = interfaces.map(|interface| interface.name.clone()).collect();
        let around = Surroundings {
            services: self.setup.services,
            interfaces: interfaces.clone(),
            wall: view.wall,
            now: Tick::default(),
            no_owners: self.look(self.screen_width).no_owners,
            catalog: Arc::default(),
            neighbours: Arc::clone(&self.neighbours.all),
        };
        let start = match wanted {
            Sought::Begin(start) => start,
            Sought::Of(all) => return among(keyword.field, all, &view.rows, &around),
        };
        let mut found = values(keyword.field, start, &view.rows, &around);
        // Who moves most, and sums, are known beyond the window of rows.
        let lines = view.groups.iter().flat_map(|groups| &groups.lines);
        let sums = lines.filter_map(|line| match line {
            GroupLine::Group { group, .. } => Some(&group.name),
            _ => None,
        });
        let names = sums.chain(view.top.iter().map(|share| &share.name));
        let more = names.filter_map(|name| match (keyword.field, name) {
            (Field::Process, GroupName::Process(name)) => Some(name.to_string()),
            (Field::Remote | Field::Host, GroupName::Host(address)) => Some(address.to_string()),
            _ => None,
        });
        found.extend(more.chain(interfaces.into_iter().filter(|_| keyword.field == Field::Interface)));
        found.retain(|text| begins(text, start) && !text.contains(char::is_control) && !text.is_empty());
        // A user's number is told to who begins with one, or where there is no name.
        let is_number = |text: &String| text.bytes().all(|b| b.is_ascii_digit());
        if keyword.field == Field::User && start.is_empty() && !found.iter().all(is_number) {
            found.retain(|text| !is_number(text));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

//! The hardware address of the selected row's other end, as the host knows it of its neighbours (ARP, RFC 826; neighbour
//! discovery, RFC 4861): asked for seldom, as each look reads the system's table.

use std::net::IpAddr;

use super::*;
use crate::{
    query::{filter::eval::Neighbours, recording::NEIGHBOURS_FRESH as FRESH, watch::Counted},
    snapshot::row::Direction,
};

/// What was found out of an address, and when.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    of: IpAddr,
    at: Nanos,
    found: Option<String>,
}

/// All of them, where a filter looks at them.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub all: Arc<Neighbours>,
    /// When they were found out.
    at: Option<Nanos>,
}

impl App {
    /// Finds out the hardware addresses of all neighbours, if rows are looked for by them; other ones are other rows.
    pub(super) fn look_up_neighbours(&mut self) {
        let watched = self.watches.iter().filter(|watch| watch.on).filter_map(|watch| match &watch.counts {
            Counted::Rows(filter) => Some(filter),
            _ => None,
        });
        let mut filters = self.filter.in_force().into_iter().chain(watched);
        let is_needed = !self.is_file() && filters.any(|filter| filter.needs().neighbours);
        let is_fresh = self.neighbours.at.is_some_and(|at| self.uptime.since(at) < FRESH);
        if let Some(look) = self.setup.neighbours.filter(|_| is_needed && !is_fresh) {
            self.neighbours.at = Some(self.uptime);
            let found = look();
            if *self.neighbours.all != found {
                self.neighbours.all = Arc::new(found);
                self.changed();
            }
        }
    }

    /// Finds out the hardware address of the selected row's other end, if that is a neighbour; returns whether that
    /// is another one than is shown.
    pub fn look_up_neighbour(&mut self) -> bool {
        let Some(row) = self.selected_row() else { return false };
        let address = row.addresses[row.remote()];
        let is_known = |known: &Neighbour| known.of == address && self.uptime.since(known.at) < FRESH;
        if row.direction() == Direction::Forwarded || self.neighbour.as_ref().is_some_and(is_known) {
            return false;
        }
        let shown = self.neighbour_of(address);
        let found = self.setup.neighbour.filter(|_| !self.is_file()).and_then(|find| find(address));
        let is_news = found != shown;
        self.neighbour = Some(Neighbour { of: address, at: self.uptime, found });
        is_news
    }

    /// Returns the hardware address of a neighbour, once it was found out.
    pub fn neighbour_of(&self, address: IpAddr) -> Option<String> {
        self.neighbour.as_ref().filter(|known| known.of == address)?.found.clone()
    }
}

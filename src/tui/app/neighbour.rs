//! The hardware address of the selected row's other end, as the host knows it of its neighbours (ARP, RFC 826; neighbour
//! discovery, RFC 4861): asked for seldom, as each look reads the system's table.

use std::net::IpAddr;

use super::*;
use crate::snapshot::row::Direction;

/// What was found out of an address, and when.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    of: IpAddr,
    at: Nanos,
    found: Option<String>,
}

/// How long the hardware address of a neighbour is believed.
const FRESH: Nanos = Nanos::from_secs(5);

impl App {
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

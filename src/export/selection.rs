//! Which connections are written, and in which order: `--filter` and `--sort` without a screen.
//!
//! Totals are not concerned: a summary counts every frame whatever is selected.

use std::sync::Arc;

use crate::{
    query::{
        column::ServiceName,
        filter::{
            eval::{Filter, Neighbours, Surroundings},
            plan::Scratch,
        },
        sort::{Keyer, Namer, Sort},
    },
    snapshot::{flow_view::FlowView, tap::Ended, view::Snapshot},
};

/// Selects and orders connections.
#[derive(Default)]
pub struct Selection {
    filter: Option<Arc<Filter>>,
    sort: Option<Sort>,
    around: Surroundings,
    scratch: Scratch,
    keyer: Keyer,
    /// Finds out who is on which hardware address.
    look_up: Option<fn() -> Neighbours>,
}

impl Selection {
    /// Has hardware addresses of neighbours found out so, where the filter looks at them.
    pub fn with_neighbours(self, look_up: fn() -> Neighbours) -> Self {
        let is_needed = self.filter.as_ref().is_some_and(|filter| filter.needs().neighbours);
        Self { look_up: is_needed.then_some(look_up), ..self }
    }

    /// Returns the selection of what is in the filter, in the order of `sort`; without either of
    /// them all, as they come.
    pub fn new(filter: Option<Filter>, sort: Option<Sort>, services: Option<ServiceName>) -> Self {
        let around = Surroundings { services, ..Surroundings::default() };
        Self { filter: filter.map(Arc::new), sort, around, ..Self::default() }
    }

    /// Returns whether it takes everything as it comes.
    pub fn is_all(&self) -> bool {
        self.filter.is_none() && self.sort.is_none()
    }

    /// Takes time and names of interfaces from an epoch.
    pub fn enter(&mut self, snapshot: &Snapshot) {
        (self.around.wall, self.around.now) = (snapshot.wall, snapshot.now.tick());
        self.around.no_owners = !snapshot.looks_for_owners();
        if let Some(look_up) = self.look_up {
            self.around.neighbours = Arc::new(look_up());
        }
        self.around.interfaces.clear();
        let interfaces = snapshot.sources.first().map_or(&[][..], |s| &s.interfaces);
        self.around.interfaces.extend(interfaces.iter().map(|i| i.name.clone()));
    }

    /// Returns time and names as they were taken.
    pub fn around(&self) -> &Surroundings {
        &self.around
    }

    /// Removes what is not in the filter.
    pub fn keep(&mut self, flows: &mut Vec<Ended>) {
        let Some(filter) = self.filter.clone() else { return };
        self.scratch.forget();
        flows.retain(|flow| filter.holds(&view(flow), &self.around, &mut self.scratch));
    }

    /// Brings flows into their order.
    pub fn order(&mut self, flows: &mut [Ended]) {
        let Some(sort) = self.sort else { return };
        let mut namer = Namer::default();
        self.keyer.make_room();
        // New numbers of texts make those before void; in the second round none is new.
        let mut keys = Vec::new();
        for _ in 0..2 {
            let before = self.keyer.generation();
            self.keyer.prepare(sort, &self.around);
            namer.prepare(&self.keyer);
            keys = flows.iter().map(|flow| self.keyer.key(sort, &view(flow), &mut namer)).collect();
            self.keyer.settle();
            if self.keyer.generation() == before {
                break;
            }
        }
        let mut order: Vec<usize> = (0..flows.len()).collect();
        order.sort_by(|a, b| {
            keys[*a].cmp(&keys[*b]).then_with(|| flows[*a].record.in_order(&flows[*b].record))
        });
        let sorted: Vec<Ended> = order.into_iter().map(|n| flows[n].clone()).collect();
        flows.clone_from_slice(&sorted);
    }
}

/// Returns a flow as filters and sort keys look at it. The rate of an open one, in the lines of `--interval`, is that of
/// its last second; that of one which has ended is that over its life. At the stop all have: a record that is complete
/// has no second of its own, and the last one of a file says little of the connections in it.
fn view(flow: &Ended) -> FlowView<'_> {
    let record = &flow.record;
    let seconds = record.hot.last.since(record.facts.first).as_secs_f64();
    let over_life = |bytes: u64| if seconds > 0.0 { (bytes as f64 / seconds) as f32 } else { 0.0 };
    let rate = flow.rate.unwrap_or_else(|| record.hot.bytes.map(over_life));
    FlowView { rate, ..flow.view() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{entry::FlowRecord, state::EndReason};
    use crate::{export::fields::fixture, query::filter::parse, query::sort::SortBy};

    fn selection(filter: &str, sort: Option<SortBy>) -> Selection {
        let filter = parse(filter).unwrap().expr.map(|expr| Filter::new(expr, None));
        Selection::new(filter, sort.map(Sort::by), None)
    }

    #[test]
    fn c10_what_is_in_the_filter_stays() {
        // 198.51.100.9:50000 to 192.0.2.1:443 with 9,200 bytes in 1.5 s, and UDP over IPv6 to port 53.
        for (filter, expected) in [
            ("", 2),
            ("proto:tcp", 1),
            ("port:53", 1),
            ("dst:192.0.2.0/24", 1),
            ("rate>5k rate<7k", 1),
            ("age>1s age<2s proto:tcp", 1),
            ("sni:google", 0),
        ] {
            let over = FlowRecord { end: Some(EndReason::Fin), ..fixture::tcp() };
            let mut flows = vec![over.into(), fixture::udp6().into()];
            selection(filter, None).keep(&mut flows);
            assert_eq!(flows.len(), expected, "{filter}");
        }
    }

    #[test]
    fn c10_the_rate_of_an_open_connection_is_that_of_its_last_second() {
        for (filter, rate, expected) in [
            ("rate>5k rate<7k", None, 1),
            ("rate>5k rate<7k", Some([1e6, 0.0]), 0),
            ("rate>900k", Some([1e6, 0.0]), 1),
            ("rate>1k", Some([0.0; 2]), 0),
        ] {
            let mut flows = vec![Ended { rate, ..fixture::tcp().into() }];
            selection(filter, None).keep(&mut flows);
            assert_eq!(flows.len(), expected, "{filter} {rate:?}");
        }
    }

    #[test]
    fn c10_lines_are_in_the_order_of_the_column() {
        for (sort, first) in [(SortBy::Total, 17), (SortBy::Protocol, 6), (SortBy::Remote, 6)] {
            for turn in [false, true] {
                let mut flows = vec![fixture::tcp().into(), fixture::udp6().into()];
                if turn {
                    flows.reverse();
                }
                selection("", Some(sort)).order(&mut flows);
                assert_eq!(flows[0].record.hot.key.proto, first, "{sort:?}");
            }
        }
    }
}

//! Something known of each text of the State column, without making or comparing texts for each row.

use std::sync::LazyLock;

use crate::{
    base::time::Nanos,
    dpi::{fact::Fact, service::Service},
    flow::state::FlowState,
    snapshot::flow_view::FlowView,
};

/// States whose text changes by silence alone, as bits.
static MOVING: LazyLock<u64> = LazyLock::new(|| {
    let moves = |state: &&FlowState| state.text(Nanos(0)) != state.text(Nanos(u64::MAX));
    FlowState::ALL.iter().filter(moves).map(|state| state.bit()).fold(0, |all, bit| all | bit)
});

/// Returns the states whose text changes by silence alone, as bits of [`FlowState::bit`].
pub fn moving() -> u64 {
    *MOVING
}

/// Returns whether an answer about the text of the State column may change by silence alone.
pub fn changes(holds: impl Fn(&[u8]) -> bool) -> bool {
    let moving = FlowState::ALL.iter().filter(|state| moving() & state.bit() != 0);
    moving.into_iter().any(|state| {
        let answers = STAGES.map(|silence| holds(state.text(silence).as_bytes()));
        answers != [answers[0]; STAGES.len()]
    })
}

/// A silence for each stage of a state ([`FlowState::stage`]).
const STAGES: [Nanos; 3] = [Nanos(0), Nanos::from_secs(20), Nanos::from_secs(60)];

/// A value for each text of the column: by state and stage.
#[derive(Clone, Debug)]
pub struct StateTable<T>([[T; STAGES.len()]; FlowState::ALL.len()]);

impl<T: Copy + Default> StateTable<T> {
    /// Asks for the value of every text, of some more than once.
    pub fn new(mut value: impl FnMut(&'static str) -> T) -> Self {
        let mut table = [[T::default(); STAGES.len()]; FlowState::ALL.len()];
        for state in FlowState::ALL {
            table[state as usize] = STAGES.map(|silence| value(state.text(silence)));
        }
        Self(table)
    }

    /// Returns the value of the flow's text.
    #[inline]
    pub fn of(&self, flow: &FlowView) -> T {
        let state = flow.hot.state;
        self.0[state as usize][state.stage(flow.silence)]
    }
}

impl StateTable<bool> {
    /// Returns whether some text has the value.
    pub fn has_any(&self) -> bool {
        self.0.as_flattened().contains(&true)
    }

    /// Returns whether the flow's text has the value, or that of a state beside it: TCP's under that of SSH, and
    /// DNS's inside a TCP connection.
    #[inline]
    pub fn any(&self, flow: &FlowView) -> bool {
        self.of(flow) || flow.hot.state.is_established() && self.beside(flow)
    }

    fn beside(&self, flow: &FlowView) -> bool {
        let value = |state: FlowState| self.0[state as usize][0];
        if value(FlowState::Established) {
            return true;
        }
        if !value(FlowState::DnsResponse) && !value(FlowState::DnsQuery) {
            // No need to look at what it speaks.
            return false;
        }
        let inside = flow.app.filter(|app| app.service == Some(Service::Dns)).map(|app| {
            match app.first(Fact::DnsAnswered) {
                Some(_) => FlowState::DnsResponse,
                None => FlowState::DnsQuery,
            }
        });
        inside.is_some_and(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::sample;

    #[test]
    fn every_text_of_every_state_has_its_value() {
        let table = StateTable::new(Some);
        let end = |s: &str| (s.parse().unwrap(), 1);
        let mut record = sample::record([end("10.0.0.1"), end("10.0.0.2")], 17);
        for state in FlowState::ALL {
            for secs in [0, 14, 15, 16, 44, 45, 46, 1000] {
                record.hot.state = state;
                let silence = Nanos::from_secs(secs);
                let view = FlowView { silence, ..FlowView::of_record(&record, None, None) };
                assert_eq!(table.of(&view), Some(state.text(silence)), "{state:?} {secs}");
            }
        }
    }
}

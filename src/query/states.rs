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

/// A value for each text of the column.
#[derive(Clone, Debug)]
pub struct StateTable<T> {
    fixed: [T; FlowState::ALL.len()],
    texts: Vec<(&'static str, T)>,
    moving: u64,
}

impl<T: Copy + Default> StateTable<T> {
    /// Asks for the value of every text.
    pub fn new(mut value: impl FnMut(&'static str) -> T) -> Self {
        let mut table =
            Self { fixed: [T::default(); FlowState::ALL.len()], texts: Vec::new(), moving: moving() };
        for state in FlowState::ALL {
            if table.moving & state.bit() == 0 {
                table.fixed[state as usize] = value(state.text(Nanos(0)));
                continue;
            }
            for silence in [0, 20, 60] {
                let text = state.text(Nanos::from_secs(silence));
                if table.texts.iter().all(|(known, _)| *known != text) {
                    table.texts.push((text, value(text)));
                }
            }
        }
        table
    }

    /// Returns the value of the flow's text.
    #[inline]
    pub fn of(&self, flow: &FlowView) -> T {
        let state = flow.hot.state;
        if self.moving & state.bit() == 0 {
            return self.fixed[state as usize];
        }
        let text = flow.state_text();
        self.texts.iter().find(|(known, _)| *known == text).map_or_else(T::default, |(_, value)| *value)
    }
}

impl StateTable<bool> {
    /// Returns whether the flow's text has the value, or that of a state beside it: TCP's under that of SSH, and
    /// DNS's inside a TCP connection.
    #[inline]
    pub fn any(&self, flow: &FlowView) -> bool {
        self.of(flow) || flow.hot.state.is_established() && self.beside(flow)
    }

    fn beside(&self, flow: &FlowView) -> bool {
        let value = |state: FlowState| self.fixed[state as usize];
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

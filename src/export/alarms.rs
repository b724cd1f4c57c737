//! Events without a screen: a watch that begins or ceases to fire, an interface that goes or comes back. Each
//! becomes a line of the export; those of watches also one of the log, where the journal tells of interfaces.

use crate::{
    export::{links::Links, text},
    query::{
        filter::eval::Surroundings,
        text::escape,
        watch::{Firing, Watch, Watcher},
    },
    snapshot::view::Snapshot,
};

/// Looks at watches and interfaces once an epoch.
#[derive(Default)]
pub struct Alarms {
    links: Links,
    watches: Vec<Watch>,
    watcher: Watcher,
    firing: Vec<Option<Firing>>,
}

impl Alarms {
    /// Returns what looks at these.
    pub fn new(watches: Vec<Watch>) -> Self {
        let firing = vec![None; watches.len()];
        Self { watches, firing, ..Self::default() }
    }

    /// Calls `each` with a JSON object for every interface that has gone or come back, and for every watch that
    /// has begun or ceased to fire, and tells the log of watches.
    pub fn look(&mut self, snapshot: &Snapshot, around: &Surroundings, mut each: impl FnMut(&[u8])) {
        self.links.look(snapshot, |change| {
            if change.is_news() {
                each(&change.object(snapshot));
            }
        });
        if self.watches.is_empty() {
            return;
        }
        let now = self.watcher.look(snapshot, &self.watches, around);
        for ((watch, before), now) in self.watches.iter().zip(&self.firing).zip(&now) {
            if before.is_some() == now.is_some() {
                continue;
            }
            let name = escape(&watch.name);
            match now {
                Some(firing) => tracing::warn!("watch {name}: fires at {}", firing.value),
                None => tracing::warn!("watch {name}: is over"),
            }
            each(&object(watch, *now, snapshot));
        }
        self.firing = now;
    }
}

/// `{"type":"event","event":"watch","name":"lost > 0","fires":true,"value":5,"time":"..."}`
fn object(watch: &Watch, firing: Option<Firing>, snapshot: &Snapshot) -> Vec<u8> {
    let mut out = b"{\"type\":\"event\",\"event\":\"watch\",\"name\":".to_vec();
    text::string(&mut out, &watch.name);
    match firing {
        Some(firing) => {
            // JSON has no numbers that are none.
            let value = if firing.value.is_finite() { firing.value } else { 0.0 };
            out.extend_from_slice(format!(",\"fires\":true,\"value\":{value}").as_bytes());
        }
        None => out.extend_from_slice(b",\"fires\":false"),
    }
    out.extend_from_slice(b",\"time\":\"");
    text::rfc3339(&mut out, snapshot.wall);
    out.extend_from_slice(b"\"}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{export::fields::fixture, query::watch::built_in};

    #[test]
    fn v15_an_event_tells_when_a_watch_begins_and_ceases_to_fire() {
        let mut alarms = Alarms::new(built_in());
        let mut told = Vec::new();
        let lossy = fixture::last_epoch();
        let mut clean = fixture::last_epoch();
        clean.accounts = Default::default();
        for snapshot in [&clean, &lossy, &lossy, &clean, &clean] {
            alarms.look(snapshot, &Surroundings::default(), |line| {
                told.push(serde_json::from_slice::<serde_json::Value>(line).unwrap());
            });
        }
        let event = serde_json::json!({"type": "event", "event": "watch", "name": "lost > 0", "fires": true,
            "value": 2, "time": "2023-11-14T22:13:21.500000000Z"});
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0]["value"].as_f64(), Some(2.0));
        assert_eq!((&told[0]["name"], &told[0]["time"]), (&event["name"], &event["time"]));
        assert_eq!((&told[1]["fires"], &told[1]["name"]), (&false.into(), &event["name"]));
    }
}

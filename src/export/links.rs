//! Interfaces that go and come back: what changed since the last epoch, for the export, the log and whoever
//! reads standard error.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    mem::discriminant,
};

use crate::{
    capture::source::InterfaceState,
    export::text,
    query::text::escape,
    snapshot::{
        tap::{Ended, Tap},
        view::Snapshot,
    },
};

/// How interfaces stood.
#[derive(Default)]
pub struct Links {
    /// By name, with the look at which that was seen.
    known: HashMap<String, (InterfaceState, u64)>,
    /// By source: the name that each of its interfaces had, which stays in its place when it gets another one.
    names: Vec<Vec<String>>,
    /// Names that interfaces had before: a source that has not heard of the new one yet still tells of them.
    left: HashSet<String>,
    looks: u64,
}

/// An interface that stands otherwise than before.
pub struct LinkChange<'a> {
    /// Its name, as the system gives it.
    pub name: &'a str,
    /// How it stands.
    pub state: InterfaceState,
    /// The way that its frames are captured.
    pub method: &'static str,
    /// It was not known before.
    pub is_new: bool,
}

impl Links {
    /// Calls `each` with every interface that is new or stands otherwise than at the last look.
    pub fn look<'a>(&mut self, snapshot: &'a Snapshot, mut each: impl FnMut(LinkChange<'a>)) {
        self.looks += 1;
        self.names.resize(snapshot.sources.len().max(self.names.len()), Vec::new());
        for (number, source) in snapshot.sources.iter().enumerate() {
            for (place, interface) in source.interfaces.iter().enumerate() {
                if !self.follow_name((number, place), &interface.name) {
                    continue;
                }
                let (name, state) = (&*interface.name, interface.state);
                let change = |is_new| LinkChange { name, state, method: source.method, is_new };
                match self.known.get_mut(name) {
                    None => {
                        self.known.insert(name.to_owned(), (state, self.looks));
                        each(change(true));
                    }
                    // Each thread of a capture knows all interfaces, and may know of a change later than the first.
                    Some((_, look)) if *look == self.looks => {}
                    Some(known) => {
                        let before = std::mem::replace(known, (state, self.looks)).0;
                        if discriminant(&before) != discriminant(&state) {
                            each(change(false));
                        }
                    }
                }
            }
        }
    }
}

impl Links {
    /// Takes note that what has this place in a source may be called otherwise than before: it is the same interface.
    /// Returns whether the name is one that counts, and not one that another source knows to be left.
    fn follow_name(&mut self, (source, place): (usize, usize), name: &str) -> bool {
        let names = &mut self.names[source];
        match names.get_mut(place) {
            Some(before) if before == name => return !self.left.contains(name),
            Some(before) => {
                let before = std::mem::replace(before, name.to_owned());
                if !self.known.contains_key(name)
                    && let Some(known) = self.known.remove(&before)
                {
                    self.known.insert(name.to_owned(), known);
                    self.left.insert(before);
                }
            }
            None => names.push(name.to_owned()),
        }
        self.left.remove(name);
        true
    }
}

impl LinkChange<'_> {
    /// Returns whether it is a piece of news: an interface that is up at first is none.
    pub fn is_news(&self) -> bool {
        !self.is_new || self.state != InterfaceState::Up
    }

    /// `interface eth0 is down`
    pub fn sentence(&self) -> String {
        let how = match self.state {
            InterfaceState::Up => "up again",
            InterfaceState::Down(_) => "down",
            InterfaceState::Gone(_) => "gone",
            InterfaceState::Unwatched(_) => "not watched",
        };
        format!("interface {} is {how}", escape(self.name))
    }

    /// `{"type":"event","event":"interface","name":"eth0","state":"down","since":"...","time":"..."}`
    pub fn object(&self, snapshot: &Snapshot) -> Vec<u8> {
        let mut out = b"{\"type\":\"event\",\"event\":\"interface\",\"name\":".to_vec();
        text::string(&mut out, self.name);
        let (state, since) = match self.state {
            InterfaceState::Up => ("up", None),
            InterfaceState::Down(since) => ("down", Some(since)),
            InterfaceState::Gone(since) => ("gone", Some(since)),
            InterfaceState::Unwatched(since) => ("unwatched", Some(since)),
        };
        out.extend_from_slice(format!(",\"state\":\"{state}\"").as_bytes());
        for (key, at) in since.map(|at| ("since", at)).into_iter().chain([("time", snapshot.wall)]) {
            out.extend_from_slice(format!(",\"{key}\":\"").as_bytes());
            text::rfc3339(&mut out, at);
            out.push(b'"');
        }
        out.push(b'}');
        out
    }
}

/// Tells in words, a line each, as `note: interface eth0 is down`; one of the engine's taps.
pub struct LinkNotes<W> {
    out: W,
    links: Links,
}

impl<W: Write + Send> LinkNotes<W> {
    /// Returns what writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, links: Links::default() }
    }
}

impl<W: Write + Send> Tap for LinkNotes<W> {
    fn wants_order(&self) -> bool {
        false
    }

    fn ended(&mut self, _: &[Ended]) -> std::io::Result<()> {
        Ok(())
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> std::io::Result<()> {
        let Self { out, links } = self;
        links.look(snapshot, |change| {
            if change.is_news() {
                // Whether anybody reads notes is no matter of the export's.
                let _ = writeln!(out, "note: {}", change.sentence());
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::time::Stamp,
        capture::source::{InterfaceStatus, SourceStatus},
        export::fields::fixture,
    };

    /// An epoch in which two threads know of these interfaces.
    fn epoch(states: [(&str, InterfaceState); 2]) -> Snapshot {
        let interfaces =
            states.map(|(name, state)| InterfaceStatus { name: name.into(), state, ..Default::default() });
        let source = SourceStatus { interfaces: interfaces.into(), ..Default::default() };
        let mut late = source.clone();
        late.interfaces[0].state = InterfaceState::Up;
        Snapshot { sources: vec![source, late], ..fixture::last_epoch() }
    }

    #[test]
    fn v11_an_interface_that_is_renamed_while_it_is_down_comes_back_under_its_new_name() {
        use InterfaceState::{Down, Up};
        let (mut links, mut told) = (Links::default(), Vec::new());
        for (name, state) in
            [("eth0", Up), ("eth0", Down(Stamp(5))), ("lan", Down(Stamp(5))), ("lan", Up), ("eth0", Up)]
        {
            let interface = InterfaceStatus { name: name.into(), state, ..Default::default() };
            let source = SourceStatus { interfaces: vec![interface], ..Default::default() };
            let snapshot = Snapshot { sources: vec![source.clone(), source], ..fixture::last_epoch() };
            links.look(&snapshot, |change| {
                if change.is_news() {
                    told.push(change.sentence());
                }
            });
        }
        assert_eq!(told, ["interface eth0 is down", "interface lan is up again"]);
    }

    #[test]
    fn v11_sources_have_interfaces_of_their_own_and_hear_of_a_new_name_one_after_the_other() {
        use InterfaceState::{Down, Up};
        let (mut links, mut told) = (Links::default(), Vec::new());
        let down = Down(Stamp(5));
        // The first two sources watch the same interface, the third one another in the same place.
        for [one, two, three] in [
            [("eth0", Up), ("eth0", Up), ("eth1", Up)],
            [("eth0", down), ("eth0", Up), ("eth1", Up)],
            [("lan", down), ("eth0", down), ("eth1", Up)],
            [("lan", down), ("eth0", down), ("eth1", down)],
            [("lan", down), ("lan", down), ("eth1", down)],
            [("lan", Up), ("lan", down), ("eth1", down)],
            [("lan", Up), ("lan", Up), ("eth1", Up)],
            // Back to its first name, of which the second source hears first.
            [("lan", Up), ("eth0", Up), ("eth1", Up)],
            [("eth0", Up), ("eth0", Up), ("eth1", Up)],
            [("eth0", down), ("eth0", down), ("eth1", Up)],
        ] {
            let sources = [one, two, three].map(|(name, state)| {
                let interface = InterfaceStatus { name: name.into(), state, ..Default::default() };
                SourceStatus { interfaces: vec![interface], ..Default::default() }
            });
            let snapshot = Snapshot { sources: sources.into(), ..fixture::last_epoch() };
            links.look(&snapshot, |change| {
                told.push((change.is_new, change.name.to_owned(), discriminant(&change.state)));
            });
        }
        let told: Vec<_> = told.iter().map(|(new, name, state)| (*new, &**name, *state)).collect();
        let (up, down) = (discriminant(&Up), discriminant(&down));
        assert_eq!(
            told,
            [
                (true, "eth0", up),
                (true, "eth1", up),
                (false, "eth0", down),
                (false, "eth1", down),
                (false, "lan", up),
                (false, "eth1", up),
                (false, "eth0", down),
            ]
        );
    }

    #[test]
    fn what_goes_and_comes_back_is_told_once() {
        use InterfaceState::{Down, Gone, Up};
        let mut notes = LinkNotes::new(Vec::new());
        let mut links = Links::default();
        let mut events = Vec::new();
        for eth0 in [Up, Up, Down(Stamp(5)), Down(Stamp(6)), Gone(Stamp(5)), Up, Up] {
            let snapshot = epoch([("eth0", eth0), ("wg\u{1b}0", Down(Stamp(1)))]);
            notes.epoch(&snapshot).unwrap();
            links.look(&snapshot, |change| {
                if change.is_news() {
                    let event: serde_json::Value = serde_json::from_slice(&change.object(&snapshot)).unwrap();
                    assert_eq!((&event["type"], &event["event"]), (&"event".into(), &"interface".into()));
                    assert_eq!(event["time"], "2023-11-14T22:13:21.500000000Z");
                    let since = event.get("since").map(|since| since.as_str().unwrap().to_owned());
                    events.push((event["name"].to_string(), event["state"].to_string(), since));
                }
            });
        }
        let states: Vec<_> = events.iter().map(|(name, state, _)| (&**name, &**state)).collect();
        assert_eq!(
            states,
            [
                ("\"wg\\u001b0\"", "\"down\""),
                ("\"eth0\"", "\"down\""),
                ("\"eth0\"", "\"gone\""),
                ("\"eth0\"", "\"up\""),
            ]
        );
        assert_eq!(events[1].2.as_deref(), Some("1970-01-01T00:00:00.000000005Z"));
        assert_eq!(events[3].2, None);
        assert_eq!(
            String::from_utf8(notes.out).unwrap(),
            "note: interface wg\\u{1b}0 is down\nnote: interface eth0 is down\nnote: interface eth0 is gone\n\
             note: interface eth0 is up again\n"
        );
    }
}

//! Which frames go into a file of frames: those of flows that were named, from the moment on at which they are.
//!
//! Live a flow is named up to a second after its first frames, as a filter can only tell by then. So frames of
//! flows that are new are held for a while: who asks for `sni:example.org` gets the handshake too.
//!
//! ```text
//!   a frame ── named? ── yes ──────────────────────▶ written
//!                │                                     ▲
//!                └─ no ── new? ── yes ── held ── named within 3 s
//!                           │              │
//!                           └─ no ─────────┴──▶ nothing
//! ```

use std::{
    collections::{HashMap, VecDeque},
    hash::BuildHasher as _,
    sync::mpsc::Receiver,
};

use crate::{
    base::{
        keyed::Keyed,
        time::{Nanos, Stamp},
    },
    export::reread,
    packet::{
        name::FlowName,
        parse::{FrameMeta, Parser},
    },
    query::recording::{News, Others},
};

/// How long frames of new flows are held: an epoch, and as long again to look at it.
const HELD_FOR: Nanos = Nanos::from_secs(3);
/// Bytes held at most: the oldest go first.
const MOST_HELD: usize = 16 << 20;
/// A flow that was silent for so long is new again.
const FORGOTTEN: Nanos = Nanos::from_secs(30);
/// Places in which it is noted when flows began, 8 bytes each: flows that share one are as old as the older.
const PLACES: usize = 1 << 16;

/// Tells frames that are written from all others.
pub struct Chosen {
    parser: Parser,
    news: Receiver<News>,
    others: Others,
    /// Of a file: nothing comes later, and what flows are called may mean several, one after the other.
    until: Option<Stamp>,
    flows: HashMap<FlowName, Vec<Flow>, Keyed>,
    held: Held,
}

/// A flow that was named.
struct Flow {
    span: [Stamp; 2],
    /// What is said with the next frame.
    comment: Option<String>,
}

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is written, and this is said with it.
    Written(Option<String>),
    /// It is not, or not yet.
    Left,
}

impl Chosen {
    /// Returns what chooses frames as the news say. With `until` they come from a file, all that is to be known of it
    /// is the first news, and later frames are none.
    pub fn new(parser: Parser, news: Receiver<News>, others: Others, until: Option<Stamp>) -> Self {
        Self { parser, news, others, until, flows: HashMap::default(), held: Held::default() }
    }

    /// Waits for the first news of a file.
    pub fn begin(&mut self) {
        if self.until.is_some()
            && let Ok(news) = self.news.recv()
        {
            self.learn(news);
        }
    }

    /// Takes note of news; returns the frames that were held for flows that were named in them.
    pub fn hear(&mut self) -> Vec<(FrameMeta, Box<[u8]>, Option<String>)> {
        let mut named = false;
        while let Ok(news) = self.news.try_recv() {
            named |= !news.joined.is_empty();
            self.learn(news);
        }
        if !named {
            return Vec::new();
        }
        let Self { flows, held, .. } = self;
        let taken = held.take(|name| flows.contains_key(name));
        let mut comment = |name: &FlowName| flows.get_mut(name)?.first_mut()?.comment.take();
        taken.into_iter().map(|(name, meta, bytes)| (meta, bytes, comment(&name))).collect()
    }

    fn learn(&mut self, news: News) {
        for name in news.left {
            self.flows.remove(&name);
        }
        for flow in news.joined {
            let known = self.flows.entry(flow.name).or_default();
            known.push(Flow { span: flow.span, comment: Some(flow.comment) });
        }
    }

    /// Returns what becomes of a frame.
    pub fn choose(&mut self, bytes: &[u8], meta: &FrameMeta) -> Choice {
        let Some((frame, wide)) = reread::read(&mut self.parser, bytes, meta) else { return Choice::Left };
        if self.until.is_some_and(|until| meta.wall > until) {
            return Choice::Left;
        }
        let name = FlowName::of(&frame.key, &wide);
        let of_file = self.until.is_some();
        let holds = |flow: &&mut Flow| !of_file || (flow.span[0]..=flow.span[1]).contains(&meta.wall);
        if let Some(flow) = self.flows.get_mut(&name).and_then(|flows| flows.iter_mut().find(holds)) {
            return Choice::Written(flow.comment.take());
        }
        match self.others {
            Others::Written => Choice::Written(None),
            Others::WrittenButLocalhost => {
                let [a, b] = frame.key.addresses(&wide);
                let is_localhost = a == b || a.is_loopback() && b.is_loopback();
                if is_localhost { Choice::Left } else { Choice::Written(None) }
            }
            Others::Left => {
                if !of_file {
                    self.held.hold(name, bytes, meta);
                }
                Choice::Left
            }
        }
    }
}

/// Frames of new flows that nobody has named yet, oldest first.
struct Held {
    frames: VecDeque<(FlowName, FrameMeta, Box<[u8]>)>,
    bytes: usize,
    /// When the flows of each place began, and when they were heard of last, in ms; both wrap.
    heard: Box<[[u32; 2]]>,
    places: Keyed,
}

impl Default for Held {
    fn default() -> Self {
        let heard = vec![[0; 2]; PLACES].into();
        Self { frames: VecDeque::new(), bytes: 0, heard, places: Keyed::default() }
    }
}

impl Held {
    fn hold(&mut self, name: FlowName, bytes: &[u8], meta: &FrameMeta) {
        let is_new = self.is_new(&name, meta.wall);
        let is_old = |meta: &FrameMeta, now: Stamp| now.since(meta.wall) > HELD_FOR;
        while let Some((_, oldest, old)) = self.frames.front()
            && (is_old(oldest, meta.wall) || self.bytes + bytes.len() > MOST_HELD)
        {
            self.bytes -= old.len();
            self.frames.pop_front();
        }
        if is_new {
            self.bytes += bytes.len();
            self.frames.push_back((name, *meta, bytes.into()));
        }
    }

    /// Returns whether a flow has not been heard of for longer than its frames are held.
    fn is_new(&mut self, name: &FlowName, now: Stamp) -> bool {
        let ms = |span: Nanos| (span.0 / 1_000_000) as u32;
        let now = ms(Nanos(now.0));
        let [began, last] = &mut self.heard[self.places.hash_one(name) as usize % PLACES];
        // A stamp may lie a little before the last one.
        let forgotten = ms(FORGOTTEN);
        if now.wrapping_sub(*last).wrapping_add(forgotten) > 2 * forgotten {
            *began = now;
        }
        *last = now;
        now.wrapping_sub(*began) <= ms(HELD_FOR)
    }

    /// Takes the frames of flows that are wanted out.
    fn take(&mut self, is_wanted: impl Fn(&FlowName) -> bool) -> Vec<(FlowName, FrameMeta, Box<[u8]>)> {
        let (taken, left): (Vec<_>, _) =
            std::mem::take(&mut self.frames).into_iter().partition(|(name, ..)| is_wanted(name));
        self.frames = left.into();
        self.bytes = self.frames.iter().map(|(_, _, bytes)| bytes.len()).sum();
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Sender};

    use super::*;
    use crate::{
        packet::{
            hash::Seed,
            key::{FlowKey, WideKey, kind, proto},
            parse::ParseConfig,
        },
        query::recording::Recorded,
    };

    /// A UDP datagram from 10.0.0.1:1000 to 10.0.0.2 at a port, over Ethernet, without checksums.
    fn datagram(port: u16, len: usize) -> Vec<u8> {
        let mut out = vec![0; 14 + 20 + 8 + len];
        out[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
        out[16..18].copy_from_slice(&(28 + len as u16).to_be_bytes());
        out[22..24].copy_from_slice(&[64, proto::UDP]);
        out[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        out[34..36].copy_from_slice(&1000_u16.to_be_bytes());
        out[36..38].copy_from_slice(&port.to_be_bytes());
        out[38..40].copy_from_slice(&(8 + len as u16).to_be_bytes());
        out
    }

    fn name(port: u16) -> FlowName {
        let key = FlowKey {
            ends: 0x0a00_0001_0a00_0002,
            ports: [1000, port],
            proto: proto::UDP,
            kind: kind::LIVE,
            ..FlowKey::default()
        };
        FlowName::of(&key, &WideKey::default())
    }

    fn at(ms: u64, wire_len: usize) -> FrameMeta {
        FrameMeta::of_ethernet(Stamp(1_700_000_000_000_000_000 + ms * 1_000_000), wire_len as u32)
    }

    struct Live {
        chosen: Chosen,
        news: Sender<News>,
    }

    impl Live {
        fn new() -> Self {
            let (news, receiver) = mpsc::channel();
            let parser = Parser::new(ParseConfig::default(), Seed::new(1));
            Self { chosen: Chosen::new(parser, receiver, Others::Left, None), news }
        }

        fn frame(&mut self, port: u16, ms: u64, len: usize) -> Choice {
            let bytes = datagram(port, len);
            self.chosen.choose(&bytes, &at(ms, bytes.len()))
        }

        fn name(&mut self, left: &[u16], joined: &[u16]) -> Vec<usize> {
            let recorded = |port: &u16| Recorded {
                name: name(*port),
                span: [Stamp(0); 2],
                comment: format!("port {port}"),
            };
            let left = left.iter().map(|port| name(*port)).collect();
            self.news.send(News { left, joined: joined.iter().map(recorded).collect() }).unwrap();
            self.chosen.hear().iter().map(|(_, bytes, _)| bytes.len() - 42).collect()
        }
    }

    #[test]
    fn k19_a_flow_that_is_named_late_has_its_first_frames() {
        let mut live = Live::new();
        for n in 0..10 {
            assert_eq!(live.frame(53, n * 100, n as usize), Choice::Left);
            assert_eq!(live.frame(54, n * 100, 100), Choice::Left);
        }
        assert_eq!(live.name(&[], &[53]), (0..10).collect::<Vec<_>>());
        // What was held bears the comment; what comes now has none.
        assert_eq!(live.frame(53, 1000, 10), Choice::Written(None));
        assert_eq!(live.name(&[], &[]), [0; 0]);
        // A flow that nobody named for long is not held any more, and its old frames are gone.
        (0..80).for_each(|n| assert_eq!(live.frame(54, 1000 + n * 100, 7), Choice::Left));
        assert_eq!(live.name(&[], &[54]), [0; 0]);
        assert_eq!(live.frame(54, 9000, 1), Choice::Written(Some("port 54".into())));
        // One that has ended is no longer meant, whoever has its name next.
        assert_eq!(live.name(&[53], &[]), [0; 0]);
        assert_eq!(live.frame(53, 9100, 1), Choice::Left);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut live = Live::new();
        (0..40_000).for_each(|n| assert_eq!(live.frame(n as u16, n / 100, 1400), Choice::Left));
        assert!(live.chosen.held.bytes <= MOST_HELD && live.chosen.held.bytes > MOST_HELD / 2);
        let bytes: usize = live.chosen.held.frames.iter().map(|(_, _, bytes)| bytes.len()).sum();
        assert_eq!(live.chosen.held.bytes, bytes);
    }
}

//! Which frames go into a file of frames: those of flows that were named, from the moment on at which they are.
//!
//! Live a flow is named up to a second after its first frames, as a filter can only tell by then. So frames of
//! flows that are new are held for a while: who asks for `sni:example.org` gets the handshake too. Without a filter
//! they are written in any case, and held until it is known who owns them.
//!
//! ```text
//!   a frame ── named? ── yes ──────────────────────▶ written
//!                │                                     ▲
//!                └─ no ── new? ── yes ── held ── named within 3 s
//!                           │              │
//!                           └─ no ─────────┴──▶ nothing; without a filter written
//! ```

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::BuildHasher as _,
    sync::mpsc::Receiver,
    time::{Duration, Instant},
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
    query::recording::{GONE_FOR, News, Others, Recorded},
};

/// How long frames of new flows are held: an epoch, and as long again to look at it.
const HELD_FOR: Nanos = Nanos::from_secs(3);
/// Bytes held at most, with what a frame takes beside its own: the oldest go first.
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
    /// Flows that left with the last news, oldest first, and of which frames were written.
    gone: [HashSet<FlowName, Keyed>; GONE_FOR as usize + 1],
    /// What is said of flows that were written and have no further frame to say it with.
    unsaid: Vec<String>,
}

/// A flow that was named.
struct Flow {
    span: [Stamp; 2],
    /// What is said with the next frame.
    comment: Option<String>,
    /// A frame of it was written.
    is_written: bool,
}

/// A frame that was held, and what is said with it.
pub type Released = (FrameMeta, Box<[u8]>, Option<String>);

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
        let (flows, held, gone, unsaid) = Default::default();
        Self { parser, news, others, until, flows, held, gone, unsaid }
    }

    /// Waits for the first news of a file.
    pub fn begin(&mut self) {
        if self.until.is_some()
            && let Ok(news) = self.news.recv()
        {
            self.learn(news, &mut Vec::new());
        }
    }

    /// Takes note of news; returns the frames that were held for flows that were named in them, and those that were
    /// held for long enough.
    pub fn hear(&mut self) -> Vec<Released> {
        let mut released = self.release(Held::over);
        while let Ok(news) = self.news.try_recv() {
            self.learn(news, &mut released);
        }
        released
    }

    /// Hears the last news; returns the frames that are still held and written all the same, and what is said of
    /// flows that have no further frame.
    pub fn finish(&mut self) -> (Vec<Released>, Vec<String>) {
        let mut released = self.hear();
        // One deadline for all of them: news may come faster than it takes to wait for one.
        let deadline = Instant::now() + LAST_NEWS;
        while let Ok(news) = self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.learn(news, &mut released);
            if Instant::now() >= deadline {
                break;
            }
        }
        if self.others != Others::Left {
            released.extend(self.release(|held| held.take(|_| true)));
        }
        let flows = self.flows.drain().flat_map(|(_, flows)| flows);
        let unsaid = flows.filter(|flow| flow.is_written).filter_map(|flow| flow.comment);
        self.unsaid.extend(unsaid);
        (released, std::mem::take(&mut self.unsaid))
    }

    fn learn(&mut self, news: News, released: &mut Vec<Released>) {
        for (name, comment) in news.told {
            if let Some(flow) = self.flows.get_mut(&name).and_then(|flows| flows.last_mut()) {
                flow.comment = Some(comment);
            }
        }
        self.gone.rotate_left(1);
        let [.., left] = &mut self.gone;
        left.clear();
        for name in news.left {
            for flow in self.flows.remove(&name).into_iter().flatten().filter(|flow| flow.is_written) {
                left.insert(name);
                self.unsaid.extend(flow.comment);
            }
        }
        // Who owns a flow may be found out when it has ended.
        let late = news.late.into_iter().filter(|(name, _)| self.gone.iter().any(|gone| gone.contains(name)));
        self.unsaid.extend(late.map(|(_, comment)| comment));
        self.unsaid.truncate(MOST_UNSAID);
        let is_named = !news.joined.is_empty() || !news.past.is_empty();
        for flow in news.joined {
            let known = self.flows.entry(flow.name).or_default();
            known.push(Flow { span: flow.span, comment: Some(flow.comment), is_written: false });
        }
        if is_named && self.until.is_none() {
            let mut past: HashMap<FlowName, Recorded> =
                news.past.into_iter().map(|flow| (flow.name, flow)).collect();
            let flows = &self.flows;
            let taken = self.held.take(|name| flows.contains_key(name) || past.contains_key(name));
            for (name, meta, bytes) in taken {
                // Whoever has the name now began when the one before it was over.
                let of_past = past.get_mut(&name).filter(|flow| meta.wall <= flow.span[1]);
                let comment = match of_past {
                    Some(flow) => {
                        Some(std::mem::take(&mut flow.comment)).filter(|comment| !comment.is_empty())
                    }
                    None => self.comment(&name),
                };
                released.push((meta, bytes, comment));
            }
        }
        if self.others != Others::Left {
            released.extend(self.release(|held| held.older_than(news.now)));
            released.extend(self.release(Held::take_ripe));
        }
    }

    fn release(&mut self, take: impl FnOnce(&mut Held) -> Vec<HeldFrame>) -> Vec<Released> {
        let taken = take(&mut self.held);
        taken.into_iter().map(|(name, meta, bytes)| (meta, bytes, self.comment(&name))).collect()
    }

    /// Returns what is said with a frame that is written now.
    fn comment(&mut self, name: &FlowName) -> Option<String> {
        let flow = self.flows.get_mut(name)?.first_mut()?;
        flow.is_written = true;
        flow.comment.take()
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
            flow.is_written = true;
            return Choice::Written(flow.comment.take());
        }
        if self.others == Others::WrittenButLocalhost {
            let [a, b] = frame.key.addresses(&wide);
            if a == b || a.is_loopback() && b.is_loopback() {
                return Choice::Left;
            }
        }
        // Who owns it, and what it is called, is known a moment later: its first frame shall say so.
        let is_held = !of_file && self.held.hold(name, bytes, meta, self.others != Others::Left);
        match self.others {
            Others::Written | Others::WrittenButLocalhost if !is_held => Choice::Written(None),
            _ => Choice::Left,
        }
    }
}

/// How long the last news are waited for, all together: whoever tells them has a look at the last epoch.
const LAST_NEWS: Duration = Duration::from_millis(700);
/// Comments kept for the end of the file at most.
const MOST_UNSAID: usize = 1 << 16;

type HeldFrame = (FlowName, FrameMeta, Box<[u8]>);

/// Frames of new flows that nobody has named yet, oldest first.
struct Held {
    frames: VecDeque<HeldFrame>,
    bytes: usize,
    /// How many frames are held by flow.
    counts: HashMap<FlowName, u32, Keyed>,
    /// Flows that are new no longer and of which frames are held: those are written with the next news, and what comes
    /// after them at once.
    ripe: HashSet<FlowName, Keyed>,
    /// Those that are held no longer, if they are written nevertheless.
    over: Vec<HeldFrame>,
    /// When the flows of each place began, and when they were heard of last, in ms; both wrap.
    heard: Box<[[u32; 2]]>,
    places: Keyed,
}

impl Default for Held {
    fn default() -> Self {
        let heard = vec![[0; 2]; PLACES].into();
        let (frames, counts, ripe, over) = Default::default();
        Self { frames, bytes: 0, counts, ripe, over, heard, places: Keyed::default() }
    }
}

impl Held {
    /// Holds a frame of a flow that is new, or of which frames are held: their order stays. Returns whether it does.
    /// Those that have no room any more are written nevertheless, or are gone.
    fn hold(&mut self, name: FlowName, bytes: &[u8], meta: &FrameMeta, are_written: bool) -> bool {
        let is_new = self.is_new(&name, meta.wall);
        while let Some((_, oldest, old)) = self.frames.front()
            && (is_old(oldest, meta.wall) || self.bytes + room(bytes) > MOST_HELD)
        {
            self.bytes -= room(old);
            match self.frames.pop_front() {
                // Counted until it is written: what comes later of its flow is written later.
                Some(frame) if are_written => self.over.push(frame),
                Some(frame) => self.forget(&frame.0),
                None => {}
            }
        }
        let is_held = is_new || are_written && self.counts.contains_key(&name);
        if is_held {
            if !is_new {
                self.ripe.insert(name);
            }
            self.bytes += room(bytes);
            *self.counts.entry(name).or_default() += 1;
            self.frames.push_back((name, *meta, bytes.into()));
        }
        is_held
    }

    /// Takes out those that are held no longer.
    fn over(&mut self) -> Vec<HeldFrame> {
        let over = std::mem::take(&mut self.over);
        over.iter().for_each(|(name, ..)| self.forget(name));
        over
    }

    fn forget(&mut self, name: &FlowName) {
        if let Some(count) = self.counts.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(name);
            }
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
    fn take(&mut self, is_wanted: impl Fn(&FlowName) -> bool) -> Vec<HeldFrame> {
        let (taken, left): (Vec<_>, _) =
            std::mem::take(&mut self.frames).into_iter().partition(|(name, ..)| is_wanted(name));
        self.frames = left.into();
        taken.iter().for_each(|(name, ..)| self.forget(name));
        self.bytes = self.frames.iter().map(|(_, _, bytes)| room(bytes)).sum();
        taken
    }

    /// Takes the frames of flows that are new no longer out.
    fn take_ripe(&mut self) -> Vec<HeldFrame> {
        let ripe = std::mem::take(&mut self.ripe);
        if ripe.is_empty() { Vec::new() } else { self.take(|name| ripe.contains(name)) }
    }

    /// Takes the frames that were held for long enough out.
    fn older_than(&mut self, now: Stamp) -> Vec<HeldFrame> {
        let count = self.frames.iter().take_while(|(_, meta, _)| is_old(meta, now)).count();
        let taken: Vec<_> = self.frames.drain(..count).collect();
        for (name, _, bytes) in &taken {
            self.bytes -= room(bytes);
            self.forget(name);
        }
        taken
    }
}

/// Returns how much memory a frame takes that is held: its place and its flow's in tables that may be half empty, and
/// what the allocator keeps beside its bytes.
fn room(bytes: &[u8]) -> usize {
    bytes.len() + 2 * (size_of::<HeldFrame>() + size_of::<(FlowName, u32)>()) + 16
}

fn is_old(meta: &FrameMeta, now: Stamp) -> bool {
    now.since(meta.wall) > HELD_FOR
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Sender};

    use super::*;
    use crate::packet::{
        hash::Seed,
        key::{FlowKey, WideKey, kind, proto},
        parse::ParseConfig,
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
            Self::with(Others::Left)
        }

        fn with(others: Others) -> Self {
            let (news, receiver) = mpsc::channel();
            let parser = Parser::new(ParseConfig::default(), Seed::new(1));
            Self { chosen: Chosen::new(parser, receiver, others, None), news }
        }

        /// Sends news of this time; returns the ports and comments of the frames that are written then.
        fn hear(&mut self, ms: u64, news: News) -> Vec<(u16, Option<String>)> {
            self.news.send(News { now: at(ms, 0).wall, ..news }).unwrap();
            ports(self.chosen.hear())
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
            let joined = joined.iter().map(recorded).collect();
            self.news.send(News { left, joined, ..News::default() }).unwrap();
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

    fn ports(frames: Vec<Released>) -> Vec<(u16, Option<String>)> {
        let port = |bytes: &[u8]| u16::from_be_bytes([bytes[36], bytes[37]]);
        frames.into_iter().map(|(_, bytes, comment)| (port(&bytes), comment)).collect()
    }

    fn known(port: u16, span: [u64; 2]) -> Recorded {
        let span = span.map(|ms| at(ms, 0).wall);
        Recorded { name: name(port), span, comment: format!("curl, port {port}") }
    }

    #[test]
    fn k19_without_a_filter_the_first_frame_says_who_owns_it_and_nothing_is_lost() {
        let mut live = Live::with(Others::Written);
        // A flow that is named, one that came and went, and one that nobody ever names.
        for (ms, port) in [(0, 53), (0, 54), (0, 55), (10, 53), (10, 55)] {
            assert_eq!(live.frame(port, ms, 1), Choice::Left);
        }
        let (joined, past) = (vec![known(53, [0, 10])], vec![known(54, [0, 0])]);
        let news = News { joined, past, ..News::default() };
        let said = |port: u16| Some(format!("curl, port {port}"));
        assert_eq!(live.hear(1000, news), [(53, said(53)), (54, said(54)), (53, None)]);
        assert_eq!(live.frame(53, 1100, 1), Choice::Written(None));
        assert_eq!(live.hear(2000, News::default()), []);
        // In their order, although the flow is not new any more.
        assert_eq!(live.frame(55, 3200, 1), Choice::Left);
        assert_eq!(live.hear(3100, News::default()), [(55, None), (55, None), (55, None)]);
        // From then on at once, however busy it is.
        (0..100).for_each(|n| assert_eq!(live.frame(55, 3300 + n * 30, 1), Choice::Written(None)));
        assert_eq!(live.hear(6300, News::default()), []);
        // What is found out later stands at the next frame.
        let told = vec![(name(53), "curl (7)".to_owned())];
        assert_eq!(live.hear(6500, News { told, ..News::default() }), []);
        assert_eq!(live.frame(53, 6600, 1), Choice::Written(Some("curl (7)".into())));
    }

    #[test]
    fn k19_what_no_frame_can_say_any_more_is_told_at_the_end() {
        let mut live = Live::with(Others::Written);
        [53, 54, 56].into_iter().for_each(|port| assert_eq!(live.frame(port, 0, 1), Choice::Left));
        live.hear(500, News { joined: vec![known(53, [0, 0]), known(54, [0, 0])], ..News::default() });
        // One has no further frame, one ends; of a third one the last news tell.
        let told = [53, 54].map(|port| (name(port), format!("late {port}"))).into();
        live.hear(900, News { told, left: vec![name(54)], ..News::default() });
        // What is found out of those that have left, if frames of them were written.
        let late = [54, 58].map(|port| (name(port), format!("later {port}"))).into();
        live.hear(940, News { late, ..News::default() });
        live.news.send(News { joined: vec![known(56, [0, 0])], ..News::default() }).unwrap();
        live.frame(57, 950, 1);
        let Live { mut chosen, news } = live;
        drop(news);
        let (frames, unsaid) = chosen.finish();
        assert_eq!(ports(frames), [(56, Some("curl, port 56".into())), (57, None)]);
        assert_eq!(unsaid, ["late 54", "later 54", "late 53"]);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut live = Live::new();
        (0..40_000).for_each(|n| assert_eq!(live.frame(n as u16, n / 100, 1400), Choice::Left));
        assert!(live.chosen.held.bytes <= MOST_HELD && live.chosen.held.bytes > MOST_HELD / 2);
        let bytes: usize = live.chosen.held.frames.iter().map(|(_, _, bytes)| room(bytes)).sum();
        assert_eq!(live.chosen.held.bytes, bytes);
    }
}

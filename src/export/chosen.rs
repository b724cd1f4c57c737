//! Which frames go into a file of frames: those of flows that were named, in the order of their time.
//!
//! Live a flow is named up to a second after its first frames, as a filter can only tell by then. So all frames wait for
//! as long: who asks for `sni:example.org` gets the handshake too, each frame is said to be of the flow that had its name
//! at its time, and none stands behind a later one. With a filter only frames of flows wait that are named or new.
//!
//! ```text
//!   a frame ── named, or no filter? ── yes ── sure ──┐
//!                │                                   ├─ 3 s later, by time ── named? or no filter? ──▶ written
//!                └─ no ── new? ── yes ──────── open ─┘                         │
//!                           └─ no ─────────▶ nothing ◀─────────────────────────┘
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
    export::{reread, waiting::Waiting},
    packet::{
        descriptor::Descriptor,
        key::proto,
        name::FlowName,
        parse::{FrameMeta, Parser},
    },
    query::recording::{GONE_FOR, News, Others, Recorded, Whose},
};

/// How long frames wait: an epoch, and as long again to look at it.
const HELD_FOR: Nanos = Nanos::from_secs(3);
/// A flow that was silent for so long is new again; and a clock that goes back by as much was set.
const FORGOTTEN: Nanos = Nanos::from_secs(30);
/// The stamps of two captures of the same frame differ by less.
const SLACK: Nanos = Nanos::from_millis(5);
/// Bytes of frames that wait at most, with what a frame takes beside its own: of those that are written in any case, and
/// of those of flows that nobody has named yet. The oldest go first.
const MOST_SURE: usize = 32 << 20;
const MOST_OPEN: usize = 16 << 20;
/// Places in which it is noted when flows began, 8 bytes each: flows that share one are as old as the older.
const PLACES: usize = 1 << 16;

/// Tells frames that are written from all others.
pub struct Chosen {
    parser: Parser,
    news: Receiver<News>,
    others: Others,
    /// Of a file: nothing comes later, and nothing waits.
    until: Option<Stamp>,
    /// By their name, which several may have one after the other, in that order.
    flows: HashMap<FlowName, Vec<Flow>, Keyed>,
    /// Flows that have ended, oldest first: when that was known, and the look at which it was.
    leaving: VecDeque<(Whose, Stamp, u64)>,
    /// News that were heard.
    looks: u64,
    /// Frames that are written in any case.
    sure: Waiting,
    /// Those of new flows that nobody has named yet.
    open: Waiting,
    /// Those that have no room any more.
    over: Vec<Released>,
    heard: Heard,
    /// The latest time that was heard of.
    newest: Stamp,
    /// Flows of which frames were written before anybody named them, by the news that came last then.
    unnamed: [HashSet<FlowName, Keyed>; GONE_FOR as usize + 1],
    /// What is said of flows that were written and have no further frame to say it with.
    unsaid: Vec<String>,
}

/// A flow that was named.
struct Flow {
    whose: Whose,
    first: Stamp,
    /// Until when frames are its own.
    end: Stamp,
    /// What is said with the next frame.
    comment: Option<String>,
    /// A frame of it was written.
    is_written: bool,
}

impl Flow {
    fn has(&self, at: Stamp, slack: Nanos) -> bool {
        self.first.0 <= at.0.saturating_add(slack.0) && at.0 <= self.end.0.saturating_add(slack.0)
    }
}

/// A frame that has waited, and what is said with it.
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
        let (flows, leaving, looks, sure, open) = Default::default();
        let (over, heard, newest, unnamed, unsaid) = Default::default();
        Self {
            parser,
            news,
            others,
            until,
            flows,
            leaving,
            looks,
            sure,
            open,
            over,
            heard,
            newest,
            unnamed,
            unsaid,
        }
    }

    /// Waits for the first news of a file.
    pub fn begin(&mut self) {
        if self.until.is_some()
            && let Ok(news) = self.news.recv()
        {
            self.learn(news);
        }
    }

    /// Takes note of news; returns the frames that have waited for long enough, or have no room any more, in the order
    /// of their time.
    pub fn hear(&mut self) -> Vec<Released> {
        while let Ok(news) = self.news.try_recv() {
            self.learn(news);
        }
        let mut released = std::mem::take(&mut self.over);
        self.release(Stamp(self.newest.0.saturating_sub(HELD_FOR.0)), &mut released);
        released
    }

    /// Hears the last news; returns the frames that still wait, and what is said of flows that have no further frame.
    pub fn finish(&mut self) -> (Vec<Released>, Vec<String>) {
        let mut released = self.hear();
        // One deadline for all of them: news may come faster than it takes to wait for one.
        let deadline = Instant::now() + LAST_NEWS;
        while let Ok(news) = self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.learn(news);
            if Instant::now() >= deadline {
                break;
            }
        }
        released.append(&mut self.over);
        self.release(Stamp(u64::MAX), &mut released);
        let flows = self.flows.drain().flat_map(|(_, flows)| flows);
        let unsaid = flows.filter(|flow| flow.is_written).filter_map(|flow| flow.comment);
        self.unsaid.extend(unsaid);
        (released, std::mem::take(&mut self.unsaid))
    }

    fn learn(&mut self, news: News) {
        self.looks += 1;
        self.see(news.now);
        self.unnamed.rotate_left(1);
        let [.., last] = &mut self.unnamed;
        last.clear();
        // Who owns a flow may be found out when it has ended.
        for (whose, comment) in news.told.into_iter().chain(news.late) {
            if let Some(flow) = self.flow_of(&whose) {
                flow.comment = Some(comment);
            }
        }
        for whose in news.left {
            if let Some(flow) = self.flow_of(&whose) {
                flow.end = news.now;
                self.leaving.push_back((whose, news.now, self.looks));
            }
        }
        let of_file = self.until.is_some();
        for flow in news.joined {
            let end = if of_file { flow.span[1] } else { Stamp(u64::MAX) };
            self.name(flow, end);
        }
        for flow in news.past {
            let (whose, end) = (flow.whose, flow.span[1]);
            if self.sure.has(&whose.name) || self.open.has(&whose.name) {
                self.name(flow, end);
                self.leaving.push_back((whose, news.now, self.looks));
            } else if self.unnamed.iter().any(|names| names.contains(&whose.name)) {
                self.unsaid.push(flow.comment);
            }
        }
        self.let_go();
    }

    /// Takes note of a flow that was named, behind those that had its name before.
    fn name(&mut self, flow: Recorded, end: Stamp) {
        let Recorded { whose, span, comment } = flow;
        let is_written = self.unnamed.iter().any(|names| names.contains(&whose.name));
        let first = span[0];
        let known = self.flows.entry(whose.name).or_default();
        let at = known.partition_point(|before| before.first <= first);
        // Whoever had the name before was over by then.
        if let Some(before) =
            at.checked_sub(1).and_then(|at| known.get_mut(at)).filter(|_| self.until.is_none())
        {
            before.end = before.end.min(Stamp(first.0.saturating_sub(1)));
        }
        known.insert(at, Flow { whose, first, end, comment: Some(comment), is_written });
    }

    /// Forgets flows that have ended, once none of their frames waits and nothing is found out of them any more.
    fn let_go(&mut self) {
        while let Some((whose, since, look)) = self.leaving.front().copied()
            && self.newest.since(since) > HELD_FOR
            && self.looks > look + u64::from(GONE_FOR)
        {
            self.leaving.pop_front();
            let Some(flows) = self.flows.get_mut(&whose.name) else { continue };
            if let Some(at) = flows.iter().position(|flow| flow.whose == whose) {
                let flow = flows.remove(at);
                self.unsaid.extend(flow.comment.filter(|_| flow.is_written));
            }
            if flows.is_empty() {
                self.flows.remove(&whose.name);
            }
        }
        self.unsaid.truncate(MOST_UNSAID);
    }

    fn flow_of(&mut self, whose: &Whose) -> Option<&mut Flow> {
        self.flows.get_mut(&whose.name)?.iter_mut().find(|flow| flow.whose == *whose)
    }

    /// Takes note of a time. What waits is written where the clock was set back: it would wait for ever.
    fn see(&mut self, at: Stamp) {
        if at.0.saturating_add(FORGOTTEN.0) < self.newest.0 {
            let mut over = std::mem::take(&mut self.over);
            self.release(Stamp(u64::MAX), &mut over);
            (self.over, self.newest) = (over, at);
            // Nor would flows that have ended ever be forgotten.
            self.leaving.iter_mut().for_each(|(_, since, _)| *since = (*since).min(at));
        }
        self.newest = self.newest.max(at);
    }

    /// Takes frames up to a time out, in the order of their time.
    fn release(&mut self, until: Stamp, released: &mut Vec<Released>) {
        loop {
            let [sure, open] = [&self.sure, &self.open].map(Waiting::first);
            let oldest = if open.is_none() || sure.is_some() && sure <= open {
                &mut self.sure
            } else {
                &mut self.open
            };
            if oldest.first().is_none_or(|at| at > until) {
                return;
            }
            let Some((name, meta, bytes)) = oldest.take() else { return };
            if let Some(comment) = self.comment(&name, meta.wall) {
                released.push((meta, bytes, comment));
            }
        }
    }

    /// Returns what is said with a frame that is written now; `None` for one that is not.
    fn comment(&mut self, name: &FlowName, at: Stamp) -> Option<Option<String>> {
        let flows = self.flows.get_mut(name).map_or(&mut [][..], |flows| flows);
        let found = [Nanos(0), SLACK]
            .into_iter()
            .find_map(|slack| flows.iter().rposition(|flow| flow.has(at, slack)));
        // The first one may have lost its first frames elsewhere.
        let found = found.or_else(|| flows.first().filter(|flow| at < flow.first).map(|_| 0));
        if let Some(flow) = found.and_then(|n| flows.get_mut(n)) {
            flow.is_written = true;
            return Some(flow.comment.take().filter(|comment| !comment.is_empty()));
        }
        let [.., last] = &mut self.unnamed;
        if self.others != Others::Left && last.len() < MOST_UNSAID {
            last.insert(*name);
        }
        (self.others != Others::Left).then_some(None)
    }

    /// Returns what becomes of a frame.
    pub fn choose(&mut self, bytes: &[u8], meta: &FrameMeta) -> Choice {
        let Some((frame, wide)) = reread::read(&mut self.parser, bytes, meta) else { return Choice::Left };
        if self.until.is_some_and(|until| meta.wall > until) {
            return Choice::Left;
        }
        let name = FlowName::of(&frame.key, &wide);
        if self.others == Others::WrittenButLocalhost && !self.flows.contains_key(&name) {
            let [a, b] = frame.key.addresses(&wide);
            if a == b || a.is_loopback() && b.is_loopback() {
                return Choice::Left;
            }
        }
        if self.until.is_some() {
            return self.comment_of_file(&name, meta.wall).map_or(Choice::Left, Choice::Written);
        }
        self.see(meta.wall);
        let is_new = self.heard.is_new(&name, meta.wall, is_opening(&frame));
        if self.others != Others::Left || self.flows.contains_key(&name) {
            self.sure.hold(name, meta, bytes);
        } else if is_new {
            self.open.hold(name, meta, bytes);
        }
        self.make_room();
        Choice::Left
    }

    /// The same where nothing waits: a frame of a named flow lies within its span.
    fn comment_of_file(&mut self, name: &FlowName, at: Stamp) -> Option<Option<String>> {
        let flow =
            self.flows.get_mut(name).and_then(|flows| flows.iter_mut().find(|flow| flow.has(at, Nanos(0))));
        match flow {
            Some(flow) => {
                flow.is_written = true;
                Some(flow.comment.take())
            }
            None => (self.others != Others::Left).then_some(None),
        }
    }

    /// Takes the oldest out where there is no room for all: what is written is not lost, and frames of flows that nobody
    /// has named by then are none.
    fn make_room(&mut self) {
        while self.sure.bytes() > MOST_SURE || self.open.bytes() > MOST_OPEN {
            let is_sure = self.sure.bytes() > MOST_SURE;
            let queue = if is_sure { &mut self.sure } else { &mut self.open };
            let Some((name, meta, bytes)) = queue.take() else { return };
            if !is_sure && self.flows.contains_key(&name) {
                self.sure.put((name, meta, bytes));
            } else if let Some(comment) = self.comment(&name, meta.wall) {
                self.over.push((meta, bytes, comment));
            }
        }
    }
}

/// Returns whether a connection begins with this frame, whoever had its ends before.
fn is_opening(frame: &Descriptor) -> bool {
    const SYN_ACK: u8 = 0x12;
    const SYN: u8 = 0x02;
    frame.key.proto == proto::TCP && frame.tcp_flags & SYN_ACK == SYN
}

/// How long the last news are waited for, all together: whoever tells them has a look at the last epoch.
const LAST_NEWS: Duration = Duration::from_millis(700);
/// Comments kept for the end of the file at most.
const MOST_UNSAID: usize = 1 << 16;

/// When the flows of each place began, and when they were heard of last, in ms; both wrap.
struct Heard {
    places: Box<[[u32; 2]]>,
    keyed: Keyed,
}

impl Default for Heard {
    fn default() -> Self {
        Self { places: vec![[0; 2]; PLACES].into(), keyed: Keyed::default() }
    }
}

impl Heard {
    /// Returns whether a flow has not been heard of for longer than its frames wait; one that begins is new.
    fn is_new(&mut self, name: &FlowName, now: Stamp, begins: bool) -> bool {
        let ms = |span: Nanos| (span.0 / 1_000_000) as u32;
        let now = ms(Nanos(now.0));
        let [began, last] = &mut self.places[self.keyed.hash_one(name) as usize % PLACES];
        // A stamp may lie a little before the last one.
        let forgotten = ms(FORGOTTEN);
        if begins || now.wrapping_sub(*last).wrapping_add(forgotten) > 2 * forgotten {
            *began = now;
        }
        *last = now;
        now.wrapping_sub(*began) <= ms(HELD_FOR)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Sender};

    use super::*;
    use crate::{
        base::ids::FlowId,
        packet::{
            hash::Seed,
            key::{FlowKey, WideKey, kind},
            parse::ParseConfig,
        },
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

        /// Sends news of this time; returns the ports, times in ms and comments of the frames that are written then.
        fn hear(&mut self, ms: u64, news: News) -> Vec<Line> {
            self.news.send(News { now: at(ms, 0).wall, ..news }).unwrap();
            lines(self.chosen.hear())
        }

        fn frame(&mut self, port: u16, ms: u64, len: usize) {
            let bytes = datagram(port, len);
            assert_eq!(self.chosen.choose(&bytes, &at(ms, bytes.len())), Choice::Left);
        }

        fn frames<const N: usize>(&mut self, frames: [(u16, u64); N]) {
            frames.into_iter().for_each(|(port, ms)| self.frame(port, ms, 1));
        }

        fn end(self) -> (Vec<Line>, Vec<String>) {
            let Self { mut chosen, news } = self;
            drop(news);
            let (frames, unsaid) = chosen.finish();
            (lines(frames), unsaid)
        }
    }

    type Line = (u16, u64, Option<String>);

    fn lines(frames: Vec<Released>) -> Vec<Line> {
        let port = |bytes: &[u8]| u16::from_be_bytes([bytes[36], bytes[37]]);
        let ms = |meta: FrameMeta| meta.wall.since(at(0, 0).wall).0 / 1_000_000;
        frames.into_iter().map(|(meta, bytes, comment)| (port(&bytes), ms(meta), comment)).collect()
    }

    fn whose(port: u16, n: u32) -> Whose {
        Whose { name: name(port), id: FlowId::new(0, u32::from(port), n) }
    }

    /// The flow that has this port as the n-th.
    fn nth(port: u16, n: u32, span: [u64; 2]) -> Recorded {
        let span = span.map(|ms| at(ms, 0).wall);
        Recorded { whose: whose(port, n), span, comment: format!("curl {n}, port {port}") }
    }

    fn joined(flows: impl Into<Vec<Recorded>>) -> News {
        News { joined: flows.into(), ..News::default() }
    }

    fn said(port: u16, n: u32) -> Option<String> {
        Some(format!("curl {n}, port {port}"))
    }

    #[test]
    fn k19_a_flow_that_is_named_late_has_its_first_frames_and_others_have_none() {
        let mut live = Live::new();
        live.frames([(53, 0), (54, 0), (53, 500), (54, 500)]);
        assert_eq!(live.hear(1000, joined([nth(53, 1, [0, 500])])), []);
        live.frames([(53, 1100), (54, 1100)]);
        assert_eq!(live.hear(3050, News::default()), [(53, 0, said(53, 1))]);
        assert_eq!(live.hear(4200, News::default()), [(53, 500, None), (53, 1100, None)]);
        // A flow that nobody named for long does not wait any more, and its old frames are gone.
        (0..80).for_each(|n| live.frame(54, 4200 + n * 100, 7));
        assert!(live.chosen.open.first().is_none() && live.chosen.sure.first().is_none());
        assert_eq!(live.hear(12_200, joined([nth(54, 1, [0, 12_100])])), []);
        live.frames([(54, 12_300)]);
        assert_eq!(live.hear(15_400, News::default()), [(54, 12_300, said(54, 1))]);
        // One that has ended is no longer meant, whoever has its name next.
        live.hear(15_500, News { left: vec![whose(53, 1)], ..News::default() });
        live.frames([(53, 15_600)]);
        assert_eq!(live.end().0, []);
    }

    #[test]
    fn k19_without_a_filter_the_first_frame_says_who_owns_it_and_nothing_is_lost() {
        let mut live = Live::with(Others::Written);
        // A flow that is named, one that came and went, and one that nobody ever names.
        live.frames([(53, 0), (54, 0), (55, 0), (53, 10), (55, 10)]);
        let past = vec![nth(54, 1, [0, 0])];
        live.hear(1000, News { past, ..joined([nth(53, 1, [0, 10])]) });
        assert_eq!(
            live.hear(3020, News::default()),
            [(53, 0, said(53, 1)), (54, 0, said(54, 1)), (55, 0, None), (53, 10, None), (55, 10, None)]
        );
        // What is found out later stands at the next frame.
        let told = vec![(whose(53, 1), "curl (7)".to_owned())];
        live.hear(3100, News { told, ..News::default() });
        live.frames([(53, 3200), (53, 3300)]);
        assert_eq!(live.end().0, [(53, 3200, Some("curl (7)".into())), (53, 3300, None)]);
    }

    #[test]
    fn k19_frames_are_written_in_the_order_of_their_time() {
        for others in [Others::Left, Others::Written] {
            let mut live = Live::with(others);
            let mut written = Vec::new();
            // One is known for long, others begin all the time; frames of two interfaces overtake each other.
            live.hear(0, joined([nth(53, 1, [0, 0])]));
            for n in 1..400_u64 {
                live.frame(1000 + (n / 8) as u16, n * 20, 1);
                live.frame(53, n * 20 - 15, 1);
                if n % 50 == 0 {
                    let new = (n - 50) / 8 + 1..=n / 8;
                    let new: Vec<_> =
                        new.map(|k| nth(1000 + k as u16, 1, [k * 160, k * 160 + 140])).collect();
                    written.extend(live.hear(n * 20, joined(new)));
                }
                written.extend(lines(live.chosen.hear()));
            }
            written.extend(live.end().0);
            assert!(written.is_sorted_by_key(|(_, ms, _)| *ms), "{others:?}");
            assert_eq!(written.iter().filter(|(port, ..)| *port == 53).count(), 399);
            let commented = written.iter().filter(|(_, _, comment)| comment.is_some()).count();
            assert!(commented >= 40 && (others == Others::Left || written.len() == 798), "{commented}");
        }
    }

    #[test]
    fn k19_each_connection_with_the_same_ends_has_its_own_comment() {
        for others in [Others::Left, Others::Written] {
            let mut live = Live::with(others);
            live.frames([(53, 0)]);
            live.hear(100, joined([nth(53, 1, [0, 0])]));
            // It ends, a second one comes and goes, and a third one stays, all before the next epoch.
            live.frames([(53, 200), (53, 300), (53, 400), (53, 500), (53, 600)]);
            let news = News {
                left: vec![whose(53, 1)],
                past: vec![nth(53, 2, [300, 400])],
                ..joined([nth(53, 3, [500, 600])])
            };
            live.hear(1100, news);
            // What is found out of the first one, which has left, is not said of the others.
            live.hear(1200, News { late: vec![(whose(53, 1), "late 1".into())], ..News::default() });
            let written = live.hear(3700, News::default());
            let late = Some("late 1".to_owned());
            assert_eq!(
                written,
                [
                    (53, 0, late),
                    (53, 200, None),
                    (53, 300, said(53, 2)),
                    (53, 400, None),
                    (53, 500, said(53, 3)),
                    (53, 600, None)
                ],
                "{others:?}"
            );
            assert_eq!(live.end(), (vec![], vec![]));
        }
    }

    #[test]
    fn k19_what_no_frame_can_say_any_more_is_told_at_the_end() {
        let mut live = Live::with(Others::Written);
        live.frames([(53, 0), (54, 0), (56, 0)]);
        live.hear(500, joined([nth(53, 1, [0, 0]), nth(54, 1, [0, 0])]));
        assert_eq!(live.hear(3500, News::default()).len(), 3);
        // One has no further frame, one ends; of a third one the last news tell.
        let told = [53, 54].map(|port| (whose(port, 1), format!("late {port}"))).into();
        live.hear(3900, News { told, left: vec![whose(54, 1)], ..News::default() });
        // What is found out of those that have left, if frames of them were written.
        let late = [54, 58].map(|port| (whose(port, 1), format!("later {port}"))).into();
        live.hear(3940, News { late, ..News::default() });
        // Its frames were written before it was named.
        live.hear(4000, joined([nth(56, 1, [0, 0])]));
        live.frames([(57, 4100)]);
        let (frames, mut unsaid) = live.end();
        unsaid.sort();
        assert_eq!(frames, [(57, 4100, None)]);
        assert_eq!(unsaid, ["curl 1, port 56", "late 53", "later 54"]);
    }

    #[test]
    fn k19_flows_that_have_ended_are_forgotten() {
        let mut live = Live::with(Others::Written);
        for n in 0..20 {
            live.frames([(53, n * 1000)]);
            let left = n.checked_sub(1).map(|n| whose(53, n as u32)).into_iter().collect();
            live.hear(n * 1000 + 500, News { left, ..joined([nth(53, n as u32, [n * 1000; 2])]) });
        }
        assert!(live.chosen.flows[&name(53)].len() <= 6 && live.chosen.leaving.len() <= 6);
        let (_, unsaid) = live.end();
        assert_eq!(unsaid, [""; 0]);
    }

    #[test]
    fn k19_what_waits_does_not_wait_for_a_clock_that_was_set_back() {
        let mut live = Live::with(Others::Written);
        live.frames([(53, 100_000), (53, 100_100), (53, 1000)]);
        assert_eq!(lines(live.chosen.hear()), [(53, 100_000, None), (53, 100_100, None)]);
        live.frames([(53, 4500)]);
        assert_eq!(lines(live.chosen.hear()), [(53, 1000, None)]);
    }

    #[test]
    fn k19_the_last_news_are_waited_for_until_one_deadline_however_many_come() {
        let live = Live::with(Others::Written);
        let Live { mut chosen, news } = live;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // Until nobody listens any more.
                while news.send(News::default()).is_ok() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let begun = Instant::now();
            chosen.finish();
            assert!(
                begun.elapsed() >= LAST_NEWS && begun.elapsed() < 20 * LAST_NEWS,
                "{:?}",
                begun.elapsed()
            );
            drop(chosen);
        });
    }

    #[test]
    fn what_waits_is_bounded() {
        for (others, most) in [(Others::Left, MOST_OPEN), (Others::Written, MOST_SURE)] {
            let mut live = Live::with(others);
            (0..40_000).for_each(|n| live.frame(n as u16, n / 100, 1400));
            let bytes = live.chosen.sure.bytes() + live.chosen.open.bytes();
            assert!(bytes <= most && bytes > most / 2, "{bytes}");
            // Nothing of it is lost, and all is in order.
            let mut written = lines(live.chosen.hear());
            assert_eq!(written.is_empty(), others == Others::Left);
            written.extend(live.end().0);
            assert!(written.is_sorted_by_key(|(_, ms, _)| *ms));
            assert_eq!(written.len(), if others == Others::Left { 0 } else { 40_000 });
        }
    }
}

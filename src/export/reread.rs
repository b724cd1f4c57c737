//! The frames of one connection, found again by a second reading of their file: for what it moved second by second.
//!
//! Each frame is read as the pipeline reads it, so that fragments and tunnels belong where the screen has
//! them. The packet path is not concerned.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    base::time::{Nanos, Stamp},
    capture::source::{Progress, Source},
    flow::entry::FlowRecord,
    packet::{
        descriptor::Descriptor,
        key::WideKey,
        name::FlowName,
        parse::{FrameMeta, Parser, Verdict},
    },
    snapshot::history::{History, SECONDS},
};

/// Frames taken at once.
pub const BURST: usize = 64;
/// How soon a stop is noticed.
pub const WAIT: Nanos = Nanos::from_millis(50);

/// Tells the frames of a connection from all others.
pub struct Reread {
    parser: Parser,
    record: FlowRecord,
    name: FlowName,
}

impl Reread {
    /// Returns what looks for the frames of a connection in a file: those between its first and its last.
    pub fn new(parser: Parser, record: FlowRecord) -> Self {
        Self { parser, record, name: FlowName::of(&record.hot.key, &record.wide) }
    }

    /// Returns the frame as it was read, if it is one of the connection's.
    pub fn find(&mut self, bytes: &[u8], meta: &FrameMeta) -> Option<Descriptor> {
        let span = self.record.facts.first..=self.record.hot.last;
        if !span.contains(&meta.wall) {
            return None;
        }
        let (frame, wide) = read(&mut self.parser, bytes, meta)?;
        (FlowName::of(&frame.key, &wide) == self.name).then_some(frame)
    }
}

/// Reads a frame as the pipeline does; `None` for one that is not for a flow.
pub fn read(parser: &mut Parser, bytes: &[u8], meta: &FrameMeta) -> Option<(Descriptor, WideKey)> {
    // The sender's copy on a loopback comes a second time.
    if meta.loopback && meta.outgoing {
        return None;
    }
    let (mut frame, mut wide) = (Descriptor::default(), WideKey::default());
    (parser.parse(bytes, meta, &mut frame, &mut wide) == Verdict::Flow).then_some((frame, wide))
}

/// Returns what a connection moved towards Local and towards Remote in each second of the last minute before
/// `until`, of a source whose engine time begins at `start`; `None` if `stop` was set before it was read.
pub fn minute<S: Source>(
    mut source: S,
    parser: Parser,
    record: FlowRecord,
    [start, until]: [Stamp; 2],
    stop: &AtomicBool,
) -> Option<History> {
    const SECOND: u64 = 1_000_000_000;
    let second = |at: Stamp| at.since(start).0 / SECOND;
    let last = second(until);
    // What was before it began is a gap, not silence.
    let first = last.saturating_sub(SECONDS).max(second(record.facts.first)).min(last);
    let mut seconds = vec![[0.0; 3]; (last - first + 1) as usize];
    let local = record.hot.roles.subject();
    let mut connection = Reread::new(parser, record);
    loop {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let progress = source.burst(BURST, |bytes, meta| {
            if meta.wall > until {
                return;
            }
            let Some(frame) = connection.find(bytes, meta) else { return };
            let Some(sums) = second(meta.wall).checked_sub(first).and_then(|n| seconds.get_mut(n as usize))
            else {
                return;
            };
            sums[usize::from(frame.from() == local)] += f64::from(frame.wire_len);
            sums[2] += f64::from(frame.segments);
        });
        match progress {
            Progress::Frames => {}
            Progress::Idle => source.wait(WAIT),
            Progress::End => break,
        }
    }
    let mut history = History::default();
    for (second, sums) in (first..).zip(seconds) {
        history.push(Nanos::from_secs(second + 1), Nanos::from_secs(1), sums);
    }
    Some(history)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        capture::synthetic::{Frames, MemorySource},
        flow::entry::{Evidence, Roles},
        packet::{hash::Seed, parse::ParseConfig},
        snapshot::sample,
    };

    /// A UDP datagram over IPv4 over Ethernet, without checksums.
    fn datagram(from: [u16; 5], to: [u16; 5], len: u16) -> Vec<u8> {
        let mut out = [[0; 12].as_slice(), &[8, 0, 0x45, 0]].concat();
        out.extend((28 + len).to_be_bytes());
        out.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        [from, to].iter().for_each(|end| out.extend(end[..4].iter().map(|part| *part as u8)));
        [from[4], to[4], 8 + len, 0].iter().for_each(|word| out.extend(word.to_be_bytes()));
        out.resize(out.len() + usize::from(len), 0);
        out
    }

    #[test]
    fn a_minute_of_one_connection_is_by_the_packets_seconds() {
        let start = Stamp(1_700_000_000_500_000_000);
        let mut frames = Frames::default();
        let mut push = |n: u8, ms: u64, back: bool, len: u16| {
            let (mut from, mut to) = ([10, 0, 0, 1, 1000], [10, 0, 0, u16::from(n), 53]);
            if back {
                std::mem::swap(&mut from, &mut to);
            }
            frames.push_ethernet(Stamp(start.0 + ms * 1_000_000), &datagram(from, to, len));
        };
        for second in 0..100 {
            push(2, second * 1000, false, 100);
            push(2, second * 1000 + 900, true, 400);
            push(3, second * 1000 + 950, true, 1000);
        }
        let frames = Arc::new(frames);
        let mut record = sample::record([([10, 0, 0, 1].into(), 1000), ([10, 0, 0, 2].into(), 53)], 17);
        (record.facts.first, record.hot.last) = (start, Stamp(start.0 + 99_900_000_000));
        record.hot.roles = Roles::new(0, Evidence::Handshake, [true, false]);
        let read_of = |record, until: u64, stop: bool| {
            let source = MemorySource::new(Arc::clone(&frames));
            let parser = Parser::new(ParseConfig::default(), Seed::new(1));
            let until = Stamp(start.0 + until * 1_000_000);
            minute(source, parser, record, [start, until], &AtomicBool::new(stop))
        };
        let whole = record;
        let read = |until, stop| read_of(whole, until, stop);
        let trace = read(99_950, false).unwrap();
        let (down, up) = (trace.parts(0, 60), trace.parts(1, 60));
        assert_eq!(down, vec![Some(442.0); 60]);
        assert_eq!(up, vec![Some(142.0); 60]);
        assert_eq!(trace.newest(), Some(Nanos::from_secs(100)));
        // Up to where one stands: the answer of the last second has not come yet.
        let trace = read(10_500, false).unwrap();
        assert_eq!(trace.parts(0, 60).iter().flatten().count(), 11);
        assert_eq!((trace.now(0), trace.now(1)), (0.0, 142.0));
        assert!(read(99_950, true).is_none());
        // Before its first frame there is nothing.
        record.facts.first = Stamp(start.0 + 90_000_000_000);
        let trace = read_of(record, 99_950, false).unwrap();
        assert_eq!(trace.parts(0, 60).iter().flatten().count(), 10);
        assert_eq!(trace.mean_and_peak(0, SECONDS), (442.0, 442.0));
    }
}

//! Connections as scripts: what a bystander says of each end, and what he counts.
//!
//! A script is a row of segments, `c:` from the client and `s:` from the server. Letters are flags
//! (S A F R P), digits payload bytes. Numbers follow by themselves: a segment continues its sender's
//! stream and acknowledges all that the other end sent. What differs is written behind:
//!
//! | mark | meaning |
//! |---|---|
//! | `@N` | N bytes beside the place where the stream goes on, which stays where it is |
//! | `^N` | the acknowledgement number is N off |
//! | `~` | a SYN with a new initial number |
//! | `wN`, `kN` | window field N (else 65535), window scale option N (else none) |
//! | `tN` | N ms after the one before (else 1) |
//! | `!` | older than the newest by a little: another interface |
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::flow::health::Window;

/// A client, a server and the track of their connection.
struct Play {
    track: TcpTrack,
    /// Which end of the key the client is.
    client: usize,
    next: [u32; 2],
    ms: u64,
    retransmits: u32,
    out_of_order: u32,
    ignored: u32,
    handshake_us: u32,
    data_us: u32,
    initiator: Option<usize>,
    last: Outcome,
    local: bool,
}

impl Play {
    fn new(isn: [u32; 2], client: usize) -> Self {
        Self {
            track: TcpTrack::default(),
            client,
            next: isn,
            ms: 1_000_000,
            retransmits: 0,
            out_of_order: 0,
            ignored: 0,
            handshake_us: 0,
            data_us: 0,
            initiator: None,
            last: Outcome::default(),
            local: false,
        }
    }

    fn of(script: &str) -> Self {
        Self::new([1000, 9000], 0).run(script)
    }

    fn run(mut self, script: &str) -> Self {
        for word in script.split_whitespace() {
            let seg = self.read(word);
            self.take(&seg);
        }
        self
    }

    fn take(&mut self, seg: &Segment) {
        let subject = self.client;
        self.last = self.track.segment(seg, subject);
        assert_eq!(self.last.state, self.track.state(subject));
        self.retransmits += u32::from(self.last.retransmit);
        self.out_of_order += u32::from(self.last.out_of_order);
        self.ignored += u32::from(self.last.ignored_rst);
        if self.last.rtt_handshake_us != 0 {
            self.handshake_us = self.last.rtt_handshake_us;
        }
        if self.last.rtt_data_us != 0 {
            self.data_us = self.last.rtt_data_us;
        }
        if let Some((end, _)) = self.last.initiator {
            self.initiator = Some(usize::from(end) ^ self.client);
        }
    }

    /// The segment of one word of a script.
    fn read(&mut self, word: &str) -> Segment {
        let (who, what) = word.split_once(':').unwrap();
        let me = usize::from(who == "s");
        let mut seg = Segment { window: 65535, from: me ^ self.client, ..Segment::default() };
        let (mut seq_off, mut ack_off, mut ms) = (None, 0, 1);
        let mut rest = what;
        while let Some(c) = rest.chars().next() {
            let from = usize::from(!c.is_ascii_digit());
            let len = rest[from..]
                .find(|d: char| !(d.is_ascii_digit() || d == '-'))
                .map_or(rest.len(), |n| from + n);
            let number = rest[from..len].parse::<i64>();
            match c {
                'S' => seg.flags |= SYN,
                'A' => seg.flags |= ACK,
                'F' => seg.flags |= FIN,
                'R' => seg.flags |= RST,
                'P' => seg.flags |= 8,
                '~' => self.next[me] = self.next[me].wrapping_add(0x2000_0001),
                '!' => seg.late = true,
                '@' => seq_off = number.clone().ok(),
                '^' => ack_off = number.clone().unwrap(),
                'w' => seg.window = number.clone().unwrap() as u16,
                'k' => seg.window_scale = number.clone().unwrap() as u8 + 1,
                't' => ms = number.clone().unwrap(),
                _ => {}
            }
            let is_payload = c.is_ascii_digit() || c.is_ascii_uppercase();
            if let (true, Ok(n)) = (is_payload, number) {
                seg.payload_len = n as u32;
            }
            rest = &rest[len..];
        }
        self.ms = self.ms.wrapping_add_signed(ms);
        seg.wall = Stamp(self.ms * 1_000_000);
        seg.subject_is_local = self.local;
        seg.seq_number = self.next[me].wrapping_add(seq_off.unwrap_or(0) as u32);
        if seg.flags & ACK != 0 {
            seg.ack_number = self.next[me ^ 1].wrapping_add(ack_off as u32);
        }
        if seq_off.is_none() && seg.flags & RST == 0 {
            let flags = u32::from(seg.flags & SYN != 0) + u32::from(seg.flags & FIN != 0);
            self.next[me] = self.next[me].wrapping_add(seg.payload_len + flags);
        }
        seg
    }

    /// The states of client and server.
    fn states(&self) -> String {
        let text = |end: usize| self.track.state(end ^ self.client).text(crate::base::time::Nanos(0));
        format!("{} {}", text(0), text(1))
    }
}

/// A handshake.
const HS: &str = "c:S s:SA c:A ";

/// Script after script, and the states of client and server at its end.
#[rustfmt::skip]
const STATES: &[(&str, &str)] = &[
    // Opening.
    ("c:S",                                 "SYN_SENT SYN_SENT"),
    ("c:S c:S@-1 c:S@-1",                   "SYN_SENT SYN_SENT"),
    ("c:S20",                               "SYN_SENT SYN_SENT"),
    ("c:S s:SA",                            "SYN_SENT SYN_RECV"),
    ("c:S s:SA s:SA@-1",                    "SYN_SENT SYN_RECV"),
    ("c:S s:SA c:S@-1",                     "SYN_SENT SYN_RECV"),
    ("c:S s:SA c:A",                        "ESTABLISHED ESTABLISHED"),
    ("c:S s:SA c:PA10",                     "ESTABLISHED ESTABLISHED"),
    ("c:S s:SA c:A c:S@-1",                 "ESTABLISHED ESTABLISHED"),
    ("c:S s:SA c:A s:SA@-1",                "ESTABLISHED ESTABLISHED"),
    ("c:S s:SA c:A^-1",                     "SYN_SENT SYN_RECV"),
    ("c:S s:SA^5",                          "SYN_SENT SYN_SENT"),
    ("c:S s:SA^-7",                         "SYN_SENT SYN_SENT"),
    ("c:S s:A^-500",                        "SYN_SENT SYN_SENT"),
    ("s:SA^1",                              "SYN_SENT SYN_RECV"),
    ("s:SA^1 c:A@1",                        "ESTABLISHED ESTABLISHED"),
    ("s:SA^1 c:A@1 c:S",                    "ESTABLISHED ESTABLISHED"),
    ("c:S c:S~",                            "SYN_SENT SYN_SENT"),
    ("c:S c:S~ s:SA c:A",                   "ESTABLISHED ESTABLISHED"),
    ("c:S s:SA c:S~",                       "SYN_SENT SYN_SENT"),
    ("c:S s:SA c:S~ s:SA~",                 "SYN_SENT SYN_RECV"),
    ("c:S s:SA s:SA~ c:A",                  "ESTABLISHED ESTABLISHED"),
    // Simultaneous open.
    ("c:S s:S",                             "SYN_SENT SYN_SENT"),
    ("c:S s:S c:SA@-1",                     "SYN_RECV SYN_SENT"),
    ("c:S s:S c:SA@-1 s:SA@-1",             "ESTABLISHED ESTABLISHED"),
    ("c:S s:S c:SA@-1 s:A",                 "ESTABLISHED ESTABLISHED"),
    // TCP Fast Open: data with the SYN, data before the handshake's last ACK.
    ("c:S20 s:SA",                          "SYN_SENT SYN_RECV"),
    ("c:S20 s:SA^-20",                      "SYN_SENT SYN_RECV"),
    ("c:S20 s:SA s:A100",                   "ESTABLISHED ESTABLISHED"),
    ("c:S20 s:SA100 c:A",                   "ESTABLISHED ESTABLISHED"),
    // One direction only.
    ("c:S c:A",                             "ESTABLISHED ESTABLISHED"),
    ("c:S c:A10 c:A10",                     "ESTABLISHED ESTABLISHED"),
    ("s:SA^1 s:A100^1",                     "ESTABLISHED ESTABLISHED"),
    ("c:S c:A c:FA",                        "FIN_WAIT1 ESTABLISHED"),
    // Seen from the middle.
    ("c:A",                                 "ESTABLISHED ESTABLISHED"),
    ("s:A1400",                             "ESTABLISHED ESTABLISHED"),
    ("c:P10",                               "ESTABLISHED ESTABLISHED"),
    ("c:A10 s:A c:FA s:A",                  "FIN_WAIT2 CLOSE_WAIT"),
    ("s:FA",                                "ESTABLISHED FIN_WAIT1"),
    ("s:FA c:A",                            "CLOSE_WAIT FIN_WAIT2"),
    ("c:A s:FA c:FA s:A",                   "CLOSED TIME_WAIT"),
    ("c:F",                                 "FIN_WAIT1 ESTABLISHED"),
    ("c:A10 s:A10 c:S~",                    "ESTABLISHED ESTABLISHED"),
    ("c:A10 s:A10 c:S~ s:SA~",              "SYN_SENT SYN_RECV"),
    ("c:A10 s:A10 c:S~ s:SA~ c:A",          "ESTABLISHED ESTABLISHED"),
    ("c:A10 s:A10 c:S~ c:S@-1",             "SYN_SENT SYN_SENT"),
    ("c:A10 s:A10 c:S~ s:RA@-9000",         "CLOSED CLOSED"),
    ("c:A10 s:A10 c:S@5000 s:A c:A10 s:A",  "ESTABLISHED ESTABLISHED"),
    ("c:A10 s:A10 c:S@5000 c:A10 c:S@5000", "ESTABLISHED ESTABLISHED"),
    // Established, and remaining so.
    ("HS c:A10 s:A c:A1@-1 s:A",            "ESTABLISHED ESTABLISHED"),
    ("HS c:A10 s:A c:A@-1 s:A",             "ESTABLISHED ESTABLISHED"),
    ("HS c:A10 s:Aw0 c:A1@0 s:Aw0",         "ESTABLISHED ESTABLISHED"),
    ("HS c:A10@10 s:A c:A10@0 s:A^10",      "ESTABLISHED ESTABLISHED"),
    // The client closes.
    ("HS c:FA",                             "FIN_WAIT1 ESTABLISHED"),
    ("HS c:FA10",                           "FIN_WAIT1 ESTABLISHED"),
    ("HS c:FA c:FA@-1",                     "FIN_WAIT1 ESTABLISHED"),
    ("HS c:FA s:A^-1",                      "FIN_WAIT1 ESTABLISHED"),
    ("HS c:FA s:A10^-1",                    "FIN_WAIT1 ESTABLISHED"),
    ("HS c:FA s:A",                         "FIN_WAIT2 CLOSE_WAIT"),
    ("HS c:FA s:A c:FA@-1",                 "FIN_WAIT2 CLOSE_WAIT"),
    ("HS c:FA s:A s:A500 c:A s:A500 c:A",   "FIN_WAIT2 CLOSE_WAIT"),
    ("HS c:FA s:A s:A1@-1 c:A",             "FIN_WAIT2 CLOSE_WAIT"),
    ("HS c:FA s:A s:FA",                    "FIN_WAIT2 LAST_ACK"),
    ("HS c:FA s:FA",                        "FIN_WAIT2 LAST_ACK"),
    ("HS c:FA s:A s:FA s:FA@-1",            "FIN_WAIT2 LAST_ACK"),
    ("HS c:FA s:A s:FA c:A^-1",             "FIN_WAIT2 LAST_ACK"),
    ("HS c:FA s:A s:FA c:A",                "TIME_WAIT CLOSED"),
    ("HS c:FA s:FA c:A",                    "TIME_WAIT CLOSED"),
    ("HS c:FA s:FA100 c:A",                 "TIME_WAIT CLOSED"),
    ("HS c:FA s:FA c:A s:FA@-1 c:A",        "TIME_WAIT CLOSED"),
    ("HS c:FA s:FA c:A c:A s:A",            "TIME_WAIT CLOSED"),
    ("HS c:FA s:FA c:A c:S@-2",             "TIME_WAIT CLOSED"),
    // The server closes.
    ("HS s:FA",                             "ESTABLISHED FIN_WAIT1"),
    ("HS s:FA c:A",                         "CLOSE_WAIT FIN_WAIT2"),
    ("HS s:FA c:A c:A99",                   "CLOSE_WAIT FIN_WAIT2"),
    ("HS s:FA c:A c:FA",                    "LAST_ACK FIN_WAIT2"),
    ("HS s:FA c:A c:FA s:A",                "CLOSED TIME_WAIT"),
    ("HS s:FA c:FA s:A",                    "CLOSED TIME_WAIT"),
    ("c:S s:SA s:FA",                       "ESTABLISHED FIN_WAIT1"),
    ("c:S s:SA c:FA",                       "FIN_WAIT1 ESTABLISHED"),
    // Both at once.
    ("HS c:FA s:FA^-1",                     "FIN_WAIT1 FIN_WAIT1"),
    ("HS c:FA s:FA^-1 c:A",                 "CLOSING FIN_WAIT2"),
    ("HS c:FA s:FA^-1 s:A",                 "FIN_WAIT2 CLOSING"),
    ("HS c:FA s:FA^-1 c:A s:A",             "TIME_WAIT TIME_WAIT"),
    // FINs that are out of order, old, or of another connection.
    ("HS c:FA@10",                          "FIN_WAIT1 ESTABLISHED"),
    ("HS c:FA@10 s:A",                      "FIN_WAIT1 ESTABLISHED"),
    ("HS c:FA@10 s:A c:A10 s:A^1",          "FIN_WAIT2 CLOSE_WAIT"),
    ("HS c:A10 s:A c:FA@-5",                "ESTABLISHED ESTABLISHED"),
    ("HS c:FA@70000",                       "ESTABLISHED ESTABLISHED"),
    ("HS c:FA5@70000",                      "ESTABLISHED ESTABLISHED"),
    ("HS c:FA s:A c:A10",                   "FIN_WAIT2 CLOSE_WAIT"),
    // The other's FIN comes late on the tap, though it was acknowledged.
    ("HS s:FA@-0 s:A c:FA^1 s:A",           "CLOSED TIME_WAIT"),
    // RST.
    ("c:R",                                 "CLOSED CLOSED"),
    ("c:S c:R",                             "CLOSED CLOSED"),
    ("c:S s:RA",                            "CLOSED CLOSED"),
    ("c:S s:RA c:S@-1 s:RA",                "CLOSED CLOSED"),
    ("c:S s:RA^-1",                         "SYN_SENT SYN_SENT"),
    ("c:S s:R",                             "SYN_SENT SYN_SENT"),
    ("c:S s:SA c:R",                        "CLOSED CLOSED"),
    ("c:S s:SA s:R",                        "CLOSED CLOSED"),
    ("c:S s:SA c:R s:SA@-1",                "CLOSED CLOSED"),
    ("c:S s:RA s:SA c:A",                   "ESTABLISHED ESTABLISHED"),
    ("HS c:R",                              "CLOSED CLOSED"),
    ("HS s:RA",                             "CLOSED CLOSED"),
    ("HS s:R c:A10",                        "CLOSED CLOSED"),
    ("HS s:R c:FA s:A",                     "CLOSED CLOSED"),
    ("HS c:FA s:R",                         "CLOSED CLOSED"),
    ("HS c:FA s:A s:R",                     "CLOSED CLOSED"),
    ("HS c:FA s:FA c:A s:R",                "CLOSED CLOSED"),
    ("HS c:FA s:FA c:A c:R@70000",          "TIME_WAIT CLOSED"),
    ("HS c:R@65535",                        "CLOSED CLOSED"),
    ("HS c:R@65536",                        "ESTABLISHED ESTABLISHED"),
    ("HS c:R@-1",                           "ESTABLISHED ESTABLISHED"),
    ("HS c:A10 c:R@-5",                     "CLOSED CLOSED"),
    ("HS c:A10 s:A c:R@-5",                 "ESTABLISHED ESTABLISHED"),
    ("HS s:Aw0 c:R@1",                      "ESTABLISHED ESTABLISHED"),
    ("HS s:Aw0 c:R",                        "CLOSED CLOSED"),
    ("c:Sk7 s:SAk7 c:A s:A c:R@70000",      "CLOSED CLOSED"),
    ("c:Sk7 s:SAk7 c:A c:R@70000",          "ESTABLISHED ESTABLISHED"),
    ("c:Sk7 s:SA c:A s:A c:R@70000",        "ESTABLISHED ESTABLISHED"),
    ("c:Sk7 s:SAk2 c:A s:A c:R@270000",     "ESTABLISHED ESTABLISHED"),
    ("c:Sk7 s:SAk7 c:A s:A c:R@8388480",    "CLOSED CLOSED"),
    ("c:Sk7 s:SAk7 c:A s:A c:R@8388481",    "ESTABLISHED ESTABLISHED"),
    ("c:A10 s:A c:R@1000000",               "CLOSED CLOSED"),
    ("c:A10 s:A c:R@-1",                    "ESTABLISHED ESTABLISHED"),
    ("c:A10 s:A c:R@-2000000000",           "ESTABLISHED ESTABLISHED"),
];

#[test]
fn each_end_has_the_state_that_its_segments_prove() {
    for (script, want) in STATES {
        let script = script.replace("HS ", HS);
        // Wherever the numbers begin, across their wrap, and whichever end comes first in the key.
        for isn in [[1000, 9000], [0xffff_fffe, 0xffff_ffff], [0x7fff_fff0, 0xffff_fff0], [u32::MAX, 0]] {
            for client in [0, 1] {
                let play = Play::new(isn, client).run(&script);
                assert_eq!(play.states(), *want, "{script} isn {isn:x?} client {client}");
            }
        }
    }
}

#[test]
fn a_rst_that_changes_nothing_is_named() {
    assert_eq!(Play::of("c:S s:SA c:A c:R@65536").ignored, 1);
    assert_eq!(Play::of("c:S s:SA c:A c:R").ignored, 0);
}

#[test]
fn a_new_row_begins_with_a_new_syn_after_the_end() {
    let over = "c:S s:SA c:A c:FA s:FA c:A";
    let cases = [
        (over, "c:S~", true),
        (over, "s:S~", true),
        (over, "c:S@-2", false),
        (over, "c:SA~", false),
        (over, "c:A", false),
        ("c:S s:RA", "c:S~", true),
        ("c:S s:RA", "c:S@-1", false),
        ("c:A10 s:A c:R", "c:S~", true),
        ("c:S s:SA c:A", "c:S~", false),
        ("c:S s:SA c:A c:FA s:A", "c:S~", false),
        ("s:SA^1 c:A@1 c:FA@1 s:FA^2 c:A@2", "c:S", false),
    ];
    for (script, next, want) in cases {
        let mut play = Play::of(script);
        let seg = play.read(next);
        for end in [0, 1] {
            let state = play.track.state(end);
            assert_eq!(play.track.begins_anew(state, &seg), want, "{script} / {next}");
        }
    }
}

#[test]
fn who_opened_is_learned_from_syn_and_syn_ack() {
    let cases =
        [("c:S", Some(0)), ("c:S s:SA", Some(0)), ("s:SA^1", Some(0)), ("s:S", Some(1)), ("s:A", None)];
    for (script, want) in cases {
        for client in [0, 1] {
            assert_eq!(Play::new([5, 6], client).run(script).initiator, want, "{script}");
        }
    }
    assert_eq!(Play::of("c:S").last.initiator, Some((0, Evidence::Handshake)));
    assert_eq!(Play::of("s:SA^1").last.initiator, Some((0, Evidence::Handshake)));
}

/// Script, retransmissions, segments out of order.
#[rustfmt::skip]
const COUNTS: &[(&str, u32, u32)] = &[
    ("HS c:A10 c:A10 s:A",                              0, 0),
    ("HS c:A10 c:A10@-10",                              1, 0),
    ("HS c:A10 s:A c:A10@-10 c:A10@-10",                2, 0),
    ("HS c:A10 c:A10 c:A20@-20",                        1, 0),
    ("HS c:A10 c:A10 c:A5@-12",                         1, 0),
    // Some of it is new.
    ("HS c:A10 c:A10@-5",                               0, 0),
    ("HS c:A10 c:A15@-10 c:A15@-10",                    1, 0),
    // Gaps.
    ("HS c:A10@10",                                     0, 0),
    ("HS c:A10@10 c:A10@0",                             0, 1),
    ("HS c:A10@10 c:A10@0 c:A10@0",                     1, 1),
    ("HS c:A10@20 c:A10@10 c:A10@0",                    0, 2),
    ("HS c:A10@20 c:A10@0 c:A10@10",                    0, 2),
    ("HS c:A10@10 c:A10@10",                            1, 0),
    ("HS c:A10@10 c:A20@0",                             0, 1),
    ("HS c:A10@30 c:A10@10 c:A10@20",                   0, 2),
    // Keep-alives and probes.
    ("HS c:A10 s:A c:A1@-1 s:A c:A1@-1",                0, 0),
    ("HS c:A10 s:A c:A@-1 s:A",                         0, 0),
    ("HS c:A10 s:Aw0 c:A1@0 s:Aw0 c:A1@0 s:A c:A10",    0, 0),
    // SYN and FIN.
    ("c:S c:S@-1 c:S@-1",                               2, 0),
    ("c:S s:SA s:SA@-1",                                1, 0),
    ("c:S s:S c:SA@-1 s:SA@-1",                         0, 0),
    ("c:S c:S~",                                        0, 0),
    ("HS c:FA c:FA@-1",                                 1, 0),
    ("HS c:FA5 c:FA5@-6",                               1, 0),
    ("HS c:A5 c:FA5@-5",                                1, 0),
    // In the middle: what came before the first segment was not seen.
    ("c:A10@100 c:A10@90",                              0, 1),
    ("c:A10@100 c:A10@100",                             1, 0),
    ("c:A10@100 c:A10@50 c:A10@60",                     0, 2),
    // Two directions have nothing to do with each other.
    ("HS c:A10@10 s:A10 s:A10@-10 c:A10@0",             1, 1),
    // Of two gaps the newer is remembered.
    ("HS c:A10@10 c:A10@30 c:A10@20",                   0, 1),
    ("HS c:A10@10 c:A10@30 c:A10@0",                    1, 0),
    // From another interface, a little late.
    ("HS c:A10 c:A10@-10!",                             0, 0),
    ("HS c:A10@10 c:A10@0!",                            0, 1),
    // Behind a FIN, outside the window: not of this stream.
    ("HS c:FA c:A10 c:A10@-10",                         0, 0),
    ("HS c:A10@70000 c:A10 c:A10@-10",                  1, 0),
    // Of a stream with a hole of gigabytes.
    ("c:A10 c:A10@1500000000 c:A10@1500000000",         1, 0),
];

#[test]
fn what_was_sent_twice_and_what_was_overtaken_is_counted() {
    for (script, retransmits, out_of_order) in COUNTS {
        let script = script.replace("HS ", HS);
        for isn in [[1000, 9000], [0xffff_fff0, 0xffff_fff8], [0xffff_ffff, 0]] {
            for client in [0, 1] {
                let play = Play::new(isn, client).run(&script);
                let got = (play.retransmits, play.out_of_order);
                assert_eq!(got, (*retransmits, *out_of_order), "{script} isn {isn:x?}");
            }
        }
    }
}

#[test]
fn counts_stay_right_beyond_four_gigabytes() {
    for open in [HS, "c:A10 s:A "] {
        let mut play = Play::of(open);
        for round in 0..9000 {
            play = play.run("c:A1048576 s:A");
            if round % 500 == 0 {
                play = play.run("c:A1000@-1000 c:A1000@-900000");
            }
        }
        assert_eq!((play.retransmits, play.out_of_order), (36, 0), "{open}");
    }
}

#[test]
fn the_handshake_takes_from_syn_to_last_ack() {
    let cases = [
        ("c:S s:SAt30 c:At5", 35_000),
        ("c:S s:SAt30 c:A10t5", 35_000),
        // Karn: nobody knows which of two was answered.
        ("c:S c:S@-1 s:SAt30 c:At5", 0),
        ("c:S s:SAt30 s:SA@-1 c:At5", 0),
        ("c:S c:At5", 0),
        ("s:SA^1 c:A@1", 0),
        ("c:S s:SAt30 c:At5!", 0),
        ("c:S s:St1 c:SA@-1t20 s:SA@-1t1 c:At20", 42_000),
    ];
    for (script, want) in cases {
        for client in [0, 1] {
            assert_eq!(Play::new([7, 8], client).run(script).handshake_us, want, "{script}");
        }
    }
}

#[test]
fn data_is_timed_by_leg() {
    let cases = [
        // Only the client's data: its leg alone. Both: their sum.
        ("HS c:A10 s:At20", 20_000),
        ("HS c:A10 s:A10t20 c:At3", 23_000),
        // RFC 6298: 7/8 of 20 ms and 1/8 of 60 ms.
        ("HS c:A10 s:At20 c:A10t90 s:At60", 25_000),
        // Not sooner than a tenth of a second after the last one that was timed.
        ("HS c:A10 s:At20 c:A10t70 s:At60", 20_000),
        // Acknowledged in part: the timer goes on.
        ("HS c:A10 s:A^-5t20 s:At5", 25_000),
        // The first of two in flight is the one that is timed.
        ("HS c:A10 c:A10t2 s:A^-10t18 s:At5", 20_000),
        // Karn's rule, a gap, a stamp that is not to be trusted.
        ("HS c:A10 c:A10@-10 s:At20", 0),
        ("HS c:A10@10 s:At20 c:A10 s:A^10", 0),
        ("HS c:A10! s:At20", 0),
        ("HS c:A10 s:At20!", 0),
        ("HS c:A10 s:At-5", 0),
    ];
    for (script, want) in cases {
        let script = script.replace("HS ", HS);
        for client in [0, 1] {
            assert_eq!(Play::new([u32::MAX - 5, 8], client).run(&script).data_us, want, "{script}");
        }
    }
}

#[test]
fn beside_the_tap_only_the_far_leg_counts() {
    let mut play = Play::of(HS);
    play.local = true;
    let play = play.run("c:A10 s:A10t20 c:At40 c:A10 s:At20");
    assert_eq!(play.data_us, 20_000);
}

#[test]
fn the_subjects_data_is_timed_even_while_the_other_end_sends_without_pause() {
    let mut play = Play::of(HS);
    play.local = true;
    for _ in 0..10 {
        play = play.run("s:A1448 s:A1448 c:A^-1448 s:A1448");
    }
    let play = play.run("s:A1448 c:A10 s:A1448^-10t3 s:At17");
    assert_eq!(play.data_us, 20_000);
}

/// The same cases in every run.
/// Script after script, how often client and server closed their windows, and the windows they offered last.
#[rustfmt::skip]
const WINDOWS: &[(&str, [u8; 2], [Window; 2])] = &[
    ("c:S",                                 [0, 0], [Window::Unknown, Window::Unknown]),
    ("c:S s:SAw4000 c:Aw5000",              [0, 0], [Window::Bytes(5000), Window::Bytes(4000)]),
    // The scale counts only if both ends have one, and not in the segments that tell it.
    ("c:Sw500k7 s:SAw512k2 c:Aw502",        [0, 0], [Window::Bytes(64_256), Window::Bytes(512)]),
    ("c:Sw500k7 s:SAw512 c:Aw502 s:Aw9",    [0, 0], [Window::Bytes(502), Window::Bytes(9)]),
    ("c:Sk14 s:SAk14 c:Aw65535 s:Aw1",      [0, 0], [Window::Bytes(65_535 << 14), Window::Bytes(1 << 14)]),
    // Without its SYN an end's scale is not known, nor without the other's answer.
    ("c:A10w502 s:Aw9",                     [0, 0], [Window::AtLeast(502), Window::AtLeast(9)]),
    ("s:SAk2^1 c:A@1w502 s:A^1w9",          [0, 0], [Window::AtLeast(502), Window::Bytes(36)]),
    ("c:Sk7 c:Aw502",                       [0, 0], [Window::AtLeast(502), Window::Unknown]),
    ("c:A10w502 s:Aw0",                     [0, 1], [Window::AtLeast(502), Window::Bytes(0)]),
    // Closed once, however often it is said; open and closed again, twice.
    ("HS c:A10 s:Aw0 s:Aw0 c:A1@-1 s:Aw0",  [0, 1], [Window::Bytes(65_535), Window::Bytes(0)]),
    ("HS c:A10 s:Aw0 s:Aw9 c:A9 s:Aw0",     [0, 2], [Window::Bytes(65_535), Window::Bytes(0)]),
    ("HS c:Aw0 s:A c:A10w0 s:A c:A10w1",    [1, 0], [Window::Bytes(1), Window::Bytes(65_535)]),
    ("c:S s:SA c:Aw0 s:A c:FAw0 s:A",       [1, 0], [Window::Bytes(0), Window::Bytes(65_535)]),
    // What is old says nothing of it, nor what a SYN or a RST says.
    ("HS c:A10 s:A s:A^-5w0",               [0, 0], [Window::Bytes(65_535); 2]),
    ("HS c:A10 s:Aw0! s:A",                 [0, 1], [Window::Bytes(65_535); 2]),
    ("c:Sw0 s:SAw0 c:A s:A",                [0, 0], [Window::Bytes(65_535); 2]),
    ("HS s:RAw0 s:Aw0",                     [0, 0], [Window::Bytes(65_535); 2]),
];

#[test]
fn windows_have_their_scale_and_are_counted_when_they_close() {
    for (script, zero_windows, windows) in WINDOWS {
        let script = script.replace("HS ", HS);
        for client in [0, 1] {
            let play = Play::new([1000, 9000], client).run(&script);
            let health = play.track.health();
            let of = |end: usize| (health.zero_windows[end ^ client], health.windows[end ^ client]);
            let want = [0, 1].map(|end| (zero_windows[end], windows[end]));
            assert_eq!([of(0), of(1)], want, "{script} client {client}");
        }
    }
}

#[test]
fn windows_that_close_too_often_are_counted_up_to_127_and_leave_round_trips_alone() {
    let mut play = Play::of(HS);
    for _ in 0..200 {
        play = play.run("c:A10 s:At20w0 s:Aw9");
    }
    let health = play.track.health();
    assert_eq!((health.zero_windows, health.legs_us[0].div_ceil(1000)), ([0, 127], 20), "{health:?}");
}

fn seeded() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    // Numbers near each other, so that something happens.
    let number = prop_oneof![0u32..40, (u32::MAX - 20)..=u32::MAX, any::<u32>(), 0x7fff_fff0..0x8000_0010u32];
    let len = prop_oneof![0u32..3, 0u32..40, any::<u32>()];
    let seg = (
        0usize..2,
        number.clone(),
        number,
        any::<u16>(),
        any::<u8>(),
        any::<u8>(),
        len,
        any::<u64>(),
        any::<bool>(),
    );
    let seg = seg.prop_map(
        |(from, seq_number, ack_number, window, window_scale, flags, payload_len, wall, late)| Segment {
            from,
            seq_number,
            ack_number,
            window,
            window_scale,
            flags,
            payload_len,
            wall: Stamp(wall),
            late,
            subject_is_local: false,
        },
    );
    proptest::collection::vec(seg, 0..40)
}

/// Words of a connection that may go anyhow.
fn words() -> impl Strategy<Value = Vec<&'static str>> {
    let word = prop::sample::select(vec![
        "c:S",
        "s:SA",
        "c:A",
        "s:A",
        "c:A10",
        "s:A10",
        "c:A7@-7",
        "s:A7@14",
        "c:FA",
        "s:FA",
        "c:FA@-1",
        "c:R@9",
        "s:R",
        "c:R@70000",
        "c:S@-1",
        "s:A^-3",
        "c:A^2",
        "s:Aw0",
        "c:A1@-1",
        "c:S~",
        "s:FA5",
    ]);
    proptest::collection::vec(word, 0..25)
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn arbitrary_segments_neither_panic_nor_leave_the_tcp_states(segs in segments(), subject in 0usize..2) {
        let mut track = TcpTrack::default();
        for seg in &segs {
            let out = track.segment(seg, subject);
            prop_assert_eq!(out.state, track.state(subject));
            prop_assert!(!(out.retransmit && out.out_of_order));
            prop_assert!(!(out.retransmit && seg.late));
            prop_assert!(out.rtt_data_us == 0 || !seg.late);
            for end in [0, 1] {
                prop_assert!(!matches!(track.state(end), FlowState::Active | FlowState::Udp | FlowState::Icmp));
            }
        }
    }

    #[test]
    fn a_mirrored_connection_has_mirrored_states(segs in segments()) {
        let (mut one, mut other) = (TcpTrack::default(), TcpTrack::default());
        for seg in &segs {
            let a = one.segment(seg, 0);
            let b = other.segment(&Segment { from: seg.from ^ 1, ..*seg }, 1);
            prop_assert_eq!(one.state(1), other.state(0));
            let mirrored = b.initiator.map(|(end, why)| (end ^ 1, why));
            prop_assert_eq!(a, Outcome { initiator: mirrored, ..b });
        }
    }

    #[test]
    fn where_the_numbers_begin_does_not_matter(words in words(), isn in any::<[u32; 2]>()) {
        let script = words.join(" ");
        let (a, b) = (Play::of(&script), Play::new(isn, 0).run(&script));
        prop_assert_eq!(a.states(), b.states());
        prop_assert_eq!((a.retransmits, a.out_of_order, a.ignored), (b.retransmits, b.out_of_order, b.ignored));
    }

    #[test]
    fn how_data_is_cut_into_segments_does_not_matter(words in words(), cut in 2u32..6) {
        let (mut whole, mut cut_up) = (Play::of(""), Play::of(""));
        for word in &words {
            let seg = whole.read(word);
            whole.take(&seg);
            let len = seg.payload_len;
            if len > cut && seg.flags & (SYN | RST) == 0 {
                cut_up.take(&Segment { payload_len: cut, flags: seg.flags & !FIN, ..seg });
                let seq_number = seg.seq_number.wrapping_add(cut);
                cut_up.take(&Segment { seq_number, payload_len: len - cut, ..seg });
            } else {
                cut_up.take(&seg);
            }
            prop_assert_eq!(whole.states(), cut_up.states(), "{} in {:?}", word, words);
        }
    }
}

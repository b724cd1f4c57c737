//! What the inspector keeps, gives up and begins anew.

use super::*;
use crate::base::memory::no_advice;

#[derive(Default)]
struct Heard(Vec<(FlowId, Option<Service>)>);

impl Learn for Heard {
    fn learned(&mut self, id: FlowId, what: Learned<'_>) {
        if let Learned::Service(service) = what {
            self.0.push((id, Some(service)));
        }
    }
}

fn subject<'a>(slot: u32, generation: &'a u32, payload: &'a [u8]) -> Subject<'a> {
    Subject {
        flow: Flow { worker: 0, slot, generation },
        from: 0,
        client: 0,
        opened: true,
        starts: [Some(100), Some(900)],
        acknowledged: [None; 2],
        seq_number: 100,
        closes: false,
        ports: [50_000, 8080],
        wall: Stamp(1),
        payload,
        wire_len: payload.len(),
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[test]
fn a_flow_that_was_given_up_leaves_nothing_to_its_slot_s_next_one() {
    const FLOWS: u32 = 1100;
    let mut inspector = Inspector::new(FLOWS as usize, no_advice).unwrap();
    let mut heard = Heard::default();
    for slot in 0..FLOWS {
        // The beginning of a method: more is to come.
        assert!(!inspector.segment(&subject(slot, &1, b"GE"), &mut heard).settled);
    }
    let displaced = inspector.counts().displaced;
    assert_eq!(displaced, u64::from(FLOWS) - 1024);
    let given_up = |inspector: &mut Inspector, slot| {
        let later = Subject { seq_number: 102, ..subject(slot, &1, b"T / HTTP/1.1\r\n") };
        inspector.segment(&later, &mut Heard::default()).settled
    };
    let settled: Vec<u32> = (0..FLOWS).filter(|&slot| given_up(&mut inspector, slot)).collect();
    assert_eq!(settled.len() as u64, displaced);
    // Those flows are over; so are the others, which say so.
    for slot in 0..FLOWS {
        inspector.forget(slot);
    }
    for slot in 0..FLOWS {
        inspector.segment(&subject(slot, &2, REQUEST), &mut heard);
        assert_eq!(heard.0.last(), Some(&(FlowId::new(0, slot, 2), Some(Service::Http))));
        inspector.forget(slot);
    }
}

#[test]
fn what_was_lost_is_not_waited_for() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: s\r\n\r\n";
    // 100 bytes of each side are missing, and were acknowledged.
    let acknowledged = [Some(200), Some(1000)];
    let request = Subject { seq_number: 200, acknowledged, ..subject(3, &1, REQUEST) };
    let answer = Subject { from: 1, seq_number: 1000, acknowledged, ..subject(3, &1, ANSWER) };
    let mut inspector = Inspector::new(64, no_advice).unwrap();
    let mut texts = Texts::default();
    assert!(!inspector.segment(&request, &mut texts).settled);
    assert!(texts.0.is_empty());
    inspector.segment(&answer, &mut texts);
    assert_eq!(texts.0, ["GET", "/", "HTTP/1.1", "a.example", "200", "s"]);
    // Without an acknowledgement the frames may have been captured out of order.
    let mut inspector = Inspector::new(64, no_advice).unwrap();
    let mut texts = Texts::default();
    for part in [&request, &answer] {
        inspector.segment(&Subject { acknowledged: [None; 2], ..*part }, &mut texts);
    }
    assert!(texts.0.is_empty());
    // So may two neighbours that were acknowledged.
    for order in [[0, 1], [1, 0]] {
        let mut inspector = Inspector::new(64, no_advice).unwrap();
        let mut texts = Texts::default();
        let (first, second) = REQUEST.split_at(9);
        let parts = [first, second].map(|part| Subject {
            seq_number: if part == first { 100 } else { 109 },
            acknowledged: [Some(109), Some(900)],
            ..subject(3, &1, part)
        });
        for n in order {
            inspector.segment(&parts[n], &mut texts);
        }
        assert_eq!(texts.0, ["GET", "/", "HTTP/1.1", "a.example"], "{order:?}");
    }
}

#[test]
fn d8_an_answer_over_tcp_has_the_time_since_its_query() {
    /// The query for example.org, and its answer without records, with their lengths.
    fn message(id: u8, flags: [u8; 2]) -> Vec<u8> {
        let body = [&[0, id], &flags[..], b"\0\x01\0\0\0\0\0\0\x07example\x03org\0\0\x01\0\x01"].concat();
        [&(body.len() as u16).to_be_bytes()[..], &body].concat()
    }
    let (query, answer, other) = (message(7, [1, 0]), message(7, [0x81, 0x80]), message(8, [0x81, 0x80]));
    // The length may come alone; whoever answers another query first is not timed.
    for (split, first, is_timed) in
        [(0, &answer, true), (2, &answer, true), (9, &answer, true), (0, &other, false)]
    {
        let mut inspector = Inspector::new(64, no_advice).unwrap();
        let mut texts = Texts::default();
        let wall = |ms: u64| Stamp(1_700_000_000_000_000_000 + ms * 1_000_000);
        let mut say = |from: usize, seq_number, payload: &[u8], ms| {
            let subject = Subject { from, seq_number, wall: wall(ms), ..subject(3, &1, payload) };
            inspector.segment(&subject, &mut texts);
        };
        if split > 0 {
            say(0, 100, &query[..split], 0);
        }
        say(0, 100 + split as u32, &query[split..], 5);
        say(1, 900, &first[..4], 20);
        say(1, 904, &first[4..], 30);
        say(1, 900 + first.len() as u32, &answer, 40);
        assert_eq!(texts.0.contains(&"25000".to_owned()), is_timed, "{split}: {:?}", texts.0);
        assert!(!texts.0.contains(&"35000".to_owned()), "{:?}", texts.0);
    }
}

#[test]
fn a_request_behind_a_long_answer_is_a_beginning() {
    let mut inspector = Inspector::new(64, no_advice).unwrap();
    let mut heard = Heard::default();
    let body = [0xa5; 1000];
    let of_body = |n: u32| Subject {
        from: 1,
        opened: false,
        starts: [None; 2],
        seq_number: 7000 + 1000 * n,
        ..subject(3, &1, &body)
    };
    for n in 0..MOST_PASSED - 2 {
        assert!(!inspector.segment(&of_body(n), &mut heard).settled, "{n}");
    }
    let request = Subject { opened: false, starts: [None; 2], ..subject(3, &1, REQUEST) };
    inspector.segment(&request, &mut heard);
    assert_eq!(heard.0, [(FlowId::new(0, 3, 1), Some(Service::Http))]);
    // One that only goes on is given up.
    let mut settled = (0..4 * MOST_PASSED).map(|n| {
        let flow = Flow { slot: 4, ..of_body(n).flow };
        inspector.segment(&Subject { flow, ..of_body(n) }, &mut heard).settled
    });
    assert!(settled.any(|settled| settled));
}

/// The first byte of a length keeps those waiting that a message of that length would be of.
#[test]
fn what_waits_for_the_rest_of_something_long_begins_anew() {
    let mut inspector = Inspector::new(64, no_advice).unwrap();
    let mut heard = Heard::default();
    let part = |n: u32, payload: &'static [u8]| Subject {
        opened: false,
        starts: [None; 2],
        seq_number: 100 + 1400 * n,
        ..subject(3, &1, payload)
    };
    // A query of DNS over TCP, as far as one can tell.
    const LONG: &[u8; 1400] = &{
        let mut bytes = [b'a'; 1400];
        (bytes[0], bytes[1], bytes[4], bytes[5]) = (0x6f, 0x3d, 1, 0);
        (bytes[6], bytes[7], bytes[8], bytes[9]) = (0, 1, 0, 0);
        (bytes[10], bytes[11], bytes[12], bytes[13]) = (0, 0, 0, 0);
        bytes
    };
    for n in 0..2 {
        assert!(!inspector.segment(&part(n, LONG), &mut heard).settled);
    }
    inspector.segment(&part(2, REQUEST), &mut heard);
    assert_eq!(heard.0, [(FlowId::new(0, 3, 1), Some(Service::Http))]);
}

/// Tells facts' texts.
#[derive(Default)]
struct Texts(Vec<String>);

impl Learn for Texts {
    fn learned(&mut self, _: FlowId, what: Learned<'_>) {
        if let Learned::Fact(_, text) = what {
            self.0.push(String::from_utf8_lossy(text).into_owned());
        }
    }
}

#[test]
fn a_sweep_of_pings_takes_no_place_from_others() {
    const FLOWS: u32 = 1024;
    let mut inspector = Inspector::new(1100, no_advice).unwrap();
    let mut texts = Texts::default();
    for slot in 0..FLOWS {
        assert!(!inspector.segment(&subject(slot, &1, b"GE"), &mut Heard::default()).settled);
    }
    let echo = Echo { id: 7, seq_number: 1, from: 0, is_reply: false };
    for slot in FLOWS..FLOWS + 50 {
        let flow = Flow { worker: 0, slot, generation: &1 };
        inspector.echo(flow, echo, Stamp(1), &mut texts);
        inspector.echo(flow, Echo { seq_number: 2, ..echo }, Stamp(2), &mut texts);
    }
    assert_eq!((texts.0.len(), inspector.counts().displaced), (50, 0));
}

#[test]
fn hardware_addresses_that_change_for_ever_are_told_so_often_and_no_more() {
    let mut inspector = Inspector::new(64, no_advice).unwrap();
    let mut texts = Texts::default();
    let mut say = |slot, last: [u8; 2]| {
        let flow = Flow { worker: 0, slot, generation: &1 };
        let [first, last] = last;
        inspector.hardware(flow, [first, 0, 0, 0, 0, last], &mut texts);
    };
    for round in 0..100 {
        say(3, [2, round % 2]);
    }
    for last in [[2, 1], [2, 1], [6, 1], [0, 0]] {
        say(4, last);
    }
    let [of_first, of_second] = [&texts.0[..7], &texts.0[7..]];
    assert_eq!(of_first[..2], ["02:00:00:00:00:00", "02:00:00:00:00:01"]);
    assert_eq!(of_second, ["02:00:00:00:00:01", "06:00:00:00:00:01"]);
}

#[test]
fn what_ends_gives_all_its_memory_back() {
    let mut inspector = Inspector::new(2000, no_advice).unwrap();
    let long = [b"GET /".as_slice(), &[b'a'; 3000]].concat();
    for round in 1..200u32 {
        for slot in 0..20 {
            inspector.segment(&subject(slot, &round, &long), &mut Heard::default());
        }
        for slot in 0..20 {
            inspector.forget(slot);
        }
    }
    assert_eq!(inspector.counts().displaced, 0);
    assert_eq!(inspector.free_len, inspector.used);
    let mut blocks = 0;
    while inspector.room.blocks.take().is_some() {
        blocks += 1;
    }
    assert_eq!(blocks, BLOCKS * inspector.pool.len());
}

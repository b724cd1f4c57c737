//! Which flows' frames are written to a file: those that a view shows when that begins, and those that come to be
//! shown by it later.
//!
//! Who writes the frames has a capture of its own and knows flows by name; this tells it, epoch by epoch, which
//! names are meant. A flow that was shown once is meant until it ends.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::Receiver,
    },
};

use crate::{
    base::{
        ids::FlowId,
        time::{Nanos, Stamp},
    },
    dpi::fact::Fact,
    packet::name::FlowName,
    query::{column, filter::eval::Neighbours, finder::Finder, format, signs::Signs, text, window::Request},
    snapshot::{app::App, ended::EndedFlows, flow_view::FlowView, row::Row, view::Snapshot},
};

/// Flows whose frames are written at the same time, at most: some 20 MB of names and comments.
pub const MOST_FLOWS: usize = 1 << 16;

/// A flow: what it is called, which others may be after it, and which of those it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Whose {
    /// What it is called.
    pub name: FlowName,
    /// Its row.
    pub id: FlowId,
}

/// A flow whose frames are written.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which.
    pub whose: Whose,
    /// Its first and its last frame so far.
    pub span: [Stamp; 2],
    /// What is said of it.
    pub comment: String,
}

/// What an epoch changes.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// When the epoch was cut.
    pub now: Stamp,
    /// Flows that began and ended between two looks.
    pub past: Vec<Recorded>,
    /// What is said from now on of flows that joined before: who owns them, or what they are called, is known by now.
    pub told: Vec<(Whose, String)>,
    /// What was found out of flows that have left.
    pub late: Vec<(Whose, String)>,
    /// Flows that have ended: their names may come again and mean others.
    pub left: Vec<Whose>,
    /// Flows whose frames are written from now on.
    pub joined: Vec<Recorded>,
}

/// Whether frames of flows that nobody has named yet are written too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// Only flows that were named.
    #[default]
    Left,
    /// All flows.
    Written,
    /// All but connections of this host with itself.
    WrittenButLocalhost,
}

/// How far it has come: counted by those who look for flows and who write frames, read by the screen.
#[derive(Debug, Default)]
pub struct Tally {
    /// Flows that joined so far.
    pub flows: AtomicU64,
    /// Shown flows for which there was no room at the last look.
    pub left_out: AtomicU64,
    /// Frames in the file.
    pub frames: AtomicU64,
    /// Bytes of the file.
    pub bytes: AtomicU64,
    /// Frames of any flow that came faster than they could be looked at and written.
    pub lost: AtomicU64,
}

impl Tally {
    /// Returns it in words: `12 flows · 1,204 frames · 1.20 MB`, and what is not in the file.
    pub fn told(&self, signs: &Signs) -> String {
        // Relaxed: figures for the eye.
        let [flows, left_out, frames, bytes, lost] =
            [&self.flows, &self.left_out, &self.frames, &self.bytes, &self.lost]
                .map(|count| count.load(Ordering::Relaxed));
        let count =
            |n: u64, one: &str| format!("{} {one}{}", format::grouped(n), if n == 1 { "" } else { "s" });
        let mut parts = vec![count(flows, "flow"), count(frames, "frame"), format::bytes(bytes)];
        if lost > 0 {
            parts.push(format!("{} lost", format::grouped(lost)));
        }
        if left_out > 0 {
            parts.push(format!("no room for {}", count(left_out, "flow")));
        }
        parts.join(&format!(" {} ", signs.dot))
    }
}

/// Returns a row as a flow whose frames are written.
pub fn alone(row: &Row) -> Recorded {
    let whose = Whose { name: FlowName::of(&row.key, &row.wide), id: row.id };
    Recorded { whose, span: [row.first, row.last], comment: described(row) }
}

/// Follows the flows that a view shows.
pub struct Follower {
    finder: Finder,
    request: Request,
    /// Flows that joined and have not ended, and what was known of them when it was told.
    known: HashMap<FlowId, (FlowName, Known)>,
    /// Flows that were counted and are known no longer: they may still come as ended ones.
    gone: HashMap<FlowId, Gone>,
    most: usize,
    tally: Arc<Tally>,
    /// Whether frames of flows that have not joined are kept for a while: then what nobody knows anything of yet
    /// joins an epoch later, and its first frame says who owns it.
    pub is_patient: bool,
    /// Finds out who is on which hardware address, where the filter looks at them.
    pub look_up: Option<fn() -> Neighbours>,
    /// When that was done last.
    looked_up: Stamp,
    /// The number after the last ended flow at the last look.
    seen_ended: Option<u64>,
}

/// How long the hardware addresses of neighbours are believed.
pub const NEIGHBOURS_FRESH: Nanos = Nanos::from_secs(5);

/// Changes when there is more to say of a flow: the owner's process id plus 1, and whether it has a name.
type Known = (u64, bool);

/// A flow that has left or was past.
struct Gone {
    name: FlowName,
    known: Known,
    /// It was past before an epoch showed it, which one may still do.
    was_past: bool,
    /// So many looks more it is kept.
    looks: u8,
}

/// Looks for which it is known that a flow was counted: one that ends is held back for an epoch while its owner is
/// looked for, and an epoch may be looked at before the list of ended flows has what it has lost.
pub const GONE_FOR: u8 = 3;

fn known_of(flow: &FlowView) -> Known {
    let owner = flow.owner.filter(|owner| !owner.name.is_empty());
    let is_called = flow.app.is_some_and(|app| name_of(app).is_some());
    (owner.map_or(0, |owner| 1 + u64::from(owner.pid.unwrap_or(0))), is_called)
}

/// What is not known at this age is waited for no longer.
const PATIENCE: Nanos = Nanos::from_secs(1);

impl Follower {
    /// Returns what follows the flows that a request shows; those that have ended only where it shows ended ones.
    pub fn new(request: Request, ended: Arc<EndedFlows>, tally: Arc<Tally>) -> Self {
        let finder = Finder::with_ended(ended);
        let (known, gone, looked_up) = Default::default();
        Self {
            finder,
            request,
            known,
            gone,
            most: MOST_FLOWS,
            tally,
            is_patient: false,
            look_up: None,
            looked_up,
            seen_ended: None,
        }
    }

    /// Finds out who is on which hardware address by now; other ones are other rows.
    fn look_up_neighbours(&mut self, now: Stamp) {
        let is_needed = self.request.filter.as_ref().is_some_and(|filter| filter.needs().neighbours);
        let is_fresh = now.0.abs_diff(self.looked_up.0) < NEIGHBOURS_FRESH.0;
        let Some(look_up) = self.look_up.filter(|_| is_needed && !is_fresh) else { return };
        self.looked_up = now;
        let found = look_up();
        if *self.request.neighbours != found {
            self.request.neighbours = Arc::new(found);
            self.request.serial += 1;
        }
    }

    /// Returns what an epoch changes. Costs a look at what has changed, and one at every flow that is shown.
    pub fn look(&mut self, snapshot: &Snapshot) -> News {
        self.look_up_neighbours(snapshot.wall);
        let Self { finder, request, known, gone, most, tally, is_patient, seen_ended, .. } = self;
        let mut news = News { now: snapshot.wall, ..News::default() };
        gone.retain(|_, of| {
            of.looks -= 1;
            of.looks > 0
        });
        // As many as may leave in all these looks, and as many past ones.
        let most_gone = most.saturating_mul(usize::from(GONE_FOR) + 1);
        known.retain(|id, &mut (name, known)| {
            let stays = snapshot.find(*id).is_some();
            if !stays {
                news.left.push(Whose { name, id: *id });
                if gone.len() < most_gone {
                    gone.insert(*id, Gone { name, known, was_past: false, looks: GONE_FOR });
                }
            }
            stays
        });
        // Looked at last: the list of ended flows may be newer than the epoch, and have what it shows too.
        let mut over = Vec::new();
        // Live, also what has ended since the last look: it may be all that there was of it.
        let of_file = request.ended.is_some();
        let request = Request { ended: request.ended.or(*seen_ended), ..request.clone() };
        let mut left_out = 0;
        let ended_end = finder.each_shown(snapshot, &request, |flow, row| {
            let now_known = known_of(flow);
            if flow.has_ended() && !of_file {
                let before = known.get(&flow.id).map(|of| of.1);
                if before.or(gone.get(&flow.id).map(|of| of.known)) != Some(now_known) {
                    over.push((flow.id, now_known, alone(&row())));
                }
            } else if let Some((name, before)) = known.get_mut(&flow.id) {
                if std::mem::replace(before, now_known) != now_known {
                    news.told.push((Whose { name: *name, id: flow.id }, described(&row())));
                }
            } else if gone.get(&flow.id).is_some_and(|of| of.was_past) {
                // It was past when the epoch before this one was looked at.
            } else if known.len() >= *most {
                left_out += 1;
            } else if !*is_patient || now_known.0 != 0 || flow.age(snapshot.wall) >= PATIENCE {
                let joined = alone(&row());
                known.insert(flow.id, (joined.whose.name, now_known));
                news.joined.push(joined);
            }
        });
        for (id, now_known, flow) in over {
            if let Some((name, before)) = known.get_mut(&id) {
                let is_news = std::mem::replace(before, now_known) != now_known;
                match news.joined.iter_mut().rev().filter(|_| is_news).find(|joined| joined.whose.id == id) {
                    Some(joined) => joined.comment = flow.comment,
                    None if is_news => news.told.push((Whose { name: *name, id }, flow.comment)),
                    None => {}
                }
            } else if let Some(of) = gone.get_mut(&id) {
                of.known = now_known;
                news.late.push((Whose { name: of.name, id }, flow.comment));
            } else {
                if gone.len() < most_gone && snapshot.find(id).is_some() {
                    gone.insert(
                        id,
                        Gone { name: flow.whose.name, known: now_known, was_past: true, looks: GONE_FOR },
                    );
                }
                news.past.push(flow);
            }
        }
        *seen_ended = Some(ended_end);
        // Relaxed: figures for the eye.
        tally.flows.fetch_add((news.joined.len() + news.past.len()) as u64, Ordering::Relaxed);
        tally.left_out.store(left_out, Ordering::Relaxed);
        news
    }
}

fn name_of(app: &App) -> Option<&[u8]> {
    app.first(Fact::Sni).or(app.first(Fact::HttpHost))
}

/// Returns what is said of a row beside its frames: `nginx (1211) www-data, api.example.org, TCP 10.0.3.14:443 -
/// 203.0.113.77:51022`.
pub fn described(row: &Row) -> String {
    let mut parts = Vec::new();
    if let Some(owner) = row.owner.as_ref().filter(|owner| !owner.name.is_empty()) {
        let pid = owner.pid.map_or(String::new(), |pid| format!(" ({pid})"));
        let user = owner.user.as_ref().map_or(String::new(), |user| format!(" {}", text::escape(user)));
        parts.push(format!("{}{pid}{user}", text::escape(&owner.name)));
    }
    let name = row.app.as_ref().and_then(|app| name_of(app));
    parts.extend(name.map(|name| text::escape(&String::from_utf8_lossy(name)).into_owned()));
    let [local, remote] =
        [row.local(), row.remote()].map(|end| text::endpoint(row.addresses[end], column::port(row, end)));
    parts.push(format!("{} {local} - {remote}", column::protocol(row)));
    parts.join(", ")
}

/// What is to be written.
pub struct Order {
    /// Flows, epoch by epoch.
    pub news: Receiver<News>,
    /// Whether all others too.
    pub others: Others,
    /// Of a file: the time at which it stands.
    pub until: Option<Stamp>,
    /// The interface where the frames of a single row come by. Otherwise frames come from all that is watched.
    pub interface: Option<String>,
    /// What the interfaces that are watched are called at present: they may have had other names.
    pub watched: Vec<String>,
    /// What is said of the file.
    pub comment: String,
    /// How far it has come.
    pub tally: Arc<Tally>,
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{
        base::time::Nanos,
        flow::entry::{Evidence, FlowRecord, Roles},
        query::filter::{eval::Filter, parse},
        snapshot::{ended::EndedFlow, sample},
    };

    fn flow(n: u16, port: u16) -> FlowRecord {
        let end = |last: u8, port| (IpAddr::from([10, 0, 0, last]), port);
        sample::record([end(1, n), end(2, port)], 6)
    }

    fn snapshot(flows: &[FlowRecord]) -> Snapshot {
        let rows: Vec<_> = flows.iter().map(|record| (*record, [0.0; 2])).collect();
        sample::of_rows(&rows, Nanos::from_secs(50), Stamp(0))
    }

    fn follower(filter: &str) -> (Follower, Arc<Tally>) {
        let expr = parse(filter).unwrap().expr;
        let filter = expr.map(|expr| Arc::new(Filter::new(expr, None)));
        let tally = Arc::<Tally>::default();
        let request = Request { filter, ..Request::default() };
        (Follower::new(request, Arc::new(EndedFlows::new(0)), Arc::clone(&tally)), tally)
    }

    fn names(flows: &[FlowRecord]) -> Vec<FlowName> {
        flows.iter().map(|record| FlowName::of(&record.hot.key, &record.wide)).collect()
    }

    fn joined(news: &News) -> Vec<FlowName> {
        news.joined.iter().map(|flow| flow.whose.name).collect()
    }

    #[test]
    fn k19_flows_join_when_they_are_shown_and_leave_when_they_end() {
        let flows: Vec<_> = (0..100).map(|n| flow(1000 + n, if n % 2 == 0 { 443 } else { 80 })).collect();
        let web: Vec<_> = flows.iter().step_by(2).copied().collect();
        let (mut follower, tally) = follower("port:=443");
        let news = follower.look(&snapshot(&flows[..50]));
        assert_eq!((joined(&news), news.left), (names(&web[..25]), vec![]));
        assert!(news.joined[0].comment.contains("TCP 10.0.0.1:1000 - 10.0.0.2:443"));
        // More of them, and nothing twice.
        assert_eq!(joined(&follower.look(&snapshot(&flows))), names(&web[25..]));
        assert!(joined(&follower.look(&snapshot(&flows))).is_empty());
        // Half of them end.
        let news = follower.look(&snapshot(&flows[..50]));
        assert_eq!((news.left.len(), news.joined.len()), (25, 0));
        assert_eq!(tally.flows.load(Ordering::Relaxed), 50);
        assert_eq!(tally.told(&Signs::UNICODE), "50 flows · 0 frames · 0 B");
    }

    #[test]
    fn k19_what_comes_and_goes_and_what_is_found_out_later_are_told() {
        let ended = Arc::new(EndedFlows::new(100));
        let mut follower = Follower::new(Request::default(), Arc::clone(&ended), Arc::default());
        let flows = [flow(1000, 443), flow(1001, 443)];
        let mut first = snapshot(&flows);
        assert_eq!(follower.look(&first).joined.len(), 2);
        // One has an owner now; a third one began and ended meanwhile.
        let owner = crate::process::owner::Owner { pid: Some(7), name: "curl".into(), ..Default::default() };
        sample::set_owner(&mut first, 1, owner);
        let gone = FlowRecord { end: Some(crate::flow::state::EndReason::Fin), ..flow(1002, 443) };
        ended.push(FlowRecord { id: FlowId::new(0, 77, 1), ..gone }.into());
        first.epoch = crate::base::ids::Epoch(2);
        let news = follower.look(&first);
        assert!(news.joined.is_empty() && news.left.is_empty());
        let told: Vec<_> = news.told.iter().map(|(whose, comment)| (whose.name, &**comment)).collect();
        assert_eq!(told, [(names(&flows)[1], "curl (7), TCP 10.0.0.1:1001 - 10.0.0.2:443")]);
        let past: Vec<_> = news.past.iter().map(|flow| flow.whose.name).collect();
        assert_eq!(past, names(&[gone]));
        let news = follower.look(&first);
        assert!(news.told.is_empty() && news.past.is_empty(), "each once");
    }

    fn curl() -> Option<Arc<crate::process::owner::Owner>> {
        let owner = crate::process::owner::Owner { pid: Some(7), name: "curl".into(), ..Default::default() };
        Some(Arc::new(owner))
    }

    /// The flow at this place as an ended one.
    fn ended_of(snapshot: &Snapshot, record: FlowRecord, at: usize) -> EndedFlow {
        let mut places = Vec::new();
        snapshot.scan(|place, _, _| places.push(place));
        let id = snapshot.row(places[at]).id;
        FlowRecord { id, end: Some(crate::flow::state::EndReason::Fin), ..record }.into()
    }

    fn next(of: &mut Snapshot, epoch: u32) {
        of.epoch = crate::base::ids::Epoch(epoch.into());
    }

    #[test]
    fn k19_a_flow_that_ends_counts_once_whenever_the_list_has_it_and_a_late_owner_is_told() {
        let flows = [flow(1000, 443), flow(1001, 443)];
        let said = "curl (7), TCP 10.0.0.1:1001 - 10.0.0.2:443";
        // So many looks after it has left, the list of ended flows has it.
        for looks in 0..GONE_FOR {
            let (ended, tally) = (Arc::new(EndedFlows::new(100)), Arc::<Tally>::default());
            let mut follower = Follower::new(Request::default(), Arc::clone(&ended), Arc::clone(&tally));
            let first = snapshot(&flows);
            assert_eq!(follower.look(&first).joined.len(), 2);
            let gone = EndedFlow { owner: curl(), ..ended_of(&first, flows[1], 1) };
            let (mut left, mut late) = (vec![], vec![]);
            for look in 0..5 {
                if look == looks {
                    ended.push(gone.clone());
                }
                let mut without = snapshot(&flows[..1]);
                next(&mut without, 2 + u32::from(look));
                let news = follower.look(&without);
                assert!(news.past.is_empty() && news.joined.is_empty() && news.told.is_empty(), "{looks}");
                left.extend(news.left.iter().map(|whose| whose.name));
                late.extend(news.late.into_iter().map(|(whose, comment)| (whose.name, comment)));
            }
            assert_eq!(left, names(&flows[1..]), "{looks}");
            assert_eq!(late, [(names(&flows)[1], said.to_owned())], "{looks}");
            assert_eq!(tally.flows.load(Ordering::Relaxed), 2);
            assert!(follower.gone.is_empty());
        }
    }

    #[test]
    fn k19_a_flow_counts_once_if_the_list_of_ended_ones_is_newer_than_the_epoch() {
        let flows = [flow(1000, 443), flow(1001, 443), flow(1002, 443)];
        let (ended, tally) = (Arc::new(EndedFlows::new(100)), Arc::<Tally>::default());
        let mut follower = Follower::new(Request::default(), Arc::clone(&ended), Arc::clone(&tally));
        assert_eq!(follower.look(&snapshot(&flows[..2])).joined.len(), 2);
        // One is known, one is shown for the first time; both have ended already, and one has an owner by now.
        let mut second = snapshot(&flows);
        next(&mut second, 2);
        ended.push(EndedFlow { owner: curl(), ..ended_of(&second, flows[1], 1) });
        ended.push(ended_of(&second, flows[2], 2));
        let news = follower.look(&second);
        assert_eq!((joined(&news), news.past.len(), news.left.len()), (names(&flows[2..]), 0, 0));
        let told = ("curl (7), TCP 10.0.0.1:1001 - 10.0.0.2:443").to_owned();
        let named: Vec<_> = news.told.into_iter().map(|(whose, comment)| (whose.name, comment)).collect();
        assert_eq!(named, [(names(&flows)[1], told)]);
        let mut third = snapshot(&flows[..1]);
        next(&mut third, 3);
        let news = follower.look(&third);
        assert_eq!((news.left.len(), news.past.len(), news.late.len()), (2, 0, 0));
        assert_eq!(tally.flows.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn k19_who_is_on_a_hardware_address_is_found_out_again_while_frames_are_written() {
        use std::sync::atomic::AtomicUsize;
        static LOOKS: AtomicUsize = AtomicUsize::new(0);
        let mut flows = [flow(1000, 443)];
        flows[0].hot.roles = Roles::new(0, Evidence::Handshake, [true, false]);
        let at = |secs: u64, epoch: u64| {
            let mut snapshot = snapshot(&flows);
            (snapshot.wall, snapshot.epoch) = (Stamp(secs * 1_000_000_000), crate::base::ids::Epoch(epoch));
            snapshot
        };
        let (mut follower, _) = follower("mac:02:00:00:00:00:07");
        // Who it is, is known at the second look.
        follower.look_up = Some(|| match LOOKS.fetch_add(1, Ordering::Relaxed) {
            0 => Neighbours::new(),
            _ => Neighbours::from([(IpAddr::from([10, 0, 0, 2]), "02:00:00:00:00:07".into())]),
        });
        let looks = || LOOKS.load(Ordering::Relaxed);
        assert_eq!((joined(&follower.look(&at(100, 1))).len(), looks()), (0, 1));
        assert_eq!((joined(&follower.look(&at(104, 2))).len(), looks()), (0, 1));
        assert_eq!((joined(&follower.look(&at(105, 3))), looks()), (names(&flows), 2));
        // Nobody looks where no filter asks for it.
        let (mut all, _) = self::follower("port:443");
        all.look_up = follower.look_up;
        all.look(&at(200, 1));
        assert_eq!(looks(), 2);
    }

    #[test]
    fn k19_flows_without_room_are_told() {
        let flows: Vec<_> = (0..100).map(|n| flow(1000 + n, 443)).collect();
        let (mut follower, tally) = follower("");
        follower.most = 97;
        assert_eq!(follower.look(&snapshot(&flows)).joined.len(), 97);
        assert_eq!(tally.told(&Signs::ASCII), "97 flows - 0 frames - 0 B - no room for 3 flows");
        // Room is made by those that end.
        assert_eq!(follower.look(&snapshot(&flows[..90])).left.len(), 7);
        assert_eq!(follower.look(&snapshot(&flows)).joined.len(), 7);
        tally.frames.store(1, Ordering::Relaxed);
        tally.lost.store(1234, Ordering::Relaxed);
        assert_eq!(
            tally.told(&Signs::UNICODE),
            "104 flows · 1 frame · 0 B · 1,234 lost · no room for 3 flows"
        );
    }
}

//! Runs the whole pipeline over sources, and keeps what readers would have got.
#![allow(dead_code, reason = "each user needs a part")]

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustnet::{
    base::{
        counters::{Accounts, Volume},
        ids::CoreId,
        time::Nanos,
    },
    capture::source::Source,
    export::{Origin, jsonl::Jsonl},
    flow::{entry::FlowRecord, locals::Locals, slab::no_advice, state::EndReason},
    packet::parse::ParseConfig,
    pipeline::{
        launch::{Engine, EngineConfig, Host},
        worker::Publish,
    },
    snapshot::{
        tap::{Ended, Tap},
        view::{Snapshot, Totals},
    },
};

/// No run of a test takes longer, or it hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Returns a config for tests: a repeatable seed, a cut every second, nothing pinned.
pub fn config() -> EngineConfig {
    EngineConfig {
        workers: 2,
        fused: false,
        burst: 32,
        ring: 1024,
        ended_queue: 1024,
        max_flows: 1 << 16,
        seed: 7,
        cut_interval: Nanos::from_secs(1),
        file_epochs: Publish::AtEnd,
        reckons_rates: true,
        parse: ParseConfig::default(),
        locals: Locals::default(),
        inspects: true,
        resolver: None,
        names_late: false,
        busy_poll: false,
        host: host(),
    }
}

/// Returns a host without pinning and large pages.
pub fn host() -> Host {
    fn enter(_: &str, _: Option<CoreId>) {}
    Host { enter_thread: enter, cores: Vec::new(), advise: no_advice, populate: None, monotonic, wall }
}

/// Nanoseconds since the first call.
pub fn monotonic() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Some wall clock: that of the synthetic traffic's beginning, and on.
fn wall() -> u64 {
    1_700_000_000_000_000_000 + monotonic()
}

/// What a tap saw of one epoch.
#[derive(Clone, Debug)]
pub struct Seen {
    pub epoch: u64,
    pub now: Nanos,
    pub accounts: Accounts,
    pub totals: Totals,
    /// Over all flows that lived at the cut.
    pub open: Volume,
    /// Over all flows that had ended before it.
    pub ended: Volume,
    pub last: bool,
}

/// All that came out of a run.
#[derive(Debug, Default)]
pub struct Run {
    /// Standard output of `--headless`.
    pub jsonl: Vec<u8>,
    /// Every epoch that taps got.
    pub epochs: Vec<Seen>,
    /// Ended flows in the order in which they came, those open at the end last.
    pub flows: Vec<FlowRecord>,
}

impl Run {
    /// Returns the last epoch.
    pub fn last(&self) -> &Seen {
        let last = self.epochs.last().expect("a run has a last epoch");
        assert!(last.last, "the last epoch says that it is the last");
        last
    }

    /// Returns the flows for which `wanted` holds.
    pub fn flows_where(&self, wanted: impl Fn(&FlowRecord) -> bool) -> Vec<FlowRecord> {
        self.flows.iter().filter(|r| wanted(r)).copied().collect()
    }
}

/// Runs `sources` to their end.
pub fn run<S: Source + 'static>(config: EngineConfig, sources: Vec<S>) -> Run {
    run_with(config, sources, |_| ())
}

/// Runs `sources` to their end, with `reader` beside it in the calling thread.
pub fn run_with<S: Source + 'static>(
    config: EngineConfig,
    sources: Vec<S>,
    reader: impl FnOnce(&Engine),
) -> Run {
    run_with_taps(config, sources, Vec::new(), reader)
}

/// Like [`run_with`], with more taps in front.
pub fn run_with_taps<S: Source + 'static>(
    config: EngineConfig,
    sources: Vec<S>,
    mut taps: Vec<Box<dyn Tap>>,
    reader: impl FnOnce(&Engine),
) -> Run {
    let out = Shared::default();
    let origin = Origin::File { path: "memory".into() };
    let recorder = Recorder::default();
    let seen = Arc::clone(&recorder.seen);
    taps.push(Box::new(Jsonl::new(out.clone(), &origin, false)));
    taps.push(Box::new(recorder));
    let engine = Engine::launch(config, sources, taps).unwrap();
    reader(&engine);
    within(WATCHDOG, move || engine.join()).unwrap();
    let mut run = std::mem::take(&mut *seen.lock().unwrap());
    run.jsonl = std::mem::take(&mut *out.0.lock().unwrap());
    run
}

/// Returns what `work` returns, or fails if that takes longer than `limit`.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let worker = thread::spawn(move || done.send(work()));
    match result.recv_timeout(limit) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the engine hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(worker.join().map(|_| ()).unwrap_err())
        }
    }
}

/// Keeps epochs and flows; checks what must hold at each epoch.
#[derive(Default)]
struct Recorder {
    seen: Arc<Mutex<Run>>,
    ended: Volume,
}

impl Tap for Recorder {
    fn ended(&mut self, flows: &[Ended]) -> io::Result<()> {
        for Ended { record, .. } in flows {
            assert!(record.end.is_some());
            if record.end != Some(EndReason::Eof) {
                self.ended += volume(record);
            }
        }
        self.seen.lock().unwrap().flows.extend(flows.iter().map(|flow| flow.record));
        Ok(())
    }

    fn epoch(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let mut open = Volume::default();
        let (mut rows, mut down, mut up) = (0, 0.0, 0.0);
        snapshot.scan(|at, _, _| {
            open += volume(&snapshot.record(at));
            let rates = snapshot.flow(at).seen_down_up();
            rows += 1;
            down += rates.0;
            up += rates.1;
        });
        let totals = &snapshot.totals;
        assert_eq!(rows, snapshot.len(), "every row is counted");
        // Flows that moved and ended within the last second have no row.
        for (rows, gone, total) in [(down, totals.gone[0], totals.down), (up, totals.gone[1], totals.up)] {
            let slack = 1e-6 * total.abs().max(1.0);
            assert!((rows + gone - total).abs() <= slack, "rows {rows}, gone {gone}, total {total}");
            // Of flows whose end had no room in the queue, it is not known what they moved.
            let is_known = totals.ended_unreported == 0;
            assert!(!is_known || gone >= -slack, "rows {rows}, gone {gone}, total {total}");
            assert!(!is_known || totals.closed > 0 || gone <= slack, "{rows}, gone {gone}, total {total}");
        }
        self.seen.lock().unwrap().epochs.push(Seen {
            epoch: snapshot.epoch.0,
            now: snapshot.now,
            accounts: snapshot.accounts,
            totals: snapshot.totals,
            open,
            ended: self.ended,
            last: snapshot.ended,
        });
        Ok(())
    }
}

/// Returns what a flow counted.
pub fn volume(record: &FlowRecord) -> Volume {
    let frames = record.hot.frames[0] + record.hot.frames[1];
    let extra = record.facts.extra_packets[0] + record.facts.extra_packets[1];
    Volume { frames, packets: frames + extra, bytes: record.hot.bytes[0] + record.hot.bytes[1] }
}

/// A buffer that two can hold.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! What writes the frames of rows to a file.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use rustnet::{
    capture::source::Source,
    config::cli::Cli,
    export::{chosen::Chosen, pcapng},
    packet::{
        hash::Seed,
        parse::{ParseConfig, Parser},
    },
    platform::{
        self,
        live::{LiveConfig, Method, Watch},
    },
    query::recording::Order,
    tui::recorder::Record,
};

use crate::random;

/// Returns what writes the frames of rows of live traffic: a capture of its own, so that the engine's is not
/// concerned, of what is watched at that time or of a single connection alone.
pub fn live_record(cli: &Cli, engine: &LiveConfig, watched: &Arc<Mutex<Watch>>) -> Record {
    let (parser, engine, watched) = (cli.parse_config(), engine.clone(), Arc::clone(watched));
    Arc::new(move |order, to, stop| {
        if engine.method == Method::AfXdp {
            return Err(
                "AF_XDP takes frames before they can be copied: start with --capture af-packet".into()
            );
        }
        let method = if engine.method == Method::Pcap { Method::Pcap } else { Method::AfPacket };
        let all = || watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Which frames are a row's is found out frame by frame: a filter for the kernel would have to know every tag,
        // tunnel and fragment that its frames may have.
        let (watch, filter) = match &order.interface {
            Some(name) => (Watch::Named(vec![name.clone()]), None),
            None => (present(all(), &order.watched), engine.filter.clone()),
        };
        let promiscuous = engine.promiscuous && matches!(watch, Watch::Named(_));
        let config = LiveConfig { method, filter, promiscuous, ..LiveConfig::new(watch) };
        let live = platform::live::open(&config, 1).map_err(|error| error.to_string())?;
        let source = live.sources.into_iter().next().ok_or("there is no capture")?;
        write_frames(source, parser, order, to, stop)
    })
}

/// Returns what is watched by the names that interfaces have at present: the engine follows them when they are renamed.
fn present(watch: Watch, names: &[String]) -> Watch {
    match watch {
        Watch::Named(_) if !names.is_empty() => Watch::Named(names.to_vec()),
        watch => watch,
    }
}

/// Writes frames; returns why it ended before it was to.
pub fn write_frames(
    source: impl Source,
    parser: ParseConfig,
    order: Order,
    (to, file): (&Path, File),
    stop: &AtomicBool,
) -> Result<Option<String>, String> {
    let Order { news, others, until, comment, tally, interface: _, watched: _ } = order;
    // The reason first: it is what must not be cut.
    let told = |error: io::Error, left: String| match error.kind() {
        io::ErrorKind::StorageFull => format!("the disk is full: {left} of {}", to.display()),
        _ => format!("{error}: {left} of {}", to.display()),
    };
    let chosen = Chosen::new(Parser::new(parser, Seed::new(random())), news, others, until);
    let is_full = pcapng::copy(source, chosen, &comment, file, &tally, stop).map_err(|broken| {
        let left = pcapng::left_of(to, broken.whole);
        told(broken.error, left)
    })?;
    Ok(is_full.then(|| "it is as large as it may be".to_owned()))
}

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
        interface::InterfaceError,
        live::{LiveConfig, Method, OpenError, Watch},
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
        // What there is instead has no room in a line.
        let told = |error: OpenError| match error {
            OpenError::Interface(InterfaceError::Unknown { name, .. }) => {
                format!("there is no interface {name}")
            }
            error => error.to_string(),
        };
        let live = platform::live::open(&config, 1).map_err(told)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k19_frames_come_from_interfaces_by_their_present_names() {
        let named = |names: &[&str]| Watch::Named(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(
            present(named(&["eth0", "eth1"]), &["wan0".into(), "eth1".into()]),
            named(&["wan0", "eth1"])
        );
        // Before the first epoch nobody knows more.
        assert_eq!(present(named(&["eth0"]), &[]), named(&["eth0"]));
        assert_eq!(present(Watch::Any, &["wan0".into(), "lo".into()]), Watch::Any);
    }
}

//! The flags, their ranges, and which of them contradict each other.
//!
//! Whether an interface, a file or a core exists is not decided here: that is known only when it
//! is used.

use std::{
    ffi::OsString,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{CommandFactory, Parser, ValueEnum, ValueHint, error::ErrorKind};

use crate::{
    base::time::Nanos,
    config::parse::{self, CoreList},
    packet::parse::{Layer, ParseConfig},
    query::sort::SortBy,
    snapshot::publication::LONGEST_EPOCH,
    tui::{app::setup::REFRESH_MS, theme::ThemeName},
};

/// Shows every connection of this host, or of a capture file, with exact totals.
#[derive(Clone, Debug, Parser)]
#[command(name = "rustnet", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Interface to watch; may be repeated; `any` watches all [default: that of the default route]
    #[arg(short, long = "interface", value_name = "INTERFACE", value_hint = ValueHint::Other, help_heading = "Source")]
    pub interfaces: Vec<String>,

    /// Read a pcap or pcapng file instead; `-` is standard input
    #[arg(long, value_name = "FILE", help_heading = "Source",
        conflicts_with_all = ["interfaces", "promiscuous", "capture", "bpf_filter", "owners"])]
    pub read: Option<PathBuf>,

    /// How frames are captured
    #[arg(long, value_name = "METHOD", value_enum, default_value_t, help_heading = "Source")]
    pub capture: CaptureMethod,

    /// Settled connections that bpf only counts, in the kernel, instead of copying their frames; with none, --capture
    /// auto is af-packet [default: udp,tcp]
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',', help_heading = "Source")]
    pub kernel_counts: Vec<KernelCounts>,

    /// Let --capture af-xdp take frames from interfaces that carry this host's own traffic
    #[arg(long, help_heading = "Source")]
    pub af_xdp_take_traffic: bool,

    /// Capture only frames for which this holds, in the syntax of pcap-filter(7)
    #[arg(short = 'f', long, value_name = "EXPR", help_heading = "Source")]
    pub bpf_filter: Option<String>,

    /// Ask the interface for frames to other hosts too
    #[arg(long, help_heading = "Source")]
    pub promiscuous: bool,

    /// Addresses that are ours, beside the host's own while live; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = parse::network, help_heading = "Connections")]
    pub local: Vec<(IpAddr, u8)>,

    /// Which IP header is the connection where there are tunnels
    #[arg(long, value_name = "LAYER", value_enum, default_value_t, help_heading = "Connections")]
    pub layer: LayerName,

    /// What tells connections apart, beside addresses, ports and protocol; may be repeated
    #[arg(long, value_name = "FACT", value_enum, help_heading = "Connections")]
    pub key: Vec<KeyFact>,

    /// Connections kept at once [default: 1048576, or what 1/16 of the memory holds]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = parse::flows,
        help_heading = "Connections")]
    pub max_flows: Option<u32>,

    /// Milliseconds between two refreshes, 50 to 60000 [default: 1000]
    #[arg(short, long, value_name = "MILLISECONDS", allow_negative_numbers = true,
        value_parser = parse::refresh_ms, help_heading = "Output")]
    pub refresh_interval: Option<u32>,

    /// Only these connections: at first on the screen (help: h), in what --headless lists
    #[arg(long, value_name = "QUERY", value_parser = parse::filter, help_heading = "Output")]
    pub filter: Option<String>,

    /// Their order, as in `down` or `process`
    #[arg(long, value_name = "COLUMN", value_parser = parse::sorts(), ignore_case = true, hide_possible_values = true,
        help_heading = "Output")]
    pub sort: Option<SortBy>,

    /// Ended connections kept for review (t), at most; all of them with --read
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100_000,
        conflicts_with = "headless",
        help_heading = "Screen"
    )]
    pub history: u32,

    /// Theme: dark, light, high-contrast or colour-blind
    #[arg(long, value_name = "NAME", value_parser = parse::themes(), ignore_case = true, hide_possible_values = true,
        conflicts_with = "headless", help_heading = "Screen")]
    pub theme: Option<ThemeName>,

    /// Show connections of this host with itself at first; `L` shows and hides them
    #[arg(long, conflicts_with = "headless", help_heading = "Screen")]
    pub show_localhost: bool,

    /// Hide them at first, as is usual while live; they are counted all the same
    #[arg(long, conflicts_with = "headless", help_heading = "Screen")]
    pub no_localhost: bool,

    /// Keep rows in their exact order at every refresh, also where they are sorted by a rate
    #[arg(long, conflicts_with = "headless", help_heading = "Screen")]
    pub no_damping: bool,

    /// Leave the mouse to the terminal
    #[arg(long, conflicts_with = "headless", help_heading = "Screen")]
    pub no_mouse: bool,

    /// Run without a screen, and write to standard output
    #[arg(long, help_heading = "Output")]
    pub headless: bool,

    /// What is written without a screen
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        requires = "headless",
        help_heading = "Output"
    )]
    pub output: OutputFormat,

    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = parse::seconds,
        requires = "headless",
        help_heading = "Output")]
    pub duration: Option<Duration>,

    /// Stop after one second
    #[arg(long, requires = "headless", conflicts_with = "duration", help_heading = "Output")]
    pub once: bool,

    /// Also write a line for each connection that has changed, every so many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = parse::interval,
        requires = "headless", help_heading = "Output")]
    pub interval: Option<Duration>,

    /// How owners of connections are found
    #[arg(long, value_name = "METHOD", value_enum, default_value_t, help_heading = "Capture")]
    pub owners: OwnerLookup,

    /// Ask the system's resolver for the names of remote addresses that the traffic does not name; makes traffic
    #[arg(long, help_heading = "Connections")]
    pub resolve_dns: bool,

    /// Cores the pipeline may use, one pinned thread each, as in `2-7` or `0,2-3`
    #[arg(long, value_name = "LIST", value_parser = parse::cores, help_heading = "Machine")]
    pub cores: Option<CoreList>,

    /// Do not look at payloads: no applications, names and states of services
    #[arg(long, help_heading = "Connections")]
    pub no_dpi: bool,

    /// Keep idle threads of the pipeline spinning instead of waiting
    #[arg(long, help_heading = "Machine")]
    pub busy_poll: bool,

    /// Give the threads on --cores the lowest real-time priority, so that ordinary ones never displace them
    #[arg(long, requires = "cores", help_heading = "Machine")]
    pub realtime: bool,

    /// Print which core would do what and where cores and cards stand, with warnings, and end
    #[arg(long, conflicts_with_all = ["list_interfaces", "check"], help_heading = "Machine")]
    pub show_plan: bool,

    /// Print the interfaces of this machine, and end
    #[arg(long, conflicts_with = "check", help_heading = "Machine")]
    pub list_interfaces: bool,

    /// Print what works here and what does not, with remedies, and end: 0 all, 1 not all
    #[arg(long, conflicts_with = "read", help_heading = "Machine")]
    pub check: bool,

    /// Keep a log of this level in logs/; without it there is none
    #[arg(short, long, value_name = "LEVEL", value_enum, help_heading = "Output")]
    pub log_level: Option<LogLevel>,

    /// Print the man page, and end
    #[arg(long, hide = true)]
    pub man: bool,

    /// Print the completions of a shell, and end
    #[arg(long, value_name = "SHELL", value_enum, hide = true)]
    pub completions: Option<clap_complete::Shell>,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failure at run time, 2 wrong usage.";

/// `--capture`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CaptureMethod {
    /// The best one that works here
    #[default]
    Auto,
    /// An AF_PACKET ring shared with the kernel
    AfPacket,
    /// BPF programs on tcx that copy what passes into rings
    Bpf,
    /// AF_XDP sockets, for mirror and tap ports: what they take does not reach this host
    AfXdp,
    /// The pcap library, in builds that have it
    Pcap,
}

/// `--kernel-counts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KernelCounts {
    /// UDP
    Udp,
    /// TCP: what is no next segment is copied all the same
    Tcp,
    /// None: every frame is copied
    None,
}

/// `--owners`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OwnerLookup {
    /// The best way that works here
    #[default]
    Auto,
    /// From the kernel's events, by BPF programs that only watch
    Bpf,
    /// From the kernel's tables of sockets, and /proc
    Proc,
    /// Not at all
    Off,
}

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// One line for each connection when it ends, then a summary
    #[default]
    Jsonl,
    /// One document at the stop: totals and the largest connections
    Json,
}

/// `--log-level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    /// What went wrong
    Error,
    /// And what is worth a look
    Warn,
    /// And start, stop, statistics, connections
    Info,
    /// And applications and owners
    Debug,
    /// And every cut
    Trace,
}

/// `--layer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LayerName {
    /// The outermost: a tunnel is one connection
    #[default]
    Outer,
    /// The innermost: what a tunnel carries are connections
    Inner,
}

/// `--key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyFact {
    /// The outermost VLAN id
    Vlan,
}

/// What the user asked to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// This file.
    File(&'a Path),
    /// Standard input.
    Stdin,
    /// These interfaces; none: that of the default route.
    Live(&'a [String]),
}

impl Cli {
    /// Returns whether settled connections of a kind are to be counted in the kernel where that is done.
    pub fn counts_in_kernel(&self, kind: KernelCounts) -> bool {
        match &self.kernel_counts[..] {
            [] => kind != KernelCounts::None,
            kinds => kinds.contains(&kind),
        }
    }

    /// Reads the command line.
    ///
    /// # Errors
    /// Help, version and wrong usage, as clap's error: its `exit_code` is 0 or 2.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(args)?;
        if let Some(i) = (1..cli.interfaces.len()).find(|&i| cli.interfaces[..i].contains(&cli.interfaces[i]))
        {
            return Err(Self::wrong(&format!("--interface {} is given twice", cli.interfaces[i])));
        }
        if cli.interfaces.len() > 1 && cli.interfaces.iter().any(|i| i == "any") {
            return Err(Self::wrong("--interface any covers all interfaces: give it alone"));
        }
        if cli.promiscuous && cli.interfaces.iter().any(|i| i == "any") {
            return Err(Self::wrong(
                "--promiscuous is asked of an interface by name, not of --interface any",
            ));
        }
        if cli.af_xdp_take_traffic && cli.capture != CaptureMethod::AfXdp {
            return Err(Self::wrong("--af-xdp-take-traffic is for --capture af-xdp"));
        }
        if !cli.kernel_counts.is_empty() && !matches!(cli.capture, CaptureMethod::Auto | CaptureMethod::Bpf) {
            return Err(Self::wrong("--kernel-counts is for --capture bpf or auto"));
        }
        if cli.kernel_counts.len() > 1 && cli.kernel_counts.contains(&KernelCounts::None) {
            return Err(Self::wrong("--kernel-counts none stands alone"));
        }
        if cli.interval.is_some() && cli.output != OutputFormat::Jsonl {
            return Err(Self::wrong("--interval adds lines to --output jsonl"));
        }
        if cli.interfaces.iter().any(String::is_empty) {
            return Err(Self::wrong("--interface needs a name"));
        }
        Ok(cli)
    }

    fn wrong(message: &str) -> clap::Error {
        Self::command().error(ErrorKind::ArgumentConflict, message)
    }

    /// Returns what to watch.
    pub fn input(&self) -> Input<'_> {
        match self.read.as_deref() {
            Some(path) if path.as_os_str() == "-" => Input::Stdin,
            Some(path) => Input::File(path),
            None => Input::Live(&self.interfaces),
        }
    }

    /// Returns whether the screen shows connections of this host with itself at first. A file has
    /// none that are less worth seeing than others, and who watches the loopback alone wants them.
    pub fn shows_localhost(&self) -> bool {
        match self.input() {
            _ if self.show_localhost => true,
            _ if self.no_localhost => false,
            Input::File(_) | Input::Stdin => true,
            Input::Live([only]) => only == "lo" || only == "lo0",
            Input::Live(_) => false,
        }
    }

    /// Returns the time after which the program stops by itself.
    pub fn stop_after(&self) -> Option<Duration> {
        self.duration.or_else(|| self.once.then_some(Duration::from_secs(1)))
    }

    /// Returns how frames are read.
    pub fn parse_config(&self) -> ParseConfig {
        ParseConfig {
            layer: match self.layer {
                LayerName::Outer => Layer::Outer,
                LayerName::Inner => Layer::Inner,
            },
            vlan_in_key: self.key.contains(&KeyFact::Vlan),
        }
    }

    /// Returns whether an export needs every epoch: it writes at cuts, or selects.
    pub fn wants_epochs(&self) -> bool {
        let logs = self.log_level.is_some_and(|level| level >= LogLevel::Info);
        self.interval.is_some() || self.filter.is_some() || self.sort.is_some() || logs
    }

    /// Returns the time between cuts. Live they follow the refresh interval, but come at least
    /// once a second. With files they follow the frames' time and nothing else, because the order
    /// of an export depends on them. `--interval` is a number of cuts.
    pub fn cut_interval(&self) -> Nanos {
        let most = match self.input() {
            Input::Live(_) => {
                let refresh = self.refresh_interval.unwrap_or(REFRESH_MS);
                Nanos::from_millis(refresh.into()).min(LONGEST_EPOCH)
            }
            Input::File(_) | Input::Stdin => LONGEST_EPOCH,
        };
        match self.interval_ns() {
            Some(every) => Nanos(every.0.div_ceil(every.0.div_ceil(most.0).max(1))),
            None => most,
        }
    }

    /// Returns the time between two rounds of `update` lines.
    pub fn interval_ns(&self) -> Option<Nanos> {
        self.interval.map(|every| Nanos(u64::try_from(every.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Returns the number of flows that the tables hold together, where the process may use
    /// `memory` bytes (`None`: unknown).
    pub fn flows(&self, memory: Option<u64>) -> usize {
        let affordable = memory.map_or(usize::MAX, |bytes| (bytes / 16 / BYTES_A_FLOW) as usize);
        self.max_flows.map_or(DEFAULT_FLOWS.min(affordable.max(LEAST_FLOWS)), |n| n as usize)
    }
}

const DEFAULT_FLOWS: usize = 1 << 20;
/// The default on a machine with next to no memory.
const LEAST_FLOWS: usize = 4096;
/// A flow's records, its share of the index and of the copies that a cut needs.
const BYTES_A_FLOW: u64 = 192;

#[cfg(test)]
mod tests {
    use super::*;

    fn cli(args: &str) -> Result<Cli, clap::Error> {
        Cli::read(["rustnet"].into_iter().chain(args.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let cli = cli("").unwrap();
        assert_eq!(cli.input(), Input::Live(&[]));
        assert_eq!((cli.refresh_interval, cli.cut_interval()), (None, Nanos::from_secs(1)));
        assert_eq!((cli.capture, cli.output), (CaptureMethod::Auto, OutputFormat::Jsonl));
        assert_eq!(cli.stop_after(), None);
        assert!(!cli.promiscuous && !cli.headless && !cli.resolve_dns && cli.cores.is_none());
    }

    #[test]
    fn contradictions_are_wrong_usage() {
        for args in [
            "--read a.pcap -i eth0",
            "--read a.pcap --promiscuous",
            "--read a.pcap --capture af-packet",
            "--read a.pcap --capture auto",
            "--read a.pcap --owners bpf",
            "--show-plan --check",
            "--read a.pcap --check",
            "--read a.pcap --read b.pcap",
            "--output jsonl",
            "--duration 5",
            "--once",
            "--headless --once --duration 5",
            "--headless --headless",
            "--show-plan --list-interfaces",
            "-i eth0 -i eth0",
            "-i any -i eth0",
            "-i any --promiscuous",
            "-i eth0 --af-xdp-take-traffic",
            "--realtime",
            "-i=",
            "-i",
            "stray",
            "--no-such-flag",
        ] {
            let error = cli(args).expect_err(args);
            assert_eq!(error.exit_code(), 2, "{args}");
            assert!(error.to_string().starts_with("error: "), "{args}: {error}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        for (args, part) in [
            ("-r 49", "50 to 60000"),
            ("-r 60001", "50 to 60000"),
            ("-r 1s", "50 to 60000"),
            ("-r -5", "50 to 60000"),
            ("--max-flows 0", "64 to 16000000"),
            ("--max-flows 99999999999", "64 to 16000000"),
            ("--cores 3-1", "goes down"),
            ("--cores x", "neither a core's number"),
            ("--local 10.0.0.0/40", "not in 0..=32"),
            ("--local here", "not an IP address"),
            ("--headless --duration 0", "above 0"),
            ("--headless --duration -1", "above 0"),
            ("--capture warp", "af-packet"),
            ("--kernel-counts icmp", "udp"),
            ("--capture bpf --kernel-counts udp,none", "stands alone"),
            ("--capture af-packet --kernel-counts none", "for --capture bpf or auto"),
            ("--headless --interval 0.001", "from 0.05"),
            ("--filter port:abc", "no number"),
            ("--filter src:999.1.1.1/8", "no address"),
            ("--log-level loud", "trace"),
            ("--headless --output xml", "jsonl"),
            ("--layer middle", "inner"),
            ("--key colour", "vlan"),
        ] {
            let error = cli(args).expect_err(args);
            assert_eq!(error.exit_code(), 2, "{args}");
            assert!(error.to_string().contains(part), "{args}: {error}");
        }
    }

    #[test]
    fn help_and_version_are_no_failure() {
        for args in ["-h", "--help", "-V", "--version"] {
            let shown = cli(args).expect_err(args);
            assert_eq!(shown.exit_code(), 0, "{args}");
        }
    }

    #[test]
    fn live_cuts_come_at_least_once_a_second_and_those_of_files_always_do() {
        for (args, ms) in [
            ("-r 50", 50),
            ("", 1000),
            ("-r 60000", 1000),
            ("--read f -r 50", 1000),
            ("--read - -r 60000", 1000),
            ("--headless --read - --interval 0.5", 500),
            ("--headless --read - --interval 2", 1000),
            ("--headless --read - --interval 1.5", 750),
            ("--headless -r 300 --interval 1", 250),
        ] {
            assert_eq!(cli(args).unwrap().cut_interval(), Nanos::from_millis(ms), "{args}");
        }
    }

    #[test]
    fn localhost_is_hidden_while_live_unless_asked_for() {
        for (args, shown) in [
            ("", false),
            ("-i eth0", false),
            ("-i lo", true),
            ("-i lo -i eth0", false),
            ("--read f", true),
            ("--read f --no-localhost", false),
            ("--show-localhost", true),
            ("--no-localhost --show-localhost", true),
            ("--show-localhost --no-localhost", true),
        ] {
            assert_eq!(cli(args).unwrap().shows_localhost(), shown, "{args}");
        }
    }

    #[test]
    fn tables_follow_the_memory_unless_told() {
        let auto = cli("").unwrap();
        assert_eq!(auto.flows(None), 1 << 20);
        assert_eq!(auto.flows(Some(64 << 30)), 1 << 20);
        assert_eq!(auto.flows(Some(1 << 30)), 349_525);
        assert_eq!(auto.flows(Some(0)), 4096);
        assert_eq!(cli("--max-flows 2000000").unwrap().flows(Some(1 << 30)), 2_000_000);
    }
}

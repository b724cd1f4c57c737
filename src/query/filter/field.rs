//! The one table of keywords: what each looks at, its aliases, and what it says in Help.

/// What a term looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table below says what they are")]
pub enum Field {
    Any,
    Port,
    LocalPort,
    RemotePort,
    Local,
    Remote,
    Process,
    Sni,
    Ssh,
    State,
    Protocol,
    Host,
    App,
    Service,
    User,
    Pid,
    Container,
    Interface,
    Direction,
    Vlan,
    Mac,
    Alpn,
    Dns,
    Http,
    Rate,
    Down,
    Up,
    Bytes,
    Packets,
    Retransmits,
    Rtt,
    Age,
    Left,
}

impl Field {
    /// Returns whether its texts are all from what the flow speaks.
    pub fn is_of_payload(self) -> bool {
        matches!(self, Self::Sni | Self::Ssh | Self::App | Self::Alpn | Self::Dns | Self::Http)
    }
}

/// How the numbers of a field are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// It has none: text.
    Text,
    /// Whole numbers; also looked at as text.
    Number,
    /// `1M` bytes a second, `8Mbit` bits a second.
    Rate,
    /// `10M` bytes.
    Bytes,
    /// `200ms`, `10s`, `5m`, `2h`, `1d`.
    Time,
}

/// One keyword.
#[derive(Debug)]
pub struct Keyword {
    /// How it is written.
    pub name: &'static str,
    /// What it looks at.
    pub field: Field,
    /// How its numbers are written.
    pub unit: Unit,
    /// What it is, in Help.
    pub text: &'static str,
}

const fn keyword(name: &'static str, field: Field, unit: Unit, text: &'static str) -> Keyword {
    Keyword { name, field, unit, text }
}

/// All keywords.
pub const KEYWORDS: &[Keyword] = &[
    keyword("port", Field::Port, Unit::Number, "either port: port:443, port:=443, port:8000-8100"),
    keyword("sport", Field::LocalPort, Unit::Number, "the port in the Local column"),
    keyword("dport", Field::RemotePort, Unit::Number, "the port in the Remote column"),
    keyword("src", Field::Local, Unit::Text, "the Local address: src:192.168, src:10.0.0.0/8"),
    keyword("dst", Field::Remote, Unit::Text, "the Remote address, or a name of it"),
    keyword("process", Field::Process, Unit::Text, "the name of the process"),
    keyword("sni", Field::Sni, Unit::Text, "the server name of TLS and QUIC"),
    keyword("ssh", Field::Ssh, Unit::Text, "SSH software of either side"),
    keyword("state", Field::State, Unit::Text, "the State column"),
    keyword("proto", Field::Protocol, Unit::Text, "the Pro column"),
    keyword("host", Field::Host, Unit::Text, "either address, or a name in the traffic"),
    keyword("app", Field::App, Unit::Text, "what the flow speaks, and all facts of it"),
    keyword("service", Field::Service, Unit::Text, "the registered name of the port that was called"),
    keyword("user", Field::User, Unit::Text, "the user's name or number"),
    keyword("pid", Field::Pid, Unit::Number, "the process's number"),
    keyword("container", Field::Container, Unit::Text, "the container"),
    keyword("if", Field::Interface, Unit::Text, "the interface"),
    keyword("dir", Field::Direction, Unit::Text, "in, out or fwd"),
    keyword("vlan", Field::Vlan, Unit::Number, "the VLAN id"),
    keyword(
        "mac",
        Field::Mac,
        Unit::Text,
        "the other end's MAC address, from ARP or from this host's table of neighbours",
    ),
    keyword("alpn", Field::Alpn, Unit::Text, "application protocols of TLS and QUIC"),
    keyword("dns", Field::Dns, Unit::Text, "names and answers of DNS"),
    keyword("http", Field::Http, Unit::Text, "host, path, method, status, agent of HTTP"),
    keyword("rate", Field::Rate, Unit::Rate, "bytes a second, both ways: rate>1M, rate>8Mbit"),
    keyword("down", Field::Down, Unit::Rate, "bytes a second towards Local"),
    keyword("up", Field::Up, Unit::Rate, "bytes a second towards Remote"),
    keyword("bytes", Field::Bytes, Unit::Bytes, "bytes, both ways: bytes>10M"),
    keyword("packets", Field::Packets, Unit::Bytes, "packets, both ways"),
    keyword("retr", Field::Retransmits, Unit::Number, "TCP segments sent again"),
    keyword("rtt", Field::Rtt, Unit::Time, "the round trip: rtt>200ms"),
    keyword(
        "age",
        Field::Age,
        Unit::Time,
        "time since the first packet, of ended ones until the last: age<10s",
    ),
    keyword("left", Field::Left, Unit::Time, "time until the row goes if no packet comes: left<10s"),
];

/// Other names of keywords.
const ALIASES: &[(&str, &str)] = &[("retrans", "retr")];

/// Returns the keyword that is written so, without regard to case.
pub fn keyword_of(name: &str) -> Option<&'static Keyword> {
    let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    let name = alias.map_or(name, |(_, name)| name);
    KEYWORDS.iter().find(|k| k.name.eq_ignore_ascii_case(name))
}

/// Words for what a keyword of another name looks at: those of the columns, and of other programs.
const MEANT: &[(&str, &str)] = &[
    ("total", "bytes"),
    ("size", "bytes"),
    ("length", "bytes"),
    ("volume", "bytes"),
    ("pkts", "packets"),
    ("frames", "packets"),
    ("retransmits", "retr"),
    ("latency", "rtt"),
    ("ping", "rtt"),
    ("bandwidth", "rate"),
    ("speed", "rate"),
    ("throughput", "rate"),
    ("download", "down"),
    ("rx", "down"),
    ("upload", "up"),
    ("tx", "up"),
    ("since", "age"),
    ("duration", "age"),
    ("lifetime", "age"),
    ("ttl", "age"),
    ("protocol", "proto"),
    ("interface", "if"),
    ("iface", "if"),
    ("dev", "if"),
    ("ip", "host"),
    ("addr", "host"),
    ("address", "host"),
    ("local", "src"),
    ("remote", "dst"),
    ("application", "app"),
    ("program", "process"),
    ("name", "process"),
    ("comm", "process"),
    ("uid", "user"),
    ("status", "state"),
    ("direction", "dir"),
    ("domain", "dst"),
    ("url", "http"),
    ("method", "http"),
    ("agent", "http"),
    ("query", "dns"),
    ("docker", "container"),
    ("pod", "container"),
];

/// What cannot be looked for, and why: words that others have keywords for.
const WITHOUT_DATA: &[(&[&str], &str)] = &[
    (
        &["country", "geo"],
        "no country data: nothing here tells the country of an address; dst: takes networks",
    ),
    (
        &["asn", "as"],
        "no AS data: nothing here tells the autonomous system of an address; dst: takes networks",
    ),
];

/// Returns why nothing can be found by what is no keyword, where somebody might think that it is one.
pub fn without_data(name: &str) -> Option<&'static str> {
    let is_it = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(name));
    WITHOUT_DATA.iter().find(|(words, _)| is_it(words)).map(|(_, why)| *why)
}

/// Returns the keyword that was meant by `name` before this operator: one that says the same, else one that begins
/// so, else the one that is most like it (Levenshtein's distance), where less than half of it and two letters at most
/// are others. Before a comparison only those count whose numbers can be compared.
pub fn nearest(name: &str, operator: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    if let Some((_, meant)) = MEANT.iter().find(|(word, _)| *word == name) {
        return Some(meant);
    }
    let compares = operator.starts_with(['<', '>']);
    let changes = |k: &Keyword| distance(&name, k.name);
    let unlike = |k: &&Keyword| (!k.name.starts_with(&name), changes(k), k.name.len());
    let takes = |k: &&Keyword| !compares || k.unit != Unit::Text;
    let is_near = |k: &&Keyword| {
        let changes = changes(k);
        k.name.starts_with(&name) || changes <= 2 && 2 * changes < name.chars().count()
    };
    KEYWORDS.iter().filter(takes).filter(is_near).min_by_key(unlike).map(|k| k.name)
}

/// Returns the keyword that is least unlike `name`, however unlike that is.
pub fn least_unlike(name: &str, operator: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    let compares = operator.starts_with(['<', '>']);
    let taken = KEYWORDS.iter().filter(|k| !compares || k.unit != Unit::Text);
    let begins_else = |k: &Keyword| k.name.chars().next() != name.chars().next();
    taken.min_by_key(|k| (distance(&name, k.name), begins_else(k), k.name.len())).map_or("dst", |k| k.name)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_written_once_and_found() {
        for (n, keyword) in KEYWORDS.iter().enumerate() {
            assert!(KEYWORDS[..n].iter().all(|k| k.name != keyword.name && k.field != keyword.field));
            assert_eq!(keyword_of(&keyword.name.to_uppercase()).map(|k| k.field), Some(keyword.field));
        }
    }

    #[test]
    fn the_nearest_keyword_is_the_one_meant() {
        for (typed, meant) in [
            ("prot", "proto"),
            ("proccess", "process"),
            ("stat", "state"),
            ("dprot", "dport"),
            ("snii", "sni"),
            ("pro", "proto"),
            ("proc", "process"),
            ("con", "container"),
            ("Total", "bytes"),
            ("retransmits", "retr"),
        ] {
            assert_eq!(nearest(typed, ":"), Some(meant), "{typed}");
        }
        // What is text cannot be compared.
        for (typed, meant) in
            [("lifetime", Some("age")), ("Total", Some("bytes")), ("ratee", Some("rate")), ("snii", None)]
        {
            assert_eq!(nearest(typed, ">"), meant, "{typed}>");
        }
        for typed in ["foo", "de", "qux", "nothing"] {
            assert_eq!(nearest(typed, ":"), None, "{typed}");
        }
        assert_eq!(keyword_of("RETRANS").map(|k| k.name), Some("retr"));
        let words: std::collections::HashSet<_> = MEANT.iter().map(|(word, _)| word).collect();
        assert_eq!(words.len(), MEANT.len(), "each word stands for one keyword");
        assert!(MEANT.iter().all(|(word, meant)| keyword_of(word).is_none() && keyword_of(meant).is_some()));
        assert_eq!(nearest(&"x".repeat(10_000), ":"), None);
    }
}

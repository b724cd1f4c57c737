//! What a flow speaks, as fields of its line: label and facts, named and shaped by their tables; and the names
//! of its ends.

use crate::{
    dpi::fact::{Fact, Shape},
    export::text,
    names::known::NameSource,
    snapshot::app::App,
};

/// Appends label and facts, and the names of the end `from` and of the other one, and who says them where no answer did.
pub fn fields(out: &mut Vec<u8>, app: &App, from: usize) {
    spoken(out, app);
    // Those of the end that was called have the plain name: they are what one looks for.
    for (field, source, end) in [
        (&b",\"names\":"[..], &b",\"names_source\":"[..], 1 - from),
        (b",\"src_names\":", b",\"src_names_source\":", from),
    ] {
        let names = app.names.of(end);
        if !names.is_empty() {
            out.extend_from_slice(field);
            list(out, names.iter().map(|known| &*known.name));
        }
        if let Some(key) = app.names.source(end).and_then(NameSource::key) {
            out.extend_from_slice(source);
            text::string(out, key);
        }
    }
}

/// Appends `,"app":` if that is known, and the facts, in the order of their table.
fn spoken(out: &mut Vec<u8>, app: &App) {
    if let Some(service) = app.service {
        out.extend_from_slice(b",\"app\":\"");
        out.extend_from_slice(service.key().as_bytes());
        out.push(b'"');
    }
    let mut facts: Vec<(Fact, &[u8])> = app.facts().collect();
    // Stable: values of one fact stay in the order of their appearance.
    facts.sort_by_key(|(fact, _)| *fact);
    for values in facts.chunk_by(|a, b| a.0 == b.0) {
        let (fact, first) = values[0];
        out.extend_from_slice(b",\"");
        out.extend_from_slice(fact.key().as_bytes());
        out.extend_from_slice(b"\":");
        match fact.shape() {
            Shape::Text => string(out, first),
            Shape::Number => out.extend_from_slice(first),
            Shape::Flag => out.extend_from_slice(b"true"),
            Shape::List => list(out, values.iter().map(|(_, value)| *value)),
        }
    }
}

fn list<'a>(out: &mut Vec<u8>, values: impl Iterator<Item = &'a [u8]>) {
    out.push(b'[');
    for (n, value) in values.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        string(out, value);
    }
    out.push(b']');
}

/// Bytes that are no UTF-8 are shown as U+FFFD.
fn string(out: &mut Vec<u8>, value: &[u8]) {
    text::string(out, &String::from_utf8_lossy(value));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        base::time::Stamp,
        dpi::service::Service,
        names::known::{EndNames, KnownName},
    };

    #[test]
    fn facts_have_the_shape_of_their_table_and_hostile_bytes_are_escaped() {
        let mut app = App::of(Service::Tls);
        app.learn(Fact::Alpn, b"h2");
        app.learn(Fact::Sni, b"evil\x1b[2J\"\\\xff\n");
        app.learn(Fact::Alpn, b"http/1.1");
        app.learn(Fact::Alpn, b"h2");
        app.learn(Fact::Ech, b"true");
        app.learn(Fact::DnsTime, b"1234");
        app.learn(Fact::Sni, b"second");
        let mut out = b"{\"x\":1".to_vec();
        let source = NameSource::Answer { service: Service::Dns, seen: Stamp(1) };
        let known = |name: &[u8]| KnownName { name: name.into(), source };
        app.names = EndNames::new([vec![known(b"a\x07.b"), known(b"c.d")], vec![known(b"me")]]);
        fields(&mut out, &app, 1);
        out.push(b'}');
        assert!(out.iter().all(|b| *b >= 0x20), "no control character");
        let value: Value = serde_json::from_slice(&out).unwrap();
        let sni = "evil\u{1b}[2J\"\\\u{fffd}\n";
        let want = json!({"x": 1, "app": "TLS", "sni": sni, "alpn": ["h2", "http/1.1"], "ech": true,
            "dns_time_us": 1234, "names": ["a\u{7}.b", "c.d"], "src_names": ["me"]});
        assert_eq!(value, want);
    }

    #[test]
    fn a_name_of_the_resolver_says_so_and_is_escaped() {
        let mut app = App::default();
        app.names.add_resolved(1, b"a\x07.b"[..].into());
        for (from, want) in [
            (0, json!({"x": 1, "names": ["a\u{7}.b"], "names_source": "resolver"})),
            (1, json!({"x": 1, "src_names": ["a\u{7}.b"], "src_names_source": "resolver"})),
        ] {
            let mut out = b"{\"x\":1".to_vec();
            fields(&mut out, &app, from);
            out.push(b'}');
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), want);
        }
    }

    #[test]
    fn facts_without_a_label_are_not_shown() {
        let mut out = Vec::new();
        fields(&mut out, &App::default(), 0);
        assert!(out.is_empty());
    }
}

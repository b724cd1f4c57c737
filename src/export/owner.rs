//! Who owned a flow's local end, as fields of its line.

use crate::{export::text, process::owner::Owner};

/// Appends the owner's fields, each with a comma before it; what is not known is left out.
pub fn fields(out: &mut Vec<u8>, owner: &Owner) {
    let mut string = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            begin(out, name);
            text::string(out, value);
        }
    };
    string("process", Some(&*owner.name).filter(|name| !name.is_empty()));
    string("exe", owner.exe.as_deref());
    string("command", owner.command.as_deref());
    string("user", owner.user.as_deref());
    string("container", owner.container.as_deref());
    string("cgroup", owner.cgroup.as_deref());
    string("owner_quality", Some(owner.quality.key()));
    for (name, value) in [("pid", owner.pid), ("uid", owner.uid), ("netns", owner.netns)] {
        if let Some(value) = value {
            begin(out, name);
            text::number(out, value);
        }
    }
    if let Some(started) = owner.started {
        begin(out, "process_started");
        out.push(b'"');
        text::rfc3339(out, started);
        out.push(b'"');
    }
    for (name, is_set) in [("kernel", owner.is_kernel), ("process_is_comm", owner.name_is_comm)] {
        if is_set {
            begin(out, name);
            out.extend_from_slice(b"true");
        }
    }
}

fn begin(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::time::Stamp, process::owner::Quality};

    fn line(owner: &Owner) -> serde_json::Value {
        let mut out = b"{\"a\":1".to_vec();
        fields(&mut out, owner);
        out.push(b'}');
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn what_is_known_is_told_and_hostile_text_is_escaped() {
        let owner = Owner {
            pid: Some(77),
            name: "a\x1b[2J\"b".into(),
            name_is_comm: true,
            exe: Some("/tmp/a\nb".into()),
            uid: Some(1000),
            container: Some("docker 0123456789ab".into()),
            cgroup: Some("/system.slice/a".into()),
            netns: Some(4_026_532_281),
            started: Some(Stamp(1_700_000_000_120_000_000)),
            quality: Quality::Listener,
            ..Owner::default()
        };
        let want = serde_json::json!({"a": 1, "process": "a\u{1b}[2J\"b", "exe": "/tmp/a\nb",
            "container": "docker 0123456789ab", "cgroup": "/system.slice/a", "netns": 4_026_532_281_u32,
            "process_started": "2023-11-14T22:13:20.120000000Z", "owner_quality": "listener", "pid": 77, "uid": 1000,
            "process_is_comm": true});
        assert_eq!(line(&owner), want);
        let mut out = Vec::new();
        fields(&mut out, &owner);
        assert!(out.iter().all(|b| *b >= b' '), "no control characters");
    }

    #[test]
    fn a_user_alone_and_the_kernel_have_no_pid() {
        let user = Owner { uid: Some(5), quality: Quality::UserOnly, ..Owner::default() };
        assert_eq!(line(&user), serde_json::json!({"a": 1, "owner_quality": "user", "uid": 5}));
        let kernel = Owner { is_kernel: true, name: "nfs".into(), ..Owner::default() };
        let want = serde_json::json!({"a": 1, "process": "nfs", "owner_quality": "exact", "kernel": true});
        assert_eq!(line(&kernel), want);
    }
}

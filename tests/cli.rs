//! The built program from outside: exit codes and messages for good and for bad input.
//!
//! 0 done, 1 failure at run time, 2 wrong usage. No test needs a network, privileges or a
//! terminal; none has one, because standard output is always a pipe.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longer than any of these runs takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn help_and_version_need_nothing_and_are_no_failure() {
    for flag in ["-h", "--help"] {
        let run = rustnet([flag]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{flag}");
        for part in ["Usage: rustnet", "--interface", "--read", "--headless", "--cores", "Exit codes"] {
            assert!(run.stdout.contains(part), "{flag}: {part} is missing in {}", run.stdout);
        }
    }
    for flag in ["-V", "--version"] {
        let run = rustnet([flag]);
        assert_eq!(run.code, 0);
        assert_eq!(run.stdout, concat!("rustnet ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn wrong_usage_is_told_before_anything_else() {
    for (args, part) in [
        ("--no-such-flag", "--no-such-flag"),
        ("stray", "stray"),
        ("-r 49", "50 to 60000"),
        ("-r 60001", "50 to 60000"),
        ("-r fast", "50 to 60000"),
        ("-r -1", "50 to 60000"),
        ("-r", "--refresh-interval"),
        ("--max-flows 0", "64 to 16000000"),
        ("--max-flows many", "64 to 16000000"),
        ("--cores x", "neither a core's number"),
        ("--cores 3-1", "goes down"),
        ("--cores 1,1", "named twice"),
        ("--cores 8190", "8190"),
        ("--cores 8190 --show-plan", "8190"),
        ("--cores 99999", "99999"),
        ("--local 10.0.0.0/33", "33"),
        ("--local here", "here"),
        ("--capture warp", "warp"),
        ("--layer middle", "middle"),
        ("--key colour", "colour"),
        ("--headless --output xml", "xml"),
        ("--headless --duration 0", "above 0"),
        ("--headless --duration 1e300", "up to 315360000"),
        ("--headless --duration soon", "soon"),
        ("--headless --duration -3", "above 0"),
        ("--read a.pcap -i lo", "cannot be used with"),
        ("--read a.pcap --promiscuous", "cannot be used with"),
        ("--read a.pcap --capture af-packet", "cannot be used with"),
        ("--headless --once --duration 3", "cannot be used with"),
        ("--output jsonl", "--headless"),
        ("--duration 3", "--headless"),
        ("--once", "--headless"),
        ("-i lo -i lo", "twice"),
        ("-i any -i lo", "any"),
        ("-i any --promiscuous", "--promiscuous"),
        ("--headless --show-localhost", "cannot be used with"),
        ("--headless --no-mouse", "cannot be used with"),
    ] {
        let run = rustnet(args.split(' '));
        assert_eq!(run.code, 2, "{args}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(part), "{args}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{args}");
    }
}

#[test]
fn without_a_terminal_the_flag_to_use_is_named() {
    let scratch = Scratch::new("terminal");
    let file = scratch.file("good.pcap", &capture(&[frame(0, 1)]));
    for args in [vec!["-i", "lo"], vec![], vec!["--read", file.to_str().unwrap()]] {
        let run = rustnet(&args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains("terminal") && run.stderr.contains("--headless"), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_reason() {
    let scratch = Scratch::new("files");
    let whole = capture(&[frame(0, 1)]);
    let cases: [(PathBuf, &str); 9] = [
        (scratch.path("absent.pcap"), "no such file"),
        (scratch.path("absent/below.pcap"), "no such file"),
        (scratch.path(""), "directory"),
        (scratch.file("empty.pcap", b""), "empty"),
        (scratch.file("two.pcap", &whole[..2]), "2 bytes"),
        (scratch.file("text.pcap", b"this is no capture file at all\n"), "not a capture file"),
        (scratch.file("zeros.pcap", &[0; 4096]), "not a capture file"),
        (scratch.file("picture.pcap", b"\x89PNG\r\n\x1a\n and more of it...."), "picture"),
        (scratch.file("packed.pcap.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03 packed bytes"), "zcat"),
    ];
    for (path, part) in cases {
        for output in ["jsonl", "json"] {
            let run = read(&path, ["--output", output]);
            assert_eq!(run.code, 1, "{}: {}", path.display(), run.stderr);
            assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
            assert!(run.stderr.contains(part), "{}: {}", path.display(), run.stderr);
            assert_eq!(run.stdout, "", "{}", path.display());
        }
    }
}

#[test]
fn a_file_without_permission_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("permission");
    let path = scratch.file("closed.pcap", &capture(&[frame(0, 1)]));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        eprintln!("skipped: this user may read every file");
        return;
    }
    let run = read(&path, []);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("permission denied"), "{}", run.stderr);
}

#[test]
fn names_that_are_not_text_do_not_panic() {
    let name = OsStr::from_bytes(b"/nonexistent/\xff\xfe\x1b[2J.pcap");
    let run = rustnet([OsStr::new("--headless"), OsStr::new("--read"), name]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let run = rustnet([OsStr::new("-i"), OsStr::from_bytes(b"\xff")]);
    assert_eq!(run.code, 2, "{}", run.stderr);
}

#[test]
fn an_interface_that_is_not_there_is_told_with_those_that_are() {
    let run = rustnet(["--headless", "--once", "-i", "no-such-if0"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("no-such-if0") && run.stderr.contains("lo"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[test]
fn interfaces_and_plan_need_no_privileges() {
    let run = rustnet(["--list-interfaces"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.lines().any(|l| l.starts_with("lo ")), "{}", run.stdout);
    let run = rustnet(["--show-plan"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("shard/0") && run.stdout.contains("collector"), "{}", run.stdout);
}

#[test]
fn a_file_becomes_header_flows_summary() {
    let scratch = Scratch::new("export");
    let frames = [frame(0, 1), frame(1, 2), frame(2, 1)];
    let file = scratch.file("three.pcap", &capture(&frames));
    let run = read(&file, ["--output", "jsonl"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let lines = run.lines();
    assert_eq!(lines.len(), 4, "{}", run.stdout);
    assert_eq!((&lines[0]["type"], &lines[0]["schema"]), (&"header".into(), &1.into()));
    let flow = |port: u64| lines.iter().find(|l| l["sport"] == port).unwrap();
    assert_eq!((&flow(1)["fwd_pkts"], &flow(1)["rev_pkts"]), (&2.into(), &0.into()));
    assert_eq!(flow(1)["fwd_bytes"], 2 * FRAME as u64);
    assert_eq!((&flow(1)["src"], &flow(1)["dst"]), (&"192.0.2.1".into(), &"198.51.100.1".into()));
    assert_eq!((&flow(1)["proto"], &flow(1)["state"]), (&"UDP".into(), &"UDP_ACTIVE".into()));
    assert_eq!(flow(1)["last"], "2023-11-14T22:13:22.000000000Z");
    assert_eq!((&flow(2)["end"], &flow(2)["dport"]), (&"eof".into(), &9.into()));
    let summary = &lines[3];
    assert_eq!((&summary["type"], &summary["packets"]), (&"summary".into(), &3.into()));
    assert_eq!((&summary["bytes"], &summary["flows"]), (&(3 * FRAME as u64).into(), &2.into()));
    assert_eq!((&summary["truncated"], &summary["lost"]), (&false.into(), &0.into()));
    for reason in rustnet::base::counters::DropReason::ALL {
        assert_eq!(summary["drops"][reason.key()], 0, "{}", reason.key());
    }
}

#[test]
fn a_report_is_one_document() {
    let scratch = Scratch::new("report");
    let file = scratch.file("three.pcap", &capture(&[frame(0, 1), frame(1, 2), frame(2, 1)]));
    let run = read(&file, ["--output", "json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["summary"]["packets"], 3);
    assert_eq!(
        (&report["protocols"][0]["proto"], &report["protocols"][0]["flows"]),
        (&"UDP".into(), &2.into())
    );
    assert_eq!(report["top_flows"][0]["fwd_pkts"], 2);
}

#[test]
fn standard_input_reads_as_the_file_does() {
    let scratch = Scratch::new("stdin");
    let bytes = capture(&(0..50).map(|n| frame(n, n as u16 % 7)).collect::<Vec<_>>());
    let from_file = read(&scratch.file("fifty.pcap", &bytes), []);
    let mut child = spawn(["--headless", "--read", "-"], Stdio::piped(), Stdio::piped());
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let from_pipe = Run::of(wait_with_output(child));
    assert_eq!(from_pipe.code, 0, "{}", from_pipe.stderr);
    assert_eq!(from_pipe.lines().len(), 9);
    // The header names the source.
    let body = |run: &Run| run.stdout.split_once('\n').unwrap().1.to_owned();
    assert_eq!(body(&from_pipe), body(&from_file));
}

#[test]
fn standard_input_that_is_no_capture_is_told() {
    for (bytes, part) in
        [(&b""[..], "empty"), (b"hello, this is text and nothing else", "not a capture file")]
    {
        let mut child = spawn(["--headless", "--read", "-"], Stdio::piped(), Stdio::piped());
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let run = Run::of(wait_with_output(child));
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
}

#[test]
fn a_file_cut_short_is_a_warning_and_what_was_read_counts() {
    let scratch = Scratch::new("cut");
    let whole = capture(&[frame(0, 1), frame(1, 2)]);
    let (record, header) = (16 + FRAME, 24);
    for (have, packets) in [
        (header + 2 * record - 1, 1),
        (header + record + 16, 1),
        (header + record + 1, 1),
        (header + 15, 0),
        (header - 4, 0),
    ] {
        let run = read(&scratch.file("cut.pcap", &whole[..have]), []);
        assert_eq!(run.code, 0, "{have} bytes: {}", run.stderr);
        assert!(run.stderr.starts_with("warning: ") && run.stderr.contains("cut.pcap"), "{}", run.stderr);
        let summary = run.lines().pop().unwrap();
        assert_eq!((&summary["truncated"], &summary["packets"]), (&true.into(), &packets.into()), "{have}");
    }
}

#[test]
fn c11_nobody_who_reads_standard_error_changes_no_exit_code() {
    let scratch = Scratch::new("unread");
    let whole = capture(&[frame(0, 1)]);
    let cut = scratch.file("cut.pcap", &whole[..whole.len() - 1]);
    let none = scratch.file("none.pcap", b"no capture, but a text");
    for (args, code) in [
        (vec![OsStr::new("--no-such-flag")], 2),
        (vec![OsStr::new("--cores"), OsStr::new("8190")], 2),
        (vec![OsStr::new("--headless"), OsStr::new("--read"), none.as_os_str()], 1),
        (vec![OsStr::new("--headless"), OsStr::new("--read"), cut.as_os_str()], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = Command::new(env!("CARGO_BIN_EXE_rustnet"))
            .args(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(writer)
            .spawn()
            .unwrap();
        let guard = Guard::over(&child);
        assert_eq!(child.wait().unwrap().code(), Some(code), "{args:?}");
        guard.done();
    }
}

#[test]
fn no_packets_give_a_header_and_a_summary_of_zeros() {
    let scratch = Scratch::new("none");
    let run = read(&scratch.file("none.pcap", &capture(&[])), []);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let lines = run.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1]["packets"], &lines[1]["flows"]), (&0.into(), &0.into()));
}

#[test]
fn frames_that_lie_are_counted_by_reason_and_nothing_is_lost_silently() {
    let scratch = Scratch::new("lies");
    let mut frames: Vec<_> = (0..4).map(|n| frame(n, 1)).collect();
    frames[1].1.clear(); // a frame of no bytes
    frames[2].1[14] = 0x4f; // an IPv4 header longer than the frame
    frames[3].1[14] = 0xf5; // a version that there is not
    let run = read(&scratch.file("lies.pcap", &capture(&frames)), []);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let summary = run.lines().pop().unwrap();
    let number = |name: &str| summary[name].as_u64().unwrap();
    let drops: u64 = summary["drops"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
    assert_eq!(number("frames"), 4);
    assert_eq!(number("flow_frames") + number("not_flow_frames") + drops, 4, "{summary}");
    assert!(drops >= 2, "{summary}");
}

#[test]
fn the_answer_does_not_depend_on_cuts_or_table_size() {
    let scratch = Scratch::new("same");
    let frames: Vec<_> = (0..400).map(|n| frame(n / 3, (n % 90) as u16)).collect();
    let file = scratch.file("same.pcap", &capture(&frames));
    let plain = read(&file, []);
    assert_eq!(plain.code, 0, "{}", plain.stderr);
    for args in [["-r", "50"], ["-r", "60000"], ["--max-flows", "5000"], ["--duration", "3600"]] {
        assert_eq!(read(&file, args).stdout, plain.stdout, "{args:?}");
    }
}

#[test]
fn a_reader_that_has_gone_ends_the_program_quietly() {
    let scratch = Scratch::new("pipe");
    let frames: Vec<_> = (0..20_000).map(|n| frame(n / 1000, n as u16)).collect();
    let file = scratch.file("many.pcap", &capture(&frames));
    for output in ["jsonl", "json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let args = ["--headless", "--output", output, "--read", file.to_str().unwrap()];
        let run = Run::of(wait_with_output(spawn(args, Stdio::null(), writer.into())));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{output}");
    }
}

#[test]
fn a_listing_that_nobody_reads_ends_quietly_too() {
    for flag in ["--list-interfaces", "--show-plan", "--help"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = Run::of(wait_with_output(spawn([flag], Stdio::null(), writer.into())));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{flag}");
    }
}

#[test]
fn the_duration_ends_a_source_that_does_not_end() {
    let mut child = spawn(["--headless", "--duration", "0.2", "--read", "-"], Stdio::piped(), Stdio::piped());
    let mut input = child.stdin.take().unwrap();
    input.write_all(&capture(&[frame(0, 1)])).unwrap();
    let run = Run::of(wait_with_output(child));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.lines().pop().unwrap()["type"], "summary");
}

#[test]
fn the_duration_also_ends_the_wait_for_the_first_bytes() {
    let mut child = spawn(["--headless", "--duration", "0.2", "--read", "-"], Stdio::piped(), Stdio::piped());
    let silent = child.stdin.take().unwrap();
    let run = Run::of(wait_with_output(child));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("standard input: no capture came"), "{}", run.stderr);
    let kinds: Vec<_> = run.lines().iter().map(|line| line["type"].clone()).collect();
    assert_eq!(kinds, ["header", "summary"]);
    drop(silent);
}

#[test]
fn the_duration_of_a_file_is_its_own_time() {
    let scratch = Scratch::new("span");
    // A frame a second.
    let frames: Vec<_> = (0..10).map(|n| frame(n, 1)).collect();
    let file = scratch.file("ten.pcap", &capture(&frames));
    let packets = |args: &[&str]| {
        let fixed = ["--headless".as_ref(), "--read".as_ref(), file.as_os_str()];
        let run = rustnet(fixed.into_iter().chain(args.iter().map(OsStr::new)));
        run.lines().pop().unwrap()["packets"].as_u64().unwrap()
    };
    let all = packets(&[]);
    let (first, half) = (packets(&["--once"]), packets(&["--duration", "4.5"]));
    assert!(all == 10 && first < half && half < all, "{first} {half} {all}");
}

#[test]
fn a_filter_concerns_lines_and_not_the_summary() {
    let scratch = Scratch::new("selection");
    let file = scratch.file("three.pcap", &capture(&[frame(0, 1), frame(1, 2), frame(2, 1)]));
    let plain = read(&file, []).lines();
    let none = read(&file, ["--filter", "port:65000"]).lines();
    assert_eq!(none.len(), 2, "header and summary");
    assert_eq!(none.last(), plain.last());
    let sorted = read(&file, ["--sort", "total"]).lines();
    assert_eq!(sorted.len(), plain.len());
    assert_eq!(read(&file, ["--filter", "port:abc"]).code, 2);
}

#[test]
fn names_of_files_are_escaped_in_messages() {
    let run = rustnet(["--headless", "--read", "/absent\x1b[2J\nerror: x\u{202e}"].map(OsStr::new));
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("absent\\u{1b}[2J\\nerror: x\\u{202e}"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let dir = Scratch::new("unwritable");
    let file = dir.file("a.pcap", &capture(&[frame(1, 5000)]));
    let reads = ["--headless".as_ref(), "--read".as_ref(), file.as_os_str()];
    let lists = ["--list-interfaces".as_ref()];
    for (args, read_only) in
        [(&reads[..], true), (&reads[..], false), (&lists[..], true), (&lists[..], false)]
    {
        let out = match read_only {
            true => fs::File::open("/dev/null"),
            false => fs::File::options().write(true).open("/dev/full"),
        };
        let run = Run::of(wait_with_output(spawn(args, Stdio::null(), out.unwrap().into())));
        assert_eq!(run.code, 1, "{args:?}, read only: {read_only}");
        assert!(run.stderr.contains("cannot write"), "{}", run.stderr);
    }
}

#[test]
fn signals_end_with_everything_written() {
    for signal in ["INT", "TERM", "QUIT"] {
        let mut child = spawn(["--headless", "--read", "-"], Stdio::piped(), Stdio::piped());
        let mut input = child.stdin.take().unwrap();
        // So far apart that flows end, which writes the first lines while the input is open.
        let frames: Vec<_> = (0..5).map(|n| frame(100 * n, n as u16)).collect();
        input.write_all(&capture(&frames)).unwrap();
        let guard = Guard::over(&child);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut header = String::new();
        output.read_line(&mut header).unwrap();
        assert!(header.contains("\"header\""), "{signal}: {header}");
        let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        guard.done();
        let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!((&last["type"], &last["packets"]), (&"summary".into(), &5.into()), "{signal}");
        drop(input);
    }
}

#[test]
fn c4_without_inspection_nothing_is_labelled() {
    let scratch = Scratch::new("no-dpi");
    let (second, mut bytes) = frame(0, 40_000);
    // A query for example.org instead of the datagram's four bytes.
    let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x07example\x03org\0\0\x01\0\x01";
    bytes.truncate(FRAME - 4);
    bytes.extend(query);
    bytes[17] = 28 + query.len() as u8;
    (bytes[37], bytes[39]) = (53, 8 + query.len() as u8);
    let file = scratch.file("query.pcap", &capture(&[(second, bytes)]));
    let told = read(&file, []).lines().remove(1);
    assert_eq!((&told["app"], &told["state"]), (&"DNS".into(), &"DNS_QUERY".into()));
    let bare = read(&file, ["--no-dpi"]).lines().remove(1);
    assert_eq!((bare.get("app"), bare.get("dns_query"), &bare["state"]), (None, None, &"UDP_ACTIVE".into()));
}

#[test]
fn c10_an_interval_gives_lines_of_open_connections() {
    let scratch = Scratch::new("interval");
    let file = scratch.file("ten.pcap", &capture(&(0..10).map(|n| frame(n, 1)).collect::<Vec<_>>()));
    let updates = |args: [&str; 2]| {
        let lines = read(&file, args).lines();
        lines.iter().filter(|line| line["type"] == "update").count()
    };
    let (every, third) = (updates(["--interval", "1"]), updates(["--interval", "3"]));
    assert_eq!(updates(["--sort", "total"]), 0);
    assert!(third >= 2 && third < every && every <= 10, "{third} {every}");
}

#[test]
fn c12_a_check_ends_with_1_where_something_is_missing() {
    let run = rustnet(["--check"]);
    let is_whole =
        !run.stdout.lines().any(|line| line.starts_with("degraded ") || line.starts_with("missing "));
    assert_eq!(run.code, i32::from(!is_whole), "{}", run.stdout);
    // Standard output is no terminal here.
    assert!(
        run.stdout.contains("capture") && run.stdout.contains("--headless runs without one"),
        "{}",
        run.stdout
    );
}

#[test]
fn c14_a_bpf_expression_that_is_none_is_refused_first() {
    let run = rustnet(["--headless", "--once", "-i", "lo", "-f", "port (("]);
    // A build without libpcap cannot read any.
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    assert!(run.stderr.contains("bpf-filter"), "{}", run.stderr);
}

/// Runs the program in a folder.
fn rustnet_in(folder: &Path, args: &[&str]) -> Run {
    let run = Command::new(env!("CARGO_BIN_EXE_rustnet"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    Run::of(run.unwrap())
}

#[test]
fn c5_lg1_lg2_lg5_a_log_is_kept_where_it_was_asked_for_and_for_its_owner_only() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let scratch = Scratch::new("log");
    scratch.file("a.pcap", &capture(&[frame(0, 1)]));
    let reads = ["--headless", "--read", "a.pcap"];
    let names = || {
        let entries = fs::read_dir(scratch.path("")).unwrap();
        let mut all: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    };
    assert_eq!(rustnet_in(&scratch.path(""), &reads).code, 0);
    assert_eq!(names(), ["a.pcap"], "without the flag nothing is written");
    let with_log = [&reads[..], &["-l", "info"]].concat();
    assert_eq!(rustnet_in(&scratch.path(""), &with_log).code, 0);
    assert_eq!(names(), ["a.pcap", "logs"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let logs: Vec<_> =
        fs::read_dir(scratch.path("logs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!((logs.len(), mode(&scratch.path("logs")), mode(&logs[0])), (1, 0o700, 0o600));
    let text = fs::read_to_string(&logs[0]).unwrap();
    for part in ["start: rustnet", "opened UDP 192.0.2.1:1", "statistics: ", "stop"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Nor through a link that somebody else may have made.
    fs::remove_dir_all(scratch.path("logs")).unwrap();
    fs::create_dir(scratch.path("elsewhere")).unwrap();
    symlink("elsewhere", scratch.path("logs")).unwrap();
    let run = rustnet_in(&scratch.path(""), &with_log);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("logs: it is a symbolic link"), "{}", run.stderr);
    assert_eq!(fs::read_dir(scratch.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn lg4_the_script_leaves_the_newest_log() {
    let scratch = Scratch::new("logs");
    for name in [
        "rustnet_2026-01-02_03-04-05.log",
        "rustnet_2026-01-02_03-04-06.log",
        "rustnet_2026-01-02_03-04-06_2.log",
        "rustnet_2026-01-02_03-04-06_10.log",
        "notes.log",
    ] {
        scratch.file(name, b"x");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/clear_old_logs.sh");
    let clear = |folder: &Path| Command::new("bash").arg(&script).arg(folder).output().unwrap().status.code();
    for _ in 0..2 {
        assert_eq!(clear(&scratch.path("")), Some(0));
        let mut left: Vec<_> =
            fs::read_dir(scratch.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["notes.log", "rustnet_2026-01-02_03-04-06_10.log"]);
    }
    assert_eq!(clear(&scratch.path("absent")), Some(1));
}

/// What a run came to.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self { code: code(output.status), stdout, stderr }
    }

    fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| panic!("ended by a signal or by the time limit: {status}"))
}

fn rustnet(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    Run::of(wait_with_output(spawn(args, Stdio::null(), Stdio::piped())))
}

fn read<const N: usize>(file: &Path, args: [&str; N]) -> Run {
    let fixed = ["--headless", "--read"].map(OsStr::new);
    rustnet(fixed.into_iter().chain([file.as_os_str()]).chain(args.iter().map(OsStr::new)))
}

fn spawn(args: impl IntoIterator<Item = impl AsRef<OsStr>>, stdin: Stdio, stdout: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rustnet"))
        .args(args)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_with_output(child: Child) -> Output {
    let guard = Guard::over(&child);
    let output = child.wait_with_output().unwrap();
    guard.done();
    output
}

/// Kills a program that does not end by itself.
struct Guard(std::sync::mpsc::Sender<()>);

impl Guard {
    fn over(child: &Child) -> Self {
        let id = child.id().to_string();
        let (done, ended) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let start = Instant::now();
            if ended.recv_timeout(PATIENCE).is_err() && start.elapsed() >= PATIENCE {
                let _ = Command::new("kill").args(["-KILL", &id]).status();
            }
        });
        Self(done)
    }

    fn done(self) {
        // The thread may have given up.
        let _ = self.0.send(());
    }
}

/// A directory for the files of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rustnet-cli-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes of every [`frame`].
const FRAME: usize = 14 + 20 + 8 + 4;

/// A UDP datagram from 192.0.2.1:`port` to 198.51.100.1:9, `second` seconds after the start.
fn frame(second: u32, port: u16) -> (u32, Vec<u8>) {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00]; // Ethernet
    bytes.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1]); // IPv4
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 9, 0, 12, 0, 0]); // UDP
    bytes.extend(b"data");
    assert_eq!(bytes.len(), FRAME);
    (second, bytes)
}

/// A pcap file, little endian, microseconds, Ethernet.
fn capture(frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (second, bytes) in frames {
        let len = bytes.len() as u32;
        for word in [1_700_000_000 + second, 0, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

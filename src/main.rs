//! Wiring only.
use rustnet::{capture::capture_file::CaptureFile, config::{cli::{Cli, Input, OutputFormat}, engine, plan::{Feed, Plan}}, export::{Origin, json::Json, jsonl::Jsonl}, flow::locals::Locals, pipeline::launch::{Engine, Host}, snapshot::tap::Tap};
use std::path::Path;
fn mono() -> u64 { 0 }
fn main() -> anyhow::Result<()> {
    let cli = match Cli::read(std::env::args_os()) { Ok(c) => c, Err(e) => e.exit() };
    let Input::File(path) = cli.input() else { anyhow::bail!("file only") };
    let source = CaptureFile::open(path, rustnet::platform::map_guard())?;
    let asked = cli.cores.as_ref().map(|c| c.0.to_vec()).unwrap_or_default();
    let plan = Plan::new(&asked, Feed::Single);
    let host = Host { enter_thread: |_, _| (), cores: vec![], advise: advise, monotonic: mono, wall: mono };
    let config = engine::config(&cli, &plan, host, Locals::new(cli.local.iter().copied()), None, 1);
    let origin = Origin::File { path: path.display().to_string() };
    let out = std::io::stdout();
    let tap: Box<dyn Tap> = match cli.output { OutputFormat::Jsonl => Box::new(Jsonl::new(out, &origin, false)), OutputFormat::Json => Box::new(Json::new(out, &origin)) };
    let engine = Engine::launch(config, vec![source], vec![tap])?;
    engine.join()?;
    let _ = Path::new("");
    Ok(())
}
#[allow(unsafe_code)]
fn advise(start: *mut u8, bytes: usize) { unsafe { libc::madvise(start.cast(), bytes, libc::MADV_HUGEPAGE); } }

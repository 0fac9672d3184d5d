//! The check of a script of 1 000 lines (50 ms), against `python3 -m py_compile` of the same file in the same
//! run; and what the interpreter's final word costs in a process that is kept.
//!
//! `cargo bench --bench static_check`. A figure that is missed is printed as such and is no failure, because
//! a busy machine misses any of them.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use beamq::{
    catalogue::Catalogue,
    dryrun::{CompileLimits, Compiler, check_script},
};

const ROUNDS: usize = 50;
const MOST: Duration = Duration::from_millis(50);

fn script() -> String {
    let block = "for value in range(3):\n    set_temperature(5 + value, wait=True)\n    move('phi', 2.5, speed=3)\n    if value > 1:\n        print(f'at {value} K')\n    begin()\n    x = [value * 2 for value in (1, 2, 3)]\n    y = {'a': x, 'b': len(x)}\n    time.sleep(0.1)\n\n";
    format!("import time\nfrom beamq.commands import *\n{}", block.repeat(100))
}

fn median(mut round: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.get(ROUNDS / 2).copied().unwrap_or_default()
}

fn main() {
    let text = include_str!("../tests/fixtures/scripts/catalogue.yaml");
    let (catalogue, findings) = Catalogue::check(&[("catalogue.yaml".into(), text.to_owned())]);
    assert!(findings.is_empty() && !catalogue.is_empty());
    let script = script();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.py");
    fs::write(&file, &script).unwrap();
    let ours = median(|| assert!(check_script(&script, &catalogue).is_empty()));
    let theirs = median(|| {
        let compiled = Command::new("python3").args(["-m", "py_compile"]).arg(&file).status();
        assert!(compiled.unwrap().success());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let compiler = Compiler::new(Path::new("python3"), CompileLimits::default());
    let word = || runtime.block_on(compiler.final_word(&script)).unwrap();
    let start = Instant::now();
    assert!(word().is_silent());
    let first = start.elapsed();
    let kept = median(|| assert!(word().is_silent()));
    let (lines, bytes) = (script.lines().count(), script.len());
    let verdict = if ours <= MOST { "met" } else { "NOT MET" };
    println!("check of {lines} lines, {bytes} bytes: {ours:.2?}  target ≤ {MOST:.2?}  {verdict}");
    println!(
        "final word, process kept: {kept:.2?}; the first one: {first:.2?}; python3 -m py_compile: {theirs:.2?}"
    );
}

//! The check of scripts agrees with CPython: what compiles has no syntax error here, and the interpreter
//! has the final word about everything else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use beamq::{
    catalogue::{Catalogue, Source},
    dryrun::{CompileLimits, Compiler, FinalWord, check_script, diagnose_script, static_check::SYNTAX_ERROR},
};

/// Prints the files of the standard library, its tests included, that compile and are UTF-8.
const GOOD_FILES: &str = r#"
import glob, os, sys, warnings
warnings.simplefilter("ignore")
sys.setrecursionlimit(10000)
root = os.path.dirname(os.__file__)
for path in sorted(glob.glob(root + "/*.py") + glob.glob(root + "/test/*.py")):
    try:
        text = open(path, encoding="utf-8").read()
        compile(text, path, "exec", 0, True)
    except (SyntaxError, ValueError, RecursionError):
        continue
    print(path)
"#;

#[test]
fn what_python_compiles_has_no_syntax_error() {
    let listed = Command::new("python3").args(["-c", GOOD_FILES]).output().unwrap();
    let files = String::from_utf8(listed.stdout).unwrap();
    let mut count = 0;
    let mut wrong = Vec::new();
    for path in files.lines() {
        let text = std::fs::read_to_string(path).unwrap();
        count += 1;
        let found = check_script(&text, &Catalogue::default());
        let refused = found.iter().find(|one| one.code == SYNTAX_ERROR || one.code == "not_checked");
        wrong.extend(refused.map(|one| format!("{path}:{:?}: {}", one.line, one.message)));
    }
    assert!(count > 150, "{count} files");
    assert_eq!(wrong, Vec::<String>::new());
}

fn python(limits: CompileLimits) -> Compiler {
    Compiler::new(Path::new("python3"), limits)
}

async fn settled(script: &str) -> Vec<(String, String, Option<u32>)> {
    let mut found = diagnose_script("script.py", script, &Catalogue::default());
    let word = python(CompileLimits::default()).final_word(script).await.unwrap();
    word.settle(&Arc::new(Source::new("script.py", script)), &mut found);
    let findings = found.iter().map(|one| one.finding());
    findings.map(|one| (one.code, one.message, one.line)).collect()
}

#[tokio::test]
async fn the_interpreter_has_the_final_word() {
    assert_eq!(settled("x = 1\n").await, []);
    // What the pure check cannot know.
    let found = settled("x = 1\ndef f():\n    y = 1\n    global y\n").await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0.as_str(), found[0].2), (SYNTAX_ERROR, Some(4)));
    let warned = settled("x = '\\d'\n").await;
    assert_eq!(warned[0].0, "syntax_warning");
}

#[tokio::test]
async fn a_script_is_compiled_and_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let script = format!("open({:?}, 'w')\n", trace.display().to_string());
    assert_eq!(settled(&script).await, []);
    assert!(!trace.exists());
}

#[tokio::test]
async fn an_interpreter_that_is_not_there_is_an_error() {
    let heard =
        Compiler::new(Path::new("/nowhere/python3"), CompileLimits::default()).final_word("x = 1\n").await;
    assert!(heard.is_err());
}

/// Compiling this takes twice the time and the memory with every level: what is finally done is compiled for
/// each way that leads there.
fn nested_finally(levels: usize) -> String {
    let level = |n: usize| {
        let indent = " ".repeat(n);
        format!("{indent}try:\n{indent} a\n{indent}finally:\n")
    };
    let inner = format!("{}a\n", " ".repeat(levels));
    (0..levels).map(level).chain([inner]).collect()
}

#[tokio::test]
async fn a_short_script_that_compiles_to_something_huge_is_given_up_and_the_next_one_is_judged() {
    let little_memory = CompileLimits { memory: 128 << 20, ..CompileLimits::default() };
    let little_time =
        CompileLimits { memory: 8 << 30, processor: Duration::ZERO, ..CompileLimits::default() };
    for (limits, message) in [
        (little_memory, "compile the script: that takes more than 128 MiB of memory"),
        (little_time, "compile the script: that takes more than 0 s of the processor"),
    ] {
        let compiler = python(limits);
        let unheard = compiler.final_word(&nested_finally(19)).await.unwrap_err();
        assert_eq!(unheard.to_string(), message);
        assert!(unheard.is_of_the_script());
        assert_eq!(compiler.final_word("x = 1\n").await.unwrap(), FinalWord::default());
    }
}

#[tokio::test]
async fn what_only_the_parser_of_the_interpreter_cannot_hold_is_an_error_of_the_script() {
    let word = python(CompileLimits::default()).final_word(&format!("x = {}1\n", "-".repeat(9_000))).await;
    assert!(word.unwrap().error.is_some());
}

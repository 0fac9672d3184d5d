#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn codes(script: &str) -> Vec<String> {
    check_script(script, &Catalogue::default()).into_iter().map(|finding| finding.code).collect()
}

#[test]
fn what_is_nested_too_deeply_is_refused_and_never_overflows_the_stack() {
    let deep = |open: &str, close: &str, n: usize| format!("x = {}y{}\n", open.repeat(n), close.repeat(n));
    for (script, code) in [
        (deep("(", ")", 199), None),
        (deep("(", ")", 201), Some(SYNTAX_ERROR)),
        (deep("[", "", 1_000_000), Some(SYNTAX_ERROR)),
        (deep("-", "", 9_000), None),
        (deep("-", "", 1_000_000), Some("not_checked")),
        (deep("", "+1", 4_900), None),
        (deep("", "+1", 1_000_000), Some("not_checked")),
        (deep("", ".a", 4_900), None),
        (deep("", "()", 3_000), None),
        (deep("lambda a, b: ", "", 1_900), None),
        (deep("lambda a, b: ", "", 100_000), Some("not_checked")),
        (deep("1 if 1 else ", "", 2_400), None),
        (deep("not ", "", 9_000), None),
        (deep("", "[0]", 3_000), None),
        (format!("x = [{}]\n", "1, ".repeat(100_000)), None),
        (format!("x = [{}]\n", "(-1, +2), ".repeat(100_000)), None),
    ] {
        let shown: String = script.chars().take(30).collect();
        assert_eq!(codes(&script).first().map(String::as_str), code, "{shown}");
    }
    let blocks: String = (0..150).map(|n| format!("{}if True:\n", " ".repeat(n))).collect();
    assert_eq!(codes(&blocks), [SYNTAX_ERROR]);
    let choices = format!("if x:\n  pass\n{}", "elif x:\n  pass\n".repeat(20_000));
    assert_eq!(codes(&choices), Vec::<String>::new());
}

#[test]
fn what_is_too_large_is_not_read() {
    let start = Instant::now();
    assert_eq!(codes(&"x".repeat(SCRIPT_LIMIT + 1)), ["not_checked"]);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn no_script_gets_more_findings_than_people_read() {
    assert_eq!(codes(&"exit()\n".repeat(5_000)).len(), 201);
}

#[test]
fn a_byte_order_mark_moves_nothing() {
    let found = check_script("\u{feff}exit()\n", &Catalogue::default());
    assert_eq!((found[0].line, found[0].column), (Some(1), Some(1)));
}

#[test]
fn a_nul_is_refused_at_its_place() {
    let found = check_script("x = 1\ny = '\0'\n", &Catalogue::default());
    assert_eq!((found[0].line, found[0].column), (Some(2), Some(6)));
    assert_eq!(found[0].message, "source code string cannot contain null bytes");
}

/// Pieces of Python in any order come closer to the corners of a parser than random characters.
fn python_like() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "if",
        "else",
        ":",
        "\n",
        "\n    ",
        "\n\t",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "=",
        "==",
        ",",
        "lambda ",
        "x",
        "begin",
        "from beamq.commands import *",
        "import time as t\n",
        "t.sleep(",
        "1e999",
        "9999999999999999999",
        "'",
        "\"\"\"",
        "f'{",
        "}'",
        "\\",
        "def f(",
        "class C:",
        "return",
        "yield ",
        "await ",
        "match x:",
        "case ",
        "*",
        "**",
        "@",
        "while True:",
        "for ",
        " in ",
        "async ",
        "print ",
        "é",
        "“",
        "\0",
        "\r",
        "\u{c}",
        "#",
        ";",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

#[test]
fn what_goes_wrong_in_nicos_alone_is_found_where_nicos_runs_the_script() {
    let script = "import sys, time, beamq\nfrom os import _exit\ninput('?')\ntime.sleep(5)\n\
                  leave = [lambda: sys.exit(), lambda: _exit(1), lambda: quit()]\nbeamq.step('a')\n";
    let found = diagnose_script_for(Host::Nicos, "script.py", script, &Catalogue::default());
    let found: Vec<_> = found.iter().map(|one| (one.place.line_and_column().0, one.code)).collect();
    let exits = [(5, "nicos_exit"), (5, "nicos_exit"), (5, "nicos_exit"), (6, "nicos_no_beamq")];
    assert_eq!(found, [&[(3, "nicos_input"), (4, "nicos_time_sleep")][..], &exits].concat());
    assert!(codes(script).iter().all(|code| !code.starts_with("nicos")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_judged_in_bounded_time(script in prop_oneof![python_like(), any::<String>()]) {
        let start = Instant::now();
        let source = Source::new("script.py", script.strip_prefix('\u{feff}').unwrap_or(&script));
        for found in diagnose_script("script.py", &script, &Catalogue::default()) {
            prop_assert!(found.code != "not_checked", "{}", found.message);
            let (line, column) = found.place.line_and_column();
            let characters = source.line(line).chars().count() + 2;
            prop_assert!(column as usize <= characters, "{line}:{column}");
            prop_assert!(!crate::catalogue::render::to_text(&found, false).is_empty());
        }
        prop_assert!(start.elapsed() < Duration::from_secs(2));
    }
}

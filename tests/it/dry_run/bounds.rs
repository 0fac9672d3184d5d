//! R25: whatever a script does, its dry run ends soon, with a finding that names the line.

use std::time::Duration;

use beamq::protocol::view::DryRunReport;

use super::fixture::{Fixture, codes, expected};

const ENDLESS: [(&str, &str, u32); 12] = [
    ("a loop in one line", "x = 1\nwhile True: pass\n", 2),
    ("a loop", "x = 1\nwhile x:\n    x += 1\n", 3),
    ("a loop of a function", "def f():\n    while True:\n        pass\nf()\n", 3),
    ("a loop that sleeps", "import time\nwhile True:\n    time.sleep(60)\n", 3),
    ("a loop that sleeps shortly", "import time\nwhile True:\n    time.sleep(1e-6)\n", 3),
    (
        "a loop that looks at the clock",
        "import time\nend = time.time() + 1e9\nwhile time.time() < end: pass\n",
        3,
    ),
    ("a loop that prints", "x = 'x' * 10_000\nwhile True:\n    print(x)\n", 3),
    ("a loop that floods standard error", "import sys\nwhile True:\n    sys.stderr.write('x' * 10_000)\n", 3),
    ("a generator", "import itertools\nfor n in itertools.count():\n    n * n\n", 3),
    (
        "a loop that catches everything",
        "while True:\n    try:\n        raise KeyError\n    except BaseException:\n        pass\n",
        4,
    ),
    (
        "a loop of commands",
        "from beamq.commands import *\nwhile True:\n    set_temperature(5, wait=True)\n",
        3,
    ),
    ("a wait that is never met", "from beamq.commands import *\nbegin(paused=True)\nwaitfor_uamps(1)\n", 3),
];

#[tokio::test]
async fn r25_an_endless_script_is_a_finding_with_its_line() {
    let fixture = Fixture::new();
    futures_util::future::join_all(ENDLESS.iter().map(|case| is_found_endless(&fixture, case))).await;
}

async fn is_found_endless(fixture: &Fixture, (name, source, line): &(&str, &str, u32)) {
    let mut wish = fixture.wish(source);
    // Few enough that a slow machine gets there as well: what counts are steps, and not how fast they are.
    // A command costs far more than a line.
    wish.budget.steps = if *name == "a loop of commands" { 4_000 } else { 8_000 };
    let soon = ["a loop in one line", "a wait that is never met"].contains(name);
    wish.budget.real = Duration::from_secs(if soon { 5 } else { 60 });
    let report = fixture.simulator.simulate(wish).await.report;
    let found: Vec<_> =
        codes(&report).into_iter().filter(|(code, _)| code == "endless" || code == "too_long").collect();
    let [(code, Some(at))] = &found[..] else { panic!("{name}: {:#?}", report.findings) };
    // Older Pythons do not tell of a loop in one line that it comes by again.
    assert!(code == "endless" || *name == "a loop in one line", "{name}: {:#?}", report.findings);
    assert_eq!((report.ok, report.truncated), (false, Some(true)), "{name}");
    // Of a loop of several lines, any is right.
    assert!(at.abs_diff(*line) <= 3, "{name}: line {at} instead of {line}");
    assert!(report.totals.seconds.at_least, "{name}");
}

#[tokio::test]
async fn r25_real_time_ends_a_script_whose_steps_are_not_counted_out() {
    let fixture = Fixture::new();
    let mut wish = fixture.wish("x = 1\nwhile x:\n    x += 1\n");
    wish.budget.real = Duration::from_secs(1);
    wish.budget.steps = u64::MAX;
    let report = fixture.simulator.simulate(wish).await.report;
    let found = codes(&report);
    // How often it has come by in a second depends on the machine.
    let [(code, Some(2 | 3))] = &found[..] else { panic!("{:#?}", report.findings) };
    assert!(code == "endless" || code == "too_long", "{:#?}", report.findings);
    assert_eq!((report.ok, report.truncated), (false, Some(true)));
}

async fn bounded(fixture: &Fixture, source: &str) -> DryRunReport {
    let mut wish = fixture.wish(source);
    wish.budget.memory = 512 << 20;
    // The others end by themselves, on a slow machine later.
    if source.contains("itertools.repeat") {
        wish.budget.real = Duration::from_secs(2);
    }
    fixture.simulator.simulate(wish).await.report
}

/// With what is found, and at which line.
const ENDS: [(&str, &str, &str, Option<u32>); 14] = [
    (
        "compiled code that does not come back",
        "import itertools\nsum(itertools.repeat(0))\n",
        "too_long",
        Some(2),
    ),
    ("one value that is too large", "x = 1\ny = 'a' * (1 << 40)\n", "too_much_memory", Some(2)),
    ("memory that grows", "x = 'a' * 10_000_000\nwhile True:\n    x = x + x\n", "too_much_memory", Some(3)),
    ("recursion", "x = 1\ndef f():\n    f()\nf()\n", "script_error", Some(3)),
    ("a crash", "import faulthandler\nfaulthandler._sigsegv()\n", "crashed", Some(2)),
    ("an end at once", "import os\nos._exit(3)\n", "ended_early", None),
    ("a crash through ctypes", "import ctypes\nctypes.string_at(0)\n", "denied_call", Some(2)),
    (
        "threads without end",
        "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(1e6,)).start()\n",
        "script_error",
        Some(3),
    ),
    ("an abort", "import os\nos.abort()\n", "crashed", Some(2)),
    ("an exit", "import sys\nsys.exit('no sample')\n", "script_exit", Some(2)),
    ("an exception", "x = 1\n1 / 0\n", "script_error", Some(2)),
    ("an exception of a library", "import json\njson.loads('{')\n", "script_error", Some(2)),
    ("closing all files", "import os\nos.closerange(0, 4096)\n", "ended_early", None),
    ("standard input", "name = input('Sample? ')\n", "question_without_default", Some(1)),
];

#[tokio::test]
async fn r25_a_script_that_breaks_its_simulation_still_gets_a_report() {
    let fixture = Fixture::new();
    for (name, source, code, line) in ENDS {
        let source = format!("from beamq.commands import *; waitfor_time(60); {source}");
        let report = bounded(&fixture, &source).await;
        let found = codes(&report);
        assert!(found.iter().any(|one| one.0 == code && one.1 == line), "{name}: {:#?}", report.findings);
        // What went before is told.
        assert_eq!(
            report.timeline.first().map(|entry| entry.command.as_str()),
            Some("waitfor_time"),
            "{name}"
        );
        assert!(expected(&report) >= 60.0, "{name}");
    }
}

#[tokio::test]
async fn recursion_without_a_limit_is_a_finding() {
    let fixture = Fixture::new();
    let report =
        bounded(&fixture, "import sys\nsys.setrecursionlimit(10**9)\ndef f(x):\n    return f([x])\nf(1)\n")
            .await;
    assert!(!report.ok, "{report:#?}");
    let known = ["crashed", "too_much_memory", "script_error", "too_long", "endless"];
    assert!(known.contains(&codes(&report)[0].0.as_str()), "{report:#?}");
}

#[tokio::test]
async fn a_script_that_knows_that_it_is_simulated_gets_a_report() {
    let fixture = Fixture::new();
    let report = fixture
        .good("import beamq\nfrom beamq.commands import *\nif beamq.in_dry_run:\n    raise SystemExit\nwaitfor_time(60)\n")
        .await;
    assert_eq!((expected(&report), report.unreached_lines), (0.0, vec![5]));
}

#[tokio::test]
async fn a_long_script_is_cut_short_after_its_steps_and_says_so() {
    let fixture = Fixture::new();
    let source: String = (0..300).map(|n| format!("x{n} = {n}\n")).collect();
    let mut wish = fixture.wish(&source);
    wish.budget.steps = 200;
    let report = fixture.simulator.simulate(wish).await.report;
    assert_eq!(codes(&report), [("too_long".to_owned(), Some(201))]);
}

#[tokio::test]
async fn a_flood_of_findings_is_bounded() {
    let fixture = Fixture::new();
    let flood: String =
        (0..300).map(|n| format!("try: import epics.part{n}\nexcept OSError: pass\n")).collect();
    let report = fixture.run(&flood).await.report;
    assert!((50..=200).contains(&report.findings.len()), "{}", report.findings.len());
    assert!(
        report.findings.iter().all(|finding| finding.code == "hardware_import"),
        "{:#?}",
        report.findings
    );
}

#[tokio::test]
async fn a_script_that_looks_for_the_simulation_still_gets_a_report() {
    let fixture = Fixture::new();
    let suspicious = "\
import os, sys
from beamq.commands import *
signs = ['BEAMQ_CONFINED' in os.environ, any('dryrun' in name for name in sys.modules), os.getppid() == 0]
if any(signs):
    # It behaves well only where nobody looks.
    waitfor_time(minutes=7)
    while True:
        os.nice(0)
";
    let mut wish = fixture.wish(suspicious);
    wish.budget.steps = 20_000;
    let report = fixture.simulator.simulate(wish).await.report;
    assert!(codes(&report).iter().any(|one| one.0 == "endless"), "{report:#?}");
    assert_eq!(report.timeline.first().map(|entry| entry.dt_s), Some(420.0), "{report:#?}");
}

#[tokio::test]
async fn an_interpreter_that_is_not_there_is_a_finding() {
    let fixture = Fixture::new();
    let settings = super::fixture::settings(&fixture.folder.path().join("other"));
    let settings =
        beamq::dryrun::simulation::SimulationSettings { interpreter: "/no/python".into(), ..settings };
    let simulator = beamq::dryrun::simulation::Simulator::new(settings);
    let report = simulator.simulate(fixture.wish("print(1)\n")).await.report;
    assert_eq!(codes(&report), [("not_simulated".to_owned(), None)]);
    assert!(report.findings[0].message.contains("/no/python"), "{report:?}");
    assert_eq!(report.totals.seconds.expected, None);
}

#[tokio::test]
async fn a_simulation_gives_way_to_everything_else() {
    let fixture = Fixture::new();
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_the_name = own.rsplit_once(')').unwrap().1;
    let own: i32 = after_the_name.split_whitespace().nth(16).unwrap().parse().unwrap();
    // There is nothing nicer than 19.
    let wanted = (own + 10).min(19);
    let source = "import os\nraise SystemExit('nice %d' % os.getpriority(os.PRIO_PROCESS, 0))\n";
    let report = fixture.run(source).await.report;
    assert_eq!(codes(&report), [("script_exit".to_owned(), Some(2))]);
    let message = &report.findings[0].message;
    assert!(message.ends_with(&format!(": nice {wanted}")), "{message}");
}

#[tokio::test]
async fn the_python_files_of_a_simulation_are_compiled_before_it_starts() {
    let fixture = Fixture::new();
    let source = "\
import os, sys
library = os.path.dirname(os.path.dirname(sys.modules['beamq_dryrun'].__file__))
ours = [module for module in list(sys.modules.values()) if (getattr(module, '__file__', None) or '').startswith(library)]
ours = [module for module in ours if module.__spec__ is not None]
missing = [module.__name__ for module in ours if not os.path.isfile(module.__spec__.cached)]
raise SystemExit('%d of ours, not compiled: %s' % (min(len(ours), 10), missing))
";
    let report = fixture.run(source).await.report;
    let message = &report.findings[0].message;
    assert!(message.ends_with(": 10 of ours, not compiled: []"), "{message}");
}

#[tokio::test]
async fn the_python_files_of_the_catalogue_are_compiled_before_a_simulation_and_again_when_they_change() {
    let yaml = "catalogue: 1\ncommands:\n  settle:\n    summary: Settles.\n    implementation: lab.real:settle\n    \
        simulate: lab.hooks:settle\n";
    let fixture = Fixture::with(yaml, &[]);
    let lab = fixture.folders[0].join("lab");
    std::fs::create_dir(&lab).unwrap();
    let hooks = |seconds: u32| {
        std::fs::write(
            lab.join("hooks.py"),
            format!("import time\ndef settle():\n    time.sleep({seconds})\n"),
        )
    };
    std::fs::write(lab.join("__init__.py"), "").unwrap();
    hooks(60).unwrap();
    let script = "from beamq.commands import settle\nsettle()\n";
    assert_eq!(expected(&fixture.good(script).await), 60.0);
    let compiled = || {
        let files = std::fs::read_dir(lab.join("__pycache__")).into_iter().flatten().flatten();
        let hooks = files.filter(|file| file.file_name().to_string_lossy().starts_with("hooks."));
        hooks.map(|file| std::fs::read(file.path()).unwrap()).collect::<Vec<_>>()
    };
    let first = compiled();
    assert_eq!(first.len(), 1, "it is there before any job has imported it");
    hooks(3600).unwrap();
    // Python looks at the second in which a file was written before it compiles it anew.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    std::fs::File::options().write(true).open(lab.join("hooks.py")).unwrap().set_modified(later).unwrap();
    assert_eq!(expected(&fixture.good(script).await), 3600.0);
    assert_ne!(compiled(), first);
}

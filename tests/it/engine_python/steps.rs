//! Steps, lines and percentages.

use beamq::engine::OutputStream;
use beamq_machines::{Basis, Ending};

use super::fixture::Engine;

#[tokio::test]
async fn cells_are_steps_and_change_neither_lines_nor_meaning() {
    let mut engine = Engine::start();
    let told = engine
        .run("# %% Set up [beamq] estimate=\"1 min\"\n\"\"\"Docstring.\"\"\"\nfrom __future__ import annotations\nprint(__doc__)\n# %% Run [beamq] estimate=\"3 min\"\ntext = '''\n# %% not a cell\n'''\n# %% [markdown]\n# words\n# %%\nraise ValueError(text)\n")
        .await;
    let mut steps: Vec<_> = told.progress.iter().filter_map(|progress| progress.step.clone()).collect();
    steps.dedup();
    assert_eq!(steps.first().map(String::as_str), Some("Set up"));
    assert_eq!(told.stdout(), ["Docstring."]);
    assert_eq!(told.end().report.line, Some(12));
}

#[tokio::test]
async fn percent_comes_from_cells_tags_and_loops_and_never_falls() {
    for (source, basis) in [
        (
            "import time\n# %% A [beamq] estimate=\"1 min\"\ntime.sleep(0.2)\n# %% B [beamq] estimate=\"3 min\"\ntime.sleep(0.2)\n",
            Basis::Cells,
        ),
        (
            "import time\n# %% A [beamq] progress=10\ntime.sleep(0.2)\n# %% B [beamq] progress=25\ntime.sleep(0.2)\n",
            Basis::Tags,
        ),
        ("import beamq, time\nfor i in beamq.track(range(4)):\n    time.sleep(0.15)\n", Basis::Loop),
        (
            "import beamq, time\nfor i in (1, 3, 2):\n    beamq.progress(i, 4, 'part')\n    time.sleep(0.15)\n",
            Basis::Tags,
        ),
    ] {
        let mut engine = Engine::start();
        let told = engine.run(source).await;
        let percents: Vec<f64> = told.progress.iter().filter_map(|progress| progress.percent).collect();
        assert!(percents.contains(&25.0), "{percents:?} of {source}");
        assert!(percents.windows(2).all(|pair| pair[0] <= pair[1]), "{percents:?}");
        assert!(percents.iter().all(|&percent| percent < 100.0));
        assert!(told.progress.iter().any(|progress| progress.basis == basis), "{source}");
    }
}

#[tokio::test]
async fn a_malformed_marker_is_a_note_with_the_nearest_key() {
    let mut engine = Engine::start();
    let told = engine
        .run("# %% A [beamq] estimat=\"1 min\" pause=maybe progress=140\nx = 1\nif x:\n    # %% inner\n    x = 2\n# %% B [beamqq]\n# %% C [beamq] estimate=soon rubbish\nx = 3\n")
        .await;
    assert_eq!(told.end().ending, Ending::Completed);
    let notes = told.texts(OutputStream::Note).join("\n");
    for expected in [
        "line 1: unknown key 'estimat' in the cell marker; did you mean 'estimate'?",
        "line 1: pause='maybe'",
        "line 1: progress='140'",
        "line 4: a cell marker within a block",
        "line 6: unknown tag [beamqq]",
        "line 7: estimate='soon'",
        "line 7: 'rubbish'",
    ] {
        assert!(notes.contains(expected), "{expected} in {notes}");
    }
}

#[tokio::test]
async fn a_marker_whose_tag_is_misshapen_is_a_note_and_not_a_silent_title() {
    let mut engine = Engine::start();
    let told = engine
        .run("# %% A [beamq estimate=\"10 min\"]\nx = 1\n# %% B [beamq estimate=\"10 min\"\nx = 2\n# %% C [BEAMQ] PAUSE=true\nx = 3\n# %% D (beamq) pause=true\nx = 4\n# %% The beamq of today\nx = 5\n")
        .await;
    assert_eq!(told.end().ending, Ending::Completed);
    let notes = told.texts(OutputStream::Note);
    for (line, expected) in [
        (1, "the tag stands alone in its brackets, before the options: [beamq] estimate="),
        (3, "the tag stands alone in its brackets, before the options: [beamq] estimate="),
        (5, "unknown tag [BEAMQ]; did you mean [beamq]?"),
        (7, "the tag stands alone in its brackets, before the options: [beamq] pause="),
    ] {
        let expected = format!("line {line}: {expected}");
        assert!(notes.iter().any(|note| note.starts_with(&expected)), "{expected} in {notes:#?}");
    }
    assert_eq!(notes.len(), 4, "words of a title are nobody's business: {notes:#?}");

    let told = engine.run("# %% A [beamq] PAUSE=true\nx = 1\n").await;
    let notes = told.texts(OutputStream::Note);
    assert_eq!(notes, ["line 1: unknown key 'PAUSE' in the cell marker; did you mean 'pause'?"]);
}

#[tokio::test]
async fn an_estimate_is_understood_without_its_quotes() {
    let mut engine = Engine::start();
    let told = engine
        .run("import time\n# %% A [beamq] estimate=30 min pause=true\ntime.sleep(0.2)\n# %% B [beamq] estimate=1.5 h\ntime.sleep(0.2)\n")
        .await;
    assert_eq!(told.texts(OutputStream::Note), [""; 0]);
    let percents: Vec<f64> = told.progress.iter().filter_map(|progress| progress.percent).collect();
    assert!(percents.contains(&25.0), "30 min of 2 h: {percents:?}");
}

#[tokio::test]
async fn a_title_may_have_words_in_brackets_before_the_tag() {
    let mut engine = Engine::start();
    let told = engine
        .run("import time\n# %% Angle [deg] [beamq] progress=25\ntime.sleep(0.2)\n# %% Field [mT]\ntime.sleep(0.2)\n")
        .await;
    assert_eq!(told.texts(OutputStream::Note), [""; 0]);
    for step in ["Angle [deg]", "Field [mT]"] {
        assert!(told.progress.iter().any(|told| told.step.as_deref() == Some(step)), "{:?}", told.progress);
    }
    assert!(told.progress.iter().any(|progress| progress.percent == Some(25.0)), "{:?}", told.progress);
}

#[tokio::test]
async fn the_line_and_the_wait_are_seen_without_any_help_of_the_script() {
    let mut engine = Engine::start();
    engine.submit("import time\ndef measure():\n    time.sleep(30)\n\nmeasure()\n");
    engine
        .until(|told| {
            told.progress.iter().any(|progress| {
                progress.line == Some(3)
                    && progress.command.as_deref() == Some("time.sleep(30)")
                    && progress.remaining.as_deref().is_some_and(|remaining| remaining.ends_with("of 30 s"))
            })
        })
        .await;
}

#[tokio::test]
async fn the_beamq_module_knows_its_job_and_records_notes() {
    let mut engine = Engine::start();
    let told = engine
        .run("import beamq\nprint(beamq.job)\nprint(beamq.in_dry_run)\nbeamq.checkpoint('aligned', angle=0.5)\nwith beamq.step('Outer'):\n    beamq.note('hello')\nbeamq.pause_point('here')\nbeamq.sleep(0.01)\nprint(list(beamq.track(iter('ab'), text='letters')))\n")
        .await;
    assert_eq!(
        told.stdout(),
        ["Job(id='1', name='test', owner='ada', tags=('quick',), group='series')", "False", "['a', 'b']"]
    );
    assert_eq!(told.texts(OutputStream::Note), ["checkpoint aligned: angle=0.5", "hello"]);
    assert!(told.progress.iter().any(|progress| progress.step.as_deref() == Some("Outer")));
}

//! The journal's promises, on real files.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::*;
use crate::engine::{OutputLine, OutputStream};

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("beamq.db");
    Place { _folder: folder, path }
}

fn fact(seq: u64) -> FactRow {
    FactRow { seq, time_ms: 1_000 + i64::try_from(seq).unwrap(), json: format!("{{\"n\":{seq}}}") }
}

fn facts(range: std::ops::RangeInclusive<u64>) -> Batch {
    Batch { facts: range.map(fact).collect(), ..Batch::default() }
}

fn job(id: u64, name: &str, state: &str, finished_ms: Option<i64>) -> JobRow {
    JobRow {
        id,
        state: state.into(),
        owner: "ada".into(),
        name: name.into(),
        submitted_ms: 1_000,
        finished_ms,
        json: json!({"id": id.to_string(), "name": name}).to_string(),
        ..JobRow::default()
    }
}

fn lines(range: std::ops::RangeInclusive<u64>) -> Arc<Vec<OutputLine>> {
    let line =
        |n: u64| OutputLine { n, time_ms: 5, stream: OutputStream::Stdout, text: format!("line {n} µ") };
    Arc::new(range.map(line).collect())
}

fn output(job: u64, range: std::ops::RangeInclusive<u64>, dropped: u64) -> Batch {
    Batch { output: vec![OutputRow { job, lines: lines(range), dropped }], ..Batch::default() }
}

fn events(range: std::ops::RangeInclusive<u64>) -> Batch {
    let event = |seq| EventRow { seq, kind: "job", time_ms: 7, json: format!("event {seq}").into() };
    Batch { events: range.map(event).collect(), ..Batch::default() }
}

async fn names(journal: &Journal, query: HistoryQuery) -> Vec<String> {
    let page = journal.history(HistoryQuery { limit: 100, ..query }).await.unwrap();
    let name = |json: &String| serde_json::from_str::<serde_json::Value>(json).unwrap()["name"].clone();
    page.jobs.iter().map(|json| name(json).as_str().unwrap().to_owned()).collect()
}

/// Waits until another process or thread has let go of the file.
async fn reopen(path: &Path) -> (Journal, Replay) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Journal::open(path) {
            Ok(opened) => return opened,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_new_journal_is_empty_private_and_counts_as_cleanly_closed() {
    let place = place();
    let (journal, replay) = Journal::open(&place.path).unwrap();
    assert_eq!(replay, Replay { clean_shutdown: true, ..Replay::default() });
    journal.commit(facts(1..=3)).await.unwrap();
    for entry in std::fs::read_dir(place.path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    journal.close().await.unwrap();
}

#[tokio::test]
async fn what_was_committed_comes_back_in_order_after_a_clean_close() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=2)).await.unwrap();
    journal.commit(facts(3..=3)).await.unwrap();
    journal.append_lazily(events(1..=9));
    journal.close().await.unwrap();

    let (_journal, replay) = Journal::open(&place.path).unwrap();
    let expected = (1..=3).map(|seq| (seq, 1_000 + seq as i64, format!("{{\"n\":{seq}}}"))).collect();
    let clean =
        Replay { facts: expected, last_fact_seq: 3, last_event_seq: 9, clean_shutdown: true, snapshot: None };
    assert_eq!(replay, clean);
}

#[tokio::test]
async fn without_a_close_the_next_server_knows_and_event_numbers_never_come_again() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=1)).await.unwrap();
    journal.commit(events(1..=5)).await.unwrap();
    drop(journal);
    let (journal, replay) = reopen(&place.path).await;
    assert!(!replay.clean_shutdown);
    assert_eq!(replay.last_fact_seq, 1);
    assert!(replay.last_event_seq >= 5 + 600_000, "more than can have waited: {}", replay.last_event_seq);
    drop(journal);
    let (_, second) = reopen(&place.path).await;
    assert!(second.last_event_seq > replay.last_event_seq);
}

#[tokio::test]
async fn a_gap_in_the_facts_is_refused_and_leaves_nothing() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=2)).await.unwrap();
    let mut batch = facts(4..=4);
    batch.jobs.push(job(1, "lost", "failed", Some(1)));
    let error = journal.commit(batch).await.unwrap_err();
    assert_eq!(error.code(), "journal_facts_out_of_order");
    assert!(error.to_string().starts_with("fact 4 was to be committed where fact 3 belongs in "), "{error}");
    assert_eq!(journal.job(1).await.unwrap(), None);
    journal.commit(facts(3..=3)).await.unwrap();
}

#[tokio::test]
async fn after_a_failure_everything_with_later_numbers_is_refused_until_the_hole_is_filled() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=1)).await.unwrap();
    // All of these are queued before the first is answered, some of them in one transaction.
    let pipelined =
        [2..=3, 5..=5, 6..=6, 4..=4, 6..=6, 5..=7, 9..=9].map(|range| journal.commit(facts(range)));
    let outcomes = futures_util::future::join_all(pipelined).await;
    let stored: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, false, false, true, false, true, false]);
    journal.close().await.unwrap();
    let (_journal, replay) = Journal::open(&place.path).unwrap();
    assert_eq!(replay.facts.iter().map(|(seq, ..)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn commits_take_effect_in_the_order_of_the_calls_whoever_polls_first() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    let waiting: Vec<_> = (1..=200).map(|seq| journal.commit(facts(seq..=seq))).collect();
    for commit in waiting.into_iter().rev() {
        commit.await.unwrap();
    }
    journal.close().await.unwrap();
    assert_eq!(journal.commit(facts(201..=201)).await.unwrap_err().code(), "journal_closed");
    let (_journal, replay) = Journal::open(&place.path).unwrap();
    assert_eq!(replay.last_fact_seq, 200);
}

#[tokio::test]
async fn a_snapshot_replaces_the_facts_that_it_covers() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=10)).await.unwrap();
    let beyond = journal.write_snapshot(11, "{}".into()).await.unwrap_err();
    assert_eq!(beyond.code(), "journal_snapshot_beyond_facts");
    journal.write_snapshot(4, "first".into()).await.unwrap();
    journal.write_snapshot(8, "second".into()).await.unwrap();
    journal.close().await.unwrap();

    let (journal, replay) = Journal::open(&place.path).unwrap();
    assert_eq!(replay.snapshot, Some((8, "second".into())));
    assert_eq!(replay.facts.iter().map(|(seq, ..)| *seq).collect::<Vec<_>>(), [9, 10]);
    journal.write_snapshot(10, "third".into()).await.unwrap();
    journal.close().await.unwrap();
    let (journal, replay) = Journal::open(&place.path).unwrap();
    assert_eq!((replay.facts.len(), replay.last_fact_seq), (0, 10));
    journal.commit(facts(11..=11)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_commits_go_on_when_there_is_room_again() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=1)).await.unwrap();
    journal.set_pragma("max_page_count", 1).await;
    let mut big = facts(2..=2);
    big.facts[0].json = "x".repeat(1 << 20);
    let error = journal.commit(big).await.unwrap_err();
    assert_eq!(error.code(), "journal_disk_full");
    assert!(error.to_string().contains("is full; free some space"), "{error}");
    journal.append_lazily(output(1, 1..=20_000, 0));
    assert_eq!(journal.output(1, 1, 10).await.unwrap().lines, [], "the disk has no room for it yet");

    journal.set_pragma("max_page_count", 1 << 30).await;
    journal.commit(facts(2..=2)).await.unwrap();
    assert_eq!(journal.output_size(1).await.unwrap().lines, 20_000, "what waited was not lost");
}

#[tokio::test]
async fn output_is_read_back_by_line_number_from_any_place() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    for first in (1..=200_000).step_by(500) {
        journal.append_lazily(output(7, first..=first + 499, 0));
    }
    journal.append_lazily(output(8, 1..=2, 0));
    journal.append_lazily(Batch {
        output: vec![OutputRow { job: 7, lines: Arc::default(), dropped: 33 }],
        ..Batch::default()
    });

    let page = journal.output(7, 1, 3).await.unwrap();
    assert_eq!((page.lines, page.next, page.dropped), (lines(1..=3).to_vec(), 4, 33));
    let page = journal.output(7, 123_456, 2).await.unwrap();
    assert_eq!((page.lines, page.next), (lines(123_456..=123_457).to_vec(), 123_458));
    let end = journal.output(7, 200_001, 100).await.unwrap();
    assert_eq!((end.lines.len(), end.next), (0, 200_001));
    let size = journal.output_size(7).await.unwrap();
    assert_eq!((size.lines, size.dropped), (200_000, 33));

    let (mut next, mut read) = (1, 0);
    while next <= 200_000 {
        let page = journal.output(7, next, 50_000).await.unwrap();
        assert!(page.lines.iter().zip(next..).all(|(line, n)| line.n == n), "no line is missing or twice");
        (next, read) = (page.next, read + page.lines.len());
    }
    assert_eq!(read, 200_000);
    assert_eq!(journal.output(99, 1, 10).await.unwrap(), OutputPage { next: 1, ..OutputPage::default() });
}

#[tokio::test]
async fn the_newest_events_are_kept_for_those_who_resume() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    for first in (1..=60_000).step_by(1_000) {
        journal.append_lazily(events(first..=first + 999));
    }
    let after = journal.events_after(59_998, 10).await.unwrap();
    assert_eq!(after.iter().map(|event| event.seq).collect::<Vec<_>>(), [59_999, 60_000]);
    assert_eq!(after[0].json, "event 59999");
    let oldest = journal.events_after(0, 1).await.unwrap()[0].seq;
    assert!((9_500..=10_001).contains(&oldest), "50 000 and a few are kept: {oldest}");
}

#[tokio::test]
async fn the_history_is_searched_by_state_owner_text_and_time() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    let cooled = JobRow { tags: vec!["Cryo".into()], ..job(1, "cool", "succeeded", Some(100)) };
    let broken =
        JobRow { message: Some("ÄRGER mit 50% der Achse".into()), ..job(2, "scan", "failed", Some(200)) };
    let script: Arc<str> = "cset('phi', 90)".into();
    let other =
        JobRow { owner: "bob".into(), script: Some(script), ..job(3, "turn", "succeeded", Some(300)) };
    let waiting = job(4, "later", "queued", None);
    journal
        .commit(Batch { jobs: vec![cooled, broken, other.clone(), waiting], ..Batch::default() })
        .await
        .unwrap();

    let all = HistoryQuery::default;
    let text = |text: &str| HistoryQuery { text: Some(text.into()), ..all() };
    let states = |state: &str| HistoryQuery { state: vec![state.into()], ..all() };
    assert_eq!(names(&journal, all()).await, ["turn", "scan", "cool"]);
    assert_eq!(names(&journal, states("failed")).await, ["scan"]);
    assert_eq!(names(&journal, states("queued")).await, ["later"]);
    assert_eq!(names(&journal, HistoryQuery { owner: Some("bob".into()), ..all() }).await, ["turn"]);
    assert_eq!(names(&journal, text("CRYO")).await, ["cool"]);
    assert_eq!(names(&journal, text("ärger")).await, ["scan"]);
    assert_eq!(names(&journal, text("50% der")).await, ["scan"]);
    assert_eq!(names(&journal, text("%")).await, ["scan"]);
    assert_eq!(names(&journal, text("PHI")).await, ["turn"]);
    let between = HistoryQuery { since_ms: Some(150), until_ms: Some(200), ..all() };
    assert_eq!(names(&journal, between).await, ["scan"]);

    let first = journal.history(HistoryQuery { limit: 2, ..all() }).await.unwrap();
    assert_eq!((first.jobs.len(), first.more), (2, true));
    let rest = journal.history(HistoryQuery { limit: 2, before: Some(2), ..all() }).await.unwrap();
    assert_eq!((rest.jobs.len(), rest.more), (1, false));

    // An update that brings no script keeps the one that is stored.
    let renamed = JobRow { name: "turned".into(), script: None, ..other };
    let renamed = JobRow { json: json!({"name": "turned"}).to_string(), ..renamed };
    journal.commit(Batch { jobs: vec![renamed], ..Batch::default() }).await.unwrap();
    assert_eq!(names(&journal, text("phi")).await, ["turned"]);
    assert_eq!(journal.job(3).await.unwrap().unwrap().json, r#"{"name":"turned"}"#);
    assert_eq!(journal.job(5).await.unwrap(), None);
}

#[tokio::test]
async fn the_audit_says_who_did_what_newest_first() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    let entry = |time_ms, user: &str| AuditRow {
        time_ms,
        user: user.into(),
        role: "user".into(),
        client: "gui at 127.0.0.1:5".into(),
        transport: "embedded".into(),
        method: "queue.move".into(),
        outcome: "ok".into(),
        before: Some(json!(["1", "2"])),
        after: None,
    };
    let audit = vec![entry(1, "ada"), entry(2, "bob"), entry(3, "ada")];
    journal.append_lazily(Batch { audit, ..Batch::default() });
    let by_ada = AuditQuery { user: Some("ada".into()), limit: 10, ..AuditQuery::default() };
    assert_eq!(journal.audit(by_ada).await.unwrap(), [entry(3, "ada"), entry(1, "ada")]);
    let since = AuditQuery { since_ms: Some(2), until_ms: Some(2), limit: 10, ..AuditQuery::default() };
    assert_eq!(journal.audit(since).await.unwrap(), [entry(2, "bob")]);
}

#[tokio::test]
async fn pruning_takes_what_is_old_with_its_output_and_leaves_what_is_not_finished() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    let day: i64 = 24 * 3600 * 1000;
    let mut batch = Batch::default();
    batch.jobs.extend((1..=120).map(|id| job(id, "old", "succeeded", Some(day))));
    batch.jobs.push(job(121, "recent", "failed", Some(9 * day)));
    batch.jobs.push(job(122, "waiting", "queued", None));
    batch.output.extend((1..=121).map(|job| OutputRow { job, lines: lines(1..=5), dropped: 0 }));
    batch.audit.push(AuditRow { time_ms: day, ..AuditRow::default() });
    batch.audit.push(AuditRow { time_ms: 9 * day, ..AuditRow::default() });
    journal.commit(batch).await.unwrap();
    journal.commit(events(1..=3)).await.unwrap();

    let pruned = journal.prune(Some(Duration::from_secs(5 * 24 * 3600)), None, 10 * day).await.unwrap();
    assert_eq!(pruned, Pruned { jobs: 120, events: 3, audit: 1 });
    assert_eq!(names(&journal, HistoryQuery::default()).await, ["recent"]);
    assert!(journal.job(122).await.unwrap().is_some());
    assert_eq!(journal.output_size(1).await.unwrap(), OutputSize::default());
    assert_eq!(journal.output(121, 1, 10).await.unwrap().lines.len(), 5);
    journal.commit(events(4..=4)).await.unwrap();
    assert_eq!(journal.events_after(0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn pruning_by_size_takes_the_oldest_jobs_and_never_the_newest() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    for id in 1..=4 {
        let finished = Some(i64::try_from(id).unwrap());
        let mut batch = Batch { jobs: vec![job(id, "big", "succeeded", finished)], ..Batch::default() };
        batch.output.push(OutputRow { job: id, lines: lines(1..=1000), dropped: 0 });
        journal.commit(batch).await.unwrap();
    }
    let one = journal.output_size(1).await.unwrap().bytes;
    let pruned = journal.prune(None, Some(10 * one), 100).await.unwrap();
    assert_eq!(pruned, Pruned::default(), "all of it fits");
    let pruned = journal.prune(None, Some(one * 5 / 2), 100).await.unwrap();
    assert_eq!(pruned, Pruned { jobs: 2, ..Pruned::default() });
    assert!(journal.job(2).await.unwrap().is_none() && journal.job(3).await.unwrap().is_some());
    assert_eq!(journal.output(2, 1, 10).await.unwrap().lines, []);
    journal.prune(None, Some(1), 100).await.unwrap();
    assert!(journal.job(3).await.unwrap().is_none() && journal.job(4).await.unwrap().is_some());
}

#[tokio::test]
async fn pruning_gives_the_space_back_to_the_disk() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    let mut batch = Batch { jobs: vec![job(1, "big", "succeeded", Some(0))], ..Batch::default() };
    batch.output.push(OutputRow { job: 1, lines: lines(1..=100_000), dropped: 0 });
    journal.commit(batch).await.unwrap();
    journal.close().await.unwrap();
    let size = || std::fs::metadata(&place.path).unwrap().len();
    let full = size();
    assert!(full > 2 << 20, "{full}");
    let (journal, _) = reopen(&place.path).await;
    journal.prune(Some(Duration::from_secs(1)), None, 1_000_000).await.unwrap();
    journal.close().await.unwrap();
    assert!(size() < full / 4, "{} of {full}", size());
}

#[tokio::test]
async fn a_clean_close_leaves_one_file() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=10)).await.unwrap();
    assert_eq!(journal.job(1).await.unwrap(), None);
    journal.close().await.unwrap();
    let (again, replay) = reopen(&place.path).await;
    assert!(replay.clean_shutdown);
    again.close().await.unwrap();
    drop((journal, again));
    let folder = place.path.parent().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::fs::read_dir(folder).unwrap().count() != 1 {
        assert!(Instant::now() < deadline, "side files stay");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn pages_that_were_overwritten_are_noticed_at_the_next_start() {
    use std::{io::Write, os::unix::fs::FileExt};
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=20_000)).await.unwrap();
    journal.close().await.unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(&place.path).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(&vec![0xA5; 8192], length / 2 / 4096 * 4096).unwrap();
    file.flush().unwrap();
    let error = Journal::open(&place.path).unwrap_err();
    assert_eq!(error.code(), "journal_damaged");
    assert!(error.to_string().contains("restore it from a backup, or move "), "{error}");
}

#[tokio::test]
async fn a_journal_of_format_1_is_read() {
    let place = place();
    let fixture = include_str!("../../tests/fixtures/journal/format-1.sql");
    rusqlite::Connection::open(&place.path).unwrap().execute_batch(fixture).unwrap();
    let (journal, replay) = Journal::open(&place.path).unwrap();
    assert_eq!(replay.snapshot, Some((2, r#"{"jobs":2}"#.into())));
    assert_eq!(replay.facts, [(3, 1_795_000_000_300, r#"{"fact":"three"}"#.into())]);
    assert_eq!((replay.last_event_seq, replay.clean_shutdown), (41, true));
    assert_eq!(names(&journal, HistoryQuery::default()).await, ["cool"]);
    let page = journal.output(1, 1, 10).await.unwrap();
    assert_eq!(page.lines[1].text, "it \"is\" cold: 5 K");
    assert_eq!(page.lines[1].stream, OutputStream::Stderr);
    assert_eq!(journal.durations().await.unwrap(), Durations::default());
    journal.commit(Batch { call_durations: vec![call(1, "cool", 61.0)], ..facts(4..=4) }).await.unwrap();
    assert_eq!(journal.durations().await.unwrap().calls.len(), 1);
}

fn call(job: u64, command: &str, active_s: f64) -> CallDurationRow {
    CallDurationRow {
        job,
        command: command.into(),
        arguments: r#"{"value":5}"#.into(),
        line: Some(3),
        started_ms: 1_000 * job as i64,
        active_s,
        predicted_s: Some(60.0),
    }
}

#[tokio::test]
async fn durations_are_kept_with_what_was_predicted_and_go_with_their_job() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    let took = |job: u64, complete: bool| JobDurationRow {
        job,
        body: "abc".into(),
        started_ms: 1_000,
        active_s: 61.5,
        predicted_s: None,
        complete,
    };
    let batch = Batch {
        jobs: vec![job(1, "old", "succeeded", Some(1_000)), job(2, "new", "failed", Some(9_000))],
        job_durations: vec![took(1, true), took(2, false)],
        call_durations: vec![call(1, "cool", 61.0), call(2, "cool", 62.0), call(2, "begin", 1.0)],
        ..Batch::default()
    };
    journal.commit(batch).await.unwrap();
    let kept = journal.durations().await.unwrap();
    assert_eq!(kept.jobs, [took(1, true)], "what did not come to its own end says nothing");
    assert_eq!(kept.calls, [call(1, "cool", 61.0), call(2, "cool", 62.0), call(2, "begin", 1.0)]);
    assert_eq!(journal.calls_of(2).await.unwrap(), [call(2, "cool", 62.0), call(2, "begin", 1.0)]);
    journal.prune(Some(Duration::from_secs(5)), None, 8_000).await.unwrap();
    let kept = journal.durations().await.unwrap();
    assert_eq!((kept.jobs.len(), kept.calls.len()), (0, 2));
}

#[tokio::test]
async fn of_each_command_the_newest_500_calls_are_kept() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    for part in 0..3_u64 {
        let calls = (0..300).map(|n| call(part, "cool", f64::from(n))).chain([call(part, "begin", 1.0)]);
        let batch = Batch { call_durations: calls.collect(), ..Batch::default() };
        journal.commit(batch).await.unwrap();
    }
    let kept = journal.durations().await.unwrap().calls;
    let cool: Vec<_> = kept.iter().filter(|call| call.command == "cool").collect();
    assert_eq!((cool.len(), kept.len()), (500, 503));
    assert_eq!((cool[0].job, cool[0].active_s), (1, 100.0), "the oldest went");
}

#[test]
fn what_is_not_a_journal_of_this_version_is_refused_with_advice_and_left_alone() {
    let refusal = |prepare: &dyn Fn(&Path)| {
        let place = place();
        prepare(&place.path);
        let before = std::fs::read(&place.path).unwrap();
        let error = Journal::open(&place.path).unwrap_err();
        assert_eq!(std::fs::read(&place.path).unwrap(), before, "the file is untouched");
        let message = error.to_string().replace(&place.path.display().to_string(), "DB");
        assert!(!message.contains('\n'));
        (error.code(), message)
    };
    let sql = |text: &'static str| {
        move |path: &Path| rusqlite::Connection::open(path).unwrap().execute_batch(text).unwrap()
    };
    assert_eq!(
        refusal(&sql("PRAGMA application_id = 0x6265616D; PRAGMA user_version = 99")),
        (
            "journal_newer_format",
            "DB has the journal format 99, and this version of beamq knows formats up to 2; start the version \
             of beamq that wrote it, or choose another folder with --data"
                .into()
        )
    );
    assert_eq!(
        refusal(&sql("CREATE TABLE cats (name TEXT)")),
        (
            "journal_not_a_journal",
            "DB is a database of another program; choose another folder with --data, or move this file away"
                .into()
        )
    );
    assert_eq!(
        refusal(&|path| std::fs::write(path, "this is text, and quite a lot of it ".repeat(200)).unwrap()),
        (
            "journal_damaged",
            "the journal DB is damaged (file is not a database); restore it from a backup, or move DB (and \
             DB-wal, DB-shm) aside to begin with an empty queue"
                .into()
        )
    );
}

#[tokio::test]
async fn a_fact_that_somebody_deleted_is_noticed() {
    let place = place();
    let (journal, _) = Journal::open(&place.path).unwrap();
    journal.commit(facts(1..=5)).await.unwrap();
    journal.close().await.unwrap();
    rusqlite::Connection::open(&place.path).unwrap().execute("DELETE FROM fact WHERE seq = 3", []).unwrap();
    let error = Journal::open(&place.path).unwrap_err();
    assert!(error.to_string().contains("is damaged (fact 3 is missing)"), "{error}");
}

#[test]
fn a_file_that_cannot_be_made_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("beamq.db");
    let error = Journal::open(&path).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

/// Not a test of its own: the child of the next test, which kills it.
#[tokio::test]
async fn child_that_commits_until_it_is_killed() {
    let Some(path) = std::env::var_os("BEAMQ_TEST_COMMIT_INTO") else { return };
    let (journal, replay) = Journal::open(Path::new(&path)).unwrap();
    for seq in replay.last_fact_seq + 1.. {
        journal.commit(facts(seq..=seq)).await.unwrap();
        println!("acknowledged {seq}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    use std::io::{BufRead, BufReader};
    let place = place();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::child_that_commits_until_it_is_killed", "--nocapture"])
            .env("BEAMQ_TEST_COMMIT_INTO", &place.path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.split("acknowledged ").nth(1)?.parse::<u64>().ok());
        let seen = numbers.by_ref().take(50).last().unwrap_or(0);
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = numbers.last().unwrap_or(seen);

        let (journal, replay) = Journal::open(&place.path).unwrap();
        assert!(!replay.clean_shutdown);
        assert!(replay.last_fact_seq >= acknowledged, "{} < {acknowledged}", replay.last_fact_seq);
        assert!((1..).zip(&replay.facts).all(|(expected, (seq, ..))| expected == *seq));
        drop(journal);
    }
    assert!(acknowledged >= 150, "each of the three children committed at least 50: {acknowledged}");
}

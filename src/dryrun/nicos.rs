//! Dry runs by NICOS: its own simulator, a process beside the daemon that starts from the instrument as it is.
//!
//! Each dry run has a connection of its own, on which nothing is heard but what dry runs tell, and a request id of
//! its own, by which its result is known among those of other clients. NICOS sets a dry run no limit of time, so one
//! is sent along with the script. Like every dry run, this one never fails: what happens to it becomes a finding.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    task,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{Host, diagnose_script_for};
use crate::{
    catalogue::Catalogue,
    nicos::{Connection, EventStream, Login, NicosError, NicosEvent, Options},
    protocol::view::{DeviceRange, DryRunReport, Finding, Seconds, Severity, Totals},
    wire::nicos::{Command, Event},
};

/// How long the script may run on virtual time, in seconds of real time.
const RUNS_AT_MOST_S: u64 = 10;
/// How long the whole may take: the simulator loads the instrument's setups first.
const ENDS_WITHIN: Duration = Duration::from_secs(120);
/// How often NICOS is asked whether the simulator still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What it has told before its end has arrived after this long.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// More messages than these are not kept.
const MOST_MESSAGES: usize = 2_000;
/// More findings than these are not told.
const MOST_FINDINGS: usize = 100;
/// How much shorter and longer than predicted a script may well take.
const SPREAD: (f64, f64) = (0.9, 1.2);
/// The levels of NICOS's messages that are findings.
const WARNING: i64 = 30;
const ERROR: i64 = 40;
/// How the message begins that ends a dry run badly.
const RAISED: &str = "Exception in dry run - ";
/// How messages begin that tell why the simulator did not come to the script.
const NOT_SET_UP: [&str; 2] = ["Exception in dry run setup", "Fatal error while initializing"];
/// What NICOS calls a move beyond limits.
const BEYOND_LIMITS: &str = "Out of bounds";

/// The codes of findings that only dry runs in NICOS make.
pub const CODES: [&str; 2] = ["nicos_warning", "starts_from_now"];

/// The codes of findings that say what a message of NICOS says.
pub const IN_ITS_WORDS: [&str; 3] = ["script_error", "command_error", "nicos_warning"];

/// Has scripts run by NICOS's simulator, one at a time.
#[derive(Debug)]
pub struct NicosSimulator {
    host: String,
    port: u16,
    login: Login,
    places: Semaphore,
}

/// What a dry run in NICOS showed.
#[derive(Clone, Debug)]
pub struct NicosRun {
    /// What is told to people and clients.
    pub report: DryRunReport,
    /// What NICOS told in its own words.
    pub told: Told,
}

/// What NICOS told in its own words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Its messages: `[logger, time, level, text, null]`. What it adds to errors, the values of variables, is left
    /// out.
    pub messages: Vec<Value>,
    /// Its ranges of devices: `{name: [value, min, max, aliases]}`.
    pub devices: Option<Value>,
}

/// Why there is no result.
enum Stopped {
    /// It has to do with NICOS and not with the script.
    NotRun(String),
    /// NICOS does not take the script.
    Refused(String),
    /// It did not come to its end in time.
    TooLong,
    /// The simulator ended and told nothing.
    Early,
}

/// What is to be said of a job that others come before: NICOS does not know how they leave the instrument.
#[must_use]
pub fn starts_from_now() -> Finding {
    let message = "NICOS's dry run begins with the instrument as it is now, and not as the jobs before this one leave it";
    let hint = "where it depends on them, look again when its turn has come";
    Finding { hint: Some(hint.into()), ..Finding::new(Severity::Note, CODES[1], message.to_owned()) }
}

impl NicosSimulator {
    /// A simulator that logs in to this daemon.
    #[must_use]
    pub fn new(host: String, port: u16, login: Login) -> Self {
        Self { host, port, login, places: Semaphore::new(1) }
    }

    /// Has NICOS run a script on virtual time. A future that is dropped lets the simulator run to its limit.
    pub async fn simulate(&self, name: &str, source: &Arc<str>, catalogue: &Arc<Catalogue>) -> NicosRun {
        let _place = self.places.acquire().await.ok();
        let (text, known) = (Arc::clone(source), Arc::clone(catalogue));
        let reading =
            task::spawn_blocking(move || diagnose_script_for(Host::Nicos, "<script>", &text, &known));
        let mut account = Account::default();
        let running = async {
            if let Err(stopped) = self.run(name, source, &mut account).await {
                account.stopped(stopped);
            }
        };
        let (found, ()) = tokio::join!(reading, running);
        let found = found.unwrap_or_default();
        account.close(found.iter().map(|one| Finding { file: None, ..one.finding() }).collect())
    }

    async fn run(&self, name: &str, source: &str, account: &mut Account) -> Result<(), Stopped> {
        let unwanted = |event: &Event| !matches!(event, Event::SimMessage | Event::SimResult);
        let mask = Event::ALL.iter().copied().filter(unwanted).collect();
        let options = Options { mask, ..Options::default() };
        let opened = Connection::open(&self.host, self.port, &self.login, options).await;
        let (nicos, mut events) = opened.map_err(|error| Stopped::NotRun(error.to_string()))?;
        let ended = follow(&nicos, &mut events, name, source, account).await;
        nicos.quit().await;
        ended
    }
}

/// Starts the dry run and hears it to its end.
async fn follow(
    nicos: &Connection,
    events: &mut EventStream,
    name: &str,
    source: &str,
    account: &mut Account,
) -> Result<(), Stopped> {
    account.confined = asked(nicos, "__import__('nicos').config.sandbox_simulation").await;
    let id = request_id().map_err(|error| Stopped::NotRun(error.to_string()))?;
    let script = json!(format!("{}{source}\n", guard()));
    match nicos.call(Command::Simulate, &[json!(name), script, json!(id)]).await {
        Ok(_) => {}
        Err(NicosError::Refused { text, .. }) => return Err(refusal(&text)),
        Err(error) => return Err(Stopped::NotRun(error.to_string())),
    }
    let runs = format!("any({id:?} in getattr(t, '_args', ()) for t in __import__('threading').enumerate())");
    let give_up = Instant::now() + ENDS_WITHIN;
    let mut settled = None;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            event = events.next() => match event {
                Some(event) => if account.hear(&event, &id) {
                    return Ok(());
                },
                None => return Err(Stopped::NotRun(nicos.closed().await.to_string())),
            },
            () = sleep_until(settled.unwrap_or(give_up)) => {
                let endless = settled.is_none() || account.has_run_out();
                return Err(if endless { Stopped::TooLong } else { Stopped::Early });
            }
            _ = looks.tick(), if settled.is_none() => if asked(nicos, &runs).await == Some(false) {
                settled = Some(Instant::now() + SETTLED_AFTER);
            },
        }
    }
}

/// What goes before the script: the simulator gives way to everything else, and ends itself when it takes too long.
/// It is a line of its own, since the script's first line may be the beginning of anything.
fn guard() -> String {
    format!("__import__('os').nice(10) + __import__('signal').alarm({RUNS_AT_MOST_S})\n")
}

/// How many lines the guard has.
const GUARD_LINES: u32 = 1;

/// A question whose answer is yes or no; `None` when NICOS does not say.
async fn asked(nicos: &Connection, expression: &str) -> Option<bool> {
    nicos.call(Command::Eval, &[json!(expression), json!(false)]).await.ok()?.as_bool()
}

/// An id that nobody else has: a UUID of version 4.
fn request_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts = parts.map(|(from, to)| hex.get(from..to).unwrap_or_default());
    Ok(parts.join("-"))
}

/// Whether NICOS refuses the script, or dry runs altogether.
fn refusal(text: &str) -> Stopped {
    let why = text.strip_prefix("exception raised running simulation: ").unwrap_or(text);
    if why.starts_with("cannot start dry run") || why.starts_with("Dry run is configured") {
        return Stopped::NotRun(why.to_owned());
    }
    Stopped::Refused(why.to_owned())
}

/// What NICOS has told of a dry run so far.
#[derive(Debug, Default)]
struct Account {
    told: Told,
    findings: Vec<Finding>,
    /// When the script began, as far as it is known: the simulator is silent while it loads the setups.
    set_up: Option<Instant>,
    seconds: Option<f64>,
    devices: Vec<DeviceRange>,
    cut_short: bool,
    /// Whether NICOS runs dry runs in its sandbox.
    confined: Option<bool>,
    /// Whether the script was run at all.
    ran: bool,
}

impl Account {
    /// Takes an event in. Whether it was the result.
    fn hear(&mut self, event: &NicosEvent, id: &str) -> bool {
        // A value that cannot be read belongs to a script that goes to the limits; its end is heard all the same.
        let Ok(value) = event.value() else { return false };
        let Some(items) = value.as_array() else { return false };
        if items.last().and_then(Value::as_str) != Some(id) {
            return false;
        }
        match (event.event, items.as_slice()) {
            (Event::SimMessage, [logger, time, level, text, traceback, _]) => {
                self.set_up.get_or_insert_with(Instant::now);
                let text = shifted(text.as_str().unwrap_or_default());
                if self.told.messages.len() < MOST_MESSAGES {
                    self.told.messages.push(json!([logger, time, level, text, null]));
                }
                let level = level.as_i64().unwrap_or_default();
                if level >= WARNING {
                    self.note(level, text.trim_end(), traceback.as_str().unwrap_or_default());
                }
                false
            }
            (Event::SimResult, [seconds, devices, _]) => {
                self.ended(seconds.as_f64().unwrap_or(-1.0), devices);
                true
            }
            _ => false,
        }
    }

    fn has_run_out(&self) -> bool {
        self.set_up.is_some_and(|since| since.elapsed().as_secs() >= RUNS_AT_MOST_S)
    }

    fn note(&mut self, level: i64, text: &str, traceback: &str) {
        if let Some(start) = NOT_SET_UP.iter().find(|start| text.starts_with(**start)) {
            let why = text.strip_prefix(start).unwrap_or(text).trim_start_matches([' ', '-', ':']);
            return self.stopped(Stopped::NotRun(format!("NICOS's simulator could not be set up: {why}")));
        }
        let raised = text.strip_prefix(RAISED);
        let mut finding = match raised {
            Some(raised) => of_error(raised),
            None if level >= ERROR => Finding::new(Severity::Error, "command_error", text.to_owned()),
            None => Finding::new(Severity::Warning, CODES[0], text.to_owned()),
        };
        finding.line = finding.line.or_else(|| line_in_script(traceback));
        if let Some(device) = raised.and_then(beyond_limits) {
            self.devices.push(DeviceRange { limit_hit: true, ..range(device) });
        }
        self.find(finding);
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < MOST_FINDINGS && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn ended(&mut self, seconds: f64, devices: &Value) {
        if self.findings.iter().any(|finding| finding.code == "not_simulated") {
            return;
        }
        self.ran = true;
        self.seconds = Some(seconds).filter(|seconds| *seconds >= 0.0);
        for (name, told) in devices.as_object().into_iter().flatten() {
            let number = |n: usize| match told.get(n)? {
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_f64(),
            };
            let known = self.devices.iter_mut().find(|device| device.name == *name);
            let found = DeviceRange { end: number(0), min: number(1), max: number(2), ..range(name) };
            match known {
                Some(known) => *known = DeviceRange { limit_hit: known.limit_hit, ..found },
                None => self.devices.push(found),
            }
        }
        self.told.devices = Some(devices.clone());
        if self.seconds.is_none() && self.findings.iter().all(|one| one.severity != Severity::Error) {
            let message = "NICOS's dry run failed and did not say why".to_owned();
            self.find(Finding::new(Severity::Error, "script_error", message));
        }
    }

    fn stopped(&mut self, why: Stopped) {
        if self.findings.iter().any(|finding| finding.code == "not_simulated") {
            return;
        }
        let finding = match why {
            Stopped::NotRun(why) => {
                let message = format!("the script was not run: {why}");
                Finding::new(Severity::Warning, "not_simulated", message)
            }
            Stopped::Refused(why) => of_error(&shifted(&why)),
            Stopped::TooLong => {
                self.cut_short = true;
                let message = format!("after {RUNS_AT_MOST_S} s of the simulation the script has not ended");
                let hint = "the dry run ends here; the script may well be right";
                Finding { hint: Some(hint.into()), ..Finding::new(Severity::Error, "too_long", message) }
            }
            Stopped::Early => {
                self.cut_short = true;
                let message = "NICOS's simulator ended early and did not say why".to_owned();
                let hint = "the log of the NICOS daemon may have more; does <root of NICOS>/bin/nicos-simulate exist?";
                Finding { hint: Some(hint.into()), ..Finding::new(Severity::Warning, "ended_early", message) }
            }
        };
        self.find(finding);
    }

    /// The report. `found` is what reading the script has found.
    fn close(mut self, found: Vec<Finding>) -> NicosRun {
        if self.ran && self.confined != Some(true) {
            let message = "NICOS runs dry runs without its sandbox: its devices are simulated, and whatever else the \
                           script does has really happened";
            let hint = "sandbox_simulation in nicos.conf; look at docs/nicos.md";
            let finding = Finding::new(Severity::Note, "confinement", message.to_owned());
            self.find(Finding { hint: Some(hint.into()), ..finding });
        }
        let mut findings = found;
        for finding in self.findings {
            let same = |known: &Finding| {
                known.line == finding.line
                    && (known.code == finding.code
                        || known.severity == Severity::Error && finding.severity == Severity::Error)
            };
            if !findings.iter().any(same) {
                findings.push(finding);
            }
        }
        findings.sort_by_key(|finding| finding.line.unwrap_or(0));
        let seconds = Seconds {
            low: self.seconds.map(|seconds| seconds * SPREAD.0),
            expected: self.seconds,
            high: self.seconds.map(|seconds| seconds * SPREAD.1),
            at_least: self.seconds.is_none(),
        };
        let report = DryRunReport {
            ok: findings.iter().all(|finding| finding.severity != Severity::Error),
            findings,
            timeline: Vec::new(),
            totals: Totals { seconds, counters: Default::default() },
            devices: self.devices,
            unreached_lines: Vec::new(),
            truncated: self.cut_short.then_some(true),
        };
        NicosRun { report, told: self.told }
    }
}

/// An error that ends the script, as NICOS writes it: `ZeroDivisionError - division by zero`.
fn of_error(text: &str) -> Finding {
    let message = text.replacen(" - ", ": ", 1).trim_end_matches([' ', ':', '-']).to_owned();
    let ends_thread =
        ["SystemExit", "KeyboardInterrupt", "GeneratorExit"].iter().any(|it| text.starts_with(it));
    let hint = "in NICOS this ends the thread that runs scripts, for good: raise another exception, or return from a \
                function";
    Finding {
        line: line_of_syntax_error(&message),
        hint: ends_thread.then(|| hint.to_owned()),
        ..Finding::new(Severity::Error, "script_error", message)
    }
}

fn range(name: &str) -> DeviceRange {
    DeviceRange {
        name: name.to_owned(),
        unit: None,
        start: None,
        min: None,
        max: None,
        end: None,
        limit_hit: false,
    }
}

/// The device that would go beyond its limits: `Out of bounds - [m1] moving to …`.
fn beyond_limits(text: &str) -> Option<&str> {
    let (device, _) = text.strip_prefix(BEYOND_LIMITS)?.split_once('[')?.1.split_once(']')?;
    Some(device)
}

/// The innermost line of the script in a traceback.
fn line_in_script(traceback: &str) -> Option<u32> {
    let mut lines = traceback.lines().filter_map(|line| {
        let number = line.trim_start().strip_prefix("File \"<script>\", line ")?;
        number.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok()
    });
    lines.next_back()?.checked_sub(GUARD_LINES).filter(|line| *line > 0)
}

/// Where a text that ends like this has the line of a syntax error: `… (<script>, line 3)`.
const SYNTAX_LINE: &str = "(<script>, line ";

fn line_of_syntax_error(text: &str) -> Option<u32> {
    text.rsplit_once(SYNTAX_LINE)?.1.trim_end().strip_suffix(')')?.parse().ok()
}

/// A text with the line of the script that is meant, and not that of what NICOS was given.
fn shifted(text: &str) -> String {
    let line = line_of_syntax_error(text).and_then(|line| line.checked_sub(GUARD_LINES));
    match (line, text.rsplit_once(SYNTAX_LINE)) {
        (Some(line), Some((before, _))) => format!("{before}{SYNTAX_LINE}{line})\n"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_script_and_not_of_what_nicos_was_given() {
        let traceback = "Traceback\n  File \"/opt/nicos/simulation.py\", line 219, in run\n  File \"<script>\", line 9, \
                         in <module>\n  File \"<script>\", line 4, in f\nZeroDivisionError: division by zero";
        assert_eq!(line_in_script(traceback), Some(3));
        assert_eq!(line_in_script("Traceback"), None);
        let text = shifted("SyntaxError - '(' was never closed (<script>, line 3)\n");
        assert_eq!(text, "SyntaxError - '(' was never closed (<script>, line 2)\n");
        let finding = of_error(&text);
        assert_eq!(finding.line, Some(2));
        assert!(finding.message.starts_with("SyntaxError: '('"), "{}", finding.message);
    }

    #[test]
    fn an_error_names_its_kind_and_the_device_beyond_its_limits() {
        let text = "Out of bounds - [m1] moving to 1000.000 mm is not allowed: limits are [-100.0, 100.0]";
        assert_eq!(beyond_limits(text), Some("m1"));
        assert_eq!(beyond_limits("ValueError - [m1]"), None);
        assert!(of_error("SystemExit - ").hint.unwrap().contains("thread that runs scripts"));
        assert_eq!(of_error("SystemExit - ").message, "SystemExit");
    }

    #[test]
    fn an_id_is_a_uuid() {
        let id = request_id().unwrap();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes().get(14), Some(&b'4'));
        assert!(matches!(id.as_bytes().get(19), Some(b'8'..=b'b')), "{id}");
    }

    #[test]
    fn what_has_to_do_with_nicos_is_not_blamed_on_the_script() {
        let none = "exception raised running simulation: cannot start dry run, no cache is configured";
        assert!(matches!(refusal(none), Stopped::NotRun(why) if why.starts_with("cannot start")));
        let sleep = "exception raised running simulation: Please use the NICOS command 'sleep'";
        assert!(matches!(refusal(sleep), Stopped::Refused(why) if why.starts_with("Please use")));
    }
}

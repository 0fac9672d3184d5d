//! Starting and stopping: each room gets what it needs, in an order that leaves nothing behind when a
//! later step fails.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use beamq_machines::{
    CommandErrorPolicy, JobId, Policy, QueuePolicy, Timestamp,
    core::{Core, Fact, LastSeen},
};
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use super::{
    ServeError, ServeOptions, Settings, broker,
    catalogue::Loaded,
    dispatcher::Dispatcher,
    forecast::{self, ForecastDesk, Simulation, Workshop},
    log,
    metrics::Metrics,
    nicos::NicosAccess,
};
use crate::{
    config::{AfterEnd, AtShutdown, CommandErrors, Config, EngineKind},
    dryrun::{
        CompileLimits, Compiler,
        nicos::NicosSimulator,
        simulation::{SimulationSettings, Simulator},
    },
    engine::{nicos, python},
    journal::{DataDir, Endpoint, Journal, Replay},
    security::{LoginThrottle, Token, TokenVerifier, write_token_file},
    transport::{
        Clients,
        embedded::{self, CredentialCheck, EmbeddedEndpoint, EndpointLimits},
        http::{self, HttpEndpoint},
    },
    wire::stomp,
};

/// With more facts than this to replay, a start writes a snapshot for the next one.
const FACTS_BEFORE_SNAPSHOT: usize = 5_000;
/// How often what is too old is taken out of the history.
const PRUNE_EVERY: Duration = Duration::from_secs(6 * 3600);
/// "No time-out" of a question, in a form that timers can hold.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How exactly it is known, after a crash, when the server was last alive.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(5);
/// So many lines of output are part of a report.
const REPORTED_LINES: u64 = 50;

/// Serves until a signal says to stop.
pub(super) async fn serve(options: &ServeOptions) -> Result<(), ServeError> {
    let config = configuration(options)?;
    look_for_interpreter(&config)?;
    let path = match &options.data {
        Some(path) => path.clone(),
        None => DataDir::default_path()?,
    };
    let data_dir = DataDir::open(&path)?;
    log::start(&config.log, options.quiet, data_dir.path())?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let endpoint = listen(&config, options.stomp).await?;
    let address = endpoint.as_ref().map(EmbeddedEndpoint::local_addr);
    let watching = listen_for_http(&config, options.http).await?;
    let http_address = watching.as_ref().map(HttpEndpoint::local_addr);

    let (journal, replay) = Journal::open(&data_dir.journal())?;
    let core = replayed(&config, &replay, &data_dir.journal())?;
    if replay.facts.len() > FACTS_BEFORE_SNAPSHOT {
        let snapshot = core.snapshot().map_err(|error| ServeError::Replay {
            path: data_dir.journal(),
            seq: replay.last_fact_seq,
            reason: error.to_string(),
        })?;
        journal.write_snapshot(replay.last_fact_seq, snapshot).await?;
    }
    let last_seen = last_seen(&core, &replay, &journal, data_dir.last_alive()).await?;
    let token = Token::generate()?;
    let verifier = TokenVerifier::new(&token)?;
    write_token_file(&data_dir.token(), &token)?;

    let (doors, deliveries) = Clients::new(config.instrument.as_str());
    let (hang_up, hung_up) = watch::channel(false);
    let mut settings = settings(&config, verifier.clone(), address)?;
    let metrics = Metrics::new(&settings.instrument, settings.engine_kind);
    let broker = broker::start(&config, doors.clone(), hung_up.clone(), metrics.broker_connections());
    settings.broker = broker.as_ref().map(|broker| broker.state.clone());
    if let Some(address) = http_address {
        settings.transports.insert("http".into(), format!("listening on {address}"));
    }
    let commands = Loaded::load(options, &config, &data_dir.work()).map_err(ServeError::Commands)?;
    let mut python_settings = config.python_settings(data_dir.work());
    python_settings.path.extend_from_slice(commands.folders());
    let simulation = SimulationSettings {
        path: python_settings.path.clone(),
        hardware: config.hardware(),
        ..SimulationSettings::new(config.engine.python.interpreter.clone(), data_dir.work().join("dry-run"))
    };
    let simulation = match config.nicos_settings() {
        Some(nicos) if config.engine.kind == EngineKind::Nicos => {
            Simulation::Nicos(Arc::new(NicosSimulator::new(nicos.host, nicos.port, nicos.login)))
        }
        _ => Simulation::Own(Arc::new(Simulator::new(simulation))),
    };
    let workshop = Workshop { simulation, folders: commands.folders().into() };
    let engine = match config.nicos_settings() {
        Some(settings) if config.engine.kind == EngineKind::Nicos => nicos::start(settings),
        _ => python::start(python_settings),
    };
    let (to_self, inside) = mpsc::unbounded_channel();
    let background = config.estimates.background;
    let forecaster = forecast::start(workshop, journal.clone(), background, to_self.clone());
    let dispatcher = Dispatcher::new(
        core,
        journal.clone(),
        replay.last_fact_seq,
        replay.last_event_seq,
        engine,
        doors.clone(),
        settings,
        Arc::clone(&commands.catalogue),
        to_self.clone(),
        metrics,
        ForecastDesk::new(Some(forecaster)),
    );
    commands.follow(to_self).map_err(ServeError::Runtime)?;

    let (stop, stopped) = watch::channel(false);
    let looping = tokio::spawn(dispatcher.run(last_seen, deliveries, inside, stopped));
    let watched = watching.map(|endpoint| tokio::spawn(endpoint.serve(doors.clone(), hung_up.clone())));
    let embedded = endpoint.map(|endpoint| {
        let credentials = Arc::new(EndpointCredentials { token: verifier });
        tokio::spawn(endpoint.serve(doors, credentials, endpoint_limits(&config), hung_up))
    });
    let pruning = tokio::spawn(prune(journal, config.history.keep.0, config.history.keep_size.0));

    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Runtime)?;
    announce(&config, &data_dir, address, http_address, options.json)?;
    let mut alive = tokio::time::interval(SIGN_OF_LIFE_EVERY);
    loop {
        tokio::select! {
            _ = alive.tick() => data_dir.sign_of_life(),
            _ = terminate.recv() => break tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => break tracing::info!("SIGINT: stopping"),
        }
    }
    stop.send_replace(true);
    if let Err(error) = looping.await {
        tracing::error!(%error, "the server's loop ended badly");
    }
    hang_up.send_replace(true);
    if let Some(embedded) = embedded {
        embedded.await.ok();
    }
    if let Some(broker) = broker {
        broker.task.await.ok();
    }
    if let Some(watched) = watched {
        watched.await.ok();
    }
    pruning.abort();
    data_dir.remove_endpoint()?;
    Ok(())
}

fn configuration(options: &ServeOptions) -> Result<Config, ServeError> {
    Ok(match &options.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    })
}

/// The interpreter must be there at the start; one that vanishes later blocks the queue until it is back.
fn look_for_interpreter(config: &Config) -> Result<(), ServeError> {
    if config.engine.kind == EngineKind::Nicos {
        return Ok(());
    }
    let interpreter = &config.engine.python.interpreter;
    let found = if interpreter.components().count() > 1 {
        interpreter.is_file()
    } else {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(interpreter).is_file()))
    };
    if found { Ok(()) } else { Err(ServeError::NoInterpreter { interpreter: interpreter.clone() }) }
}

async fn listen(config: &Config, wanted: Option<SocketAddr>) -> Result<Option<EmbeddedEndpoint>, ServeError> {
    let configured = config.transports.embedded.on().map(|embedded| embedded.stomp.0);
    match wanted.or(configured) {
        Some(address) => Ok(Some(embedded::bind(address).await?)),
        None => Ok(None),
    }
}

async fn listen_for_http(
    config: &Config,
    wanted: Option<SocketAddr>,
) -> Result<Option<HttpEndpoint>, ServeError> {
    let configured = config.transports.http.on().map(|http| http.address.0);
    match wanted.or(configured) {
        Some(address) => Ok(Some(http::bind(address).await?)),
        None => Ok(None),
    }
}

/// The state that the journal's facts lead to.
fn replayed(config: &Config, replay: &Replay, path: &Path) -> Result<Core, ServeError> {
    let policy = policy(config);
    let broken = |seq: u64, reason: String| ServeError::Replay { path: path.to_owned(), seq, reason };
    let mut core = match &replay.snapshot {
        Some((seq, snapshot)) => {
            Core::restore(policy, snapshot).map_err(|error| broken(*seq, error.to_string()))?
        }
        None => Core::new(policy),
    };
    for (seq, time_ms, json) in &replay.facts {
        let fact: Fact = serde_json::from_str(json).map_err(|error| broken(*seq, error.to_string()))?;
        core.replay(&fact, Timestamp(*time_ms)).map_err(|rejected| broken(*seq, rejected.reason))?;
    }
    Ok(core)
}

/// What is known of the end of a server that left a job running: its last fact, its last sign of life, and
/// what the job had written.
async fn last_seen(
    core: &Core,
    replay: &Replay,
    journal: &Journal,
    alive: Option<SystemTime>,
) -> Result<LastSeen, ServeError> {
    let Some(JobId(id)) = core.queue().active else { return Ok(LastSeen::default()) };
    let alive = alive.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let alive_ms = alive.and_then(|since| i64::try_from(since.as_millis()).ok());
    let last_fact_ms = replay.facts.last().map(|(_, time_ms, _)| *time_ms);
    let size = journal.output_size(id).await?;
    let from = (size.lines + size.dropped).saturating_sub(REPORTED_LINES) + 1;
    let lines = journal.output(id, from, REPORTED_LINES as usize).await?.lines;
    let last_line_ms = lines.last().map(|line| line.time_ms);
    Ok(LastSeen {
        at: [alive_ms, last_fact_ms, last_line_ms].into_iter().flatten().max().map(Timestamp),
        output_tail: lines.into_iter().map(|line| line.text).collect(),
    })
}

fn policy(config: &Config) -> Policy {
    let after = |end: AfterEnd| match end {
        AfterEnd::Hold => QueuePolicy::Hold,
        AfterEnd::Continue => QueuePolicy::Continue,
    };
    Policy {
        after_failure: after(config.queue.after_failure),
        after_abort: after(config.queue.after_abort),
        after_restart: after(config.queue.after_restart),
        command_errors: match config.jobs.command_errors {
            CommandErrors::Mark => CommandErrorPolicy::Mark,
            CommandErrors::Fail => CommandErrorPolicy::Fail,
            CommandErrors::Ignore => CommandErrorPolicy::Ignore,
        },
        abort_cooperative: config.abort.cooperative.0,
        abort_terminate: config.abort.terminate.0,
        job_timeout: config.jobs.timeout.0,
        prompt_timeout: config.jobs.prompt_timeout.0.unwrap_or(FOR_EVER),
        points_are_lines: config.engine.kind == EngineKind::Nicos,
        pause_reminder_first: config.jobs.pause_reminder.0.unwrap_or(FOR_EVER),
        pause_reminder_next: config.jobs.pause_reminder_again.0.unwrap_or(FOR_EVER),
        login_timeout: config.sessions.login.0,
        session_idle: config.sessions.idle.0.unwrap_or(FOR_EVER),
    }
}

fn settings(
    config: &Config,
    token: TokenVerifier,
    address: Option<SocketAddr>,
) -> Result<Settings, ServeError> {
    let embedded = match address {
        Some(address) => format!("listening on {address}"),
        None => "off".into(),
    };
    Ok(Settings {
        instrument: config.instrument.as_str().to_owned(),
        compiler: Arc::new(Compiler::new(&config.engine.python.interpreter, CompileLimits::default())),
        engine_kind: match config.engine.kind {
            EngineKind::Python => "python",
            EngineKind::Nicos => "nicos",
        },
        token,
        accounts: config.build_accounts()?,
        nicos: nicos_access(config),
        throttle: LoginThrottle::default(),
        shutdown_at_most: config.shutdown.at_most.0,
        proxy_stop_empties_queue: config.queue.proxy_stop_empties_queue,
        dry_run: config.dry_run,
        shutdown_aborts: config.shutdown.active == AtShutdown::Abort,
        transports: BTreeMap::from([("embedded".to_owned(), embedded)]),
        broker: None,
    })
}

/// Sessions have connections of their own when NICOS runs the jobs.
fn nicos_access(config: &Config) -> Option<NicosAccess> {
    match config.engine.kind {
        EngineKind::Python => None,
        EngineKind::Nicos => config.engine.nicos.as_ref().map(NicosAccess::new),
    }
}

fn endpoint_limits(config: &Config) -> EndpointLimits {
    let frame = stomp::Limits {
        body_bytes: usize::try_from(config.limits.message.0).unwrap_or(usize::MAX),
        ..stomp::Limits::default()
    };
    EndpointLimits { frame, connections: config.limits.clients.get() as usize, ..EndpointLimits::default() }
}

/// The endpoint's own login: user `beamq`, passcode the token.
struct EndpointCredentials {
    token: TokenVerifier,
}

impl CredentialCheck for EndpointCredentials {
    fn admits(&self, login: &str, passcode: &str) -> bool {
        login == "beamq" && self.token.verify(passcode.as_bytes())
    }
}

/// Says that clients are accepted, to whoever started the server and to clients on this machine.
fn announce(
    config: &Config,
    data_dir: &DataDir,
    address: Option<SocketAddr>,
    http: Option<SocketAddr>,
    as_json: bool,
) -> Result<(), ServeError> {
    let stomp = address.map(|address| address.to_string());
    let endpoint = Endpoint {
        pid: std::process::id(),
        stomp: stomp.clone(),
        http: http.map(|address| address.to_string()),
        instrument: config.instrument.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    data_dir.write_endpoint(&endpoint)?;
    let data = data_dir.path().display().to_string();
    let line = if as_json {
        json!({"ready": {
            "pid": endpoint.pid,
            "data": data,
            "stomp": endpoint.stomp,
            "http": endpoint.http,
            "instrument": endpoint.instrument,
            "version": endpoint.version,
        }})
        .to_string()
    } else {
        let http = endpoint.http.map(|address| format!(", HTTP on {address}")).unwrap_or_default();
        format!(
            "ready beamq {} for {}: STOMP on {}{http}, data in {data}",
            endpoint.version,
            endpoint.instrument,
            stomp.as_deref().unwrap_or("no address"),
        )
    };
    // A reader that has gone away is no reason not to serve.
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").ok();
    Ok(())
}

/// Takes out of the history what is older, or more, than is wanted.
async fn prune(journal: Journal, keep: Option<Duration>, keep_bytes: Option<u64>) {
    if keep.is_none() && keep_bytes.is_none() {
        return;
    }
    loop {
        if let Err(error) = journal.prune(keep, keep_bytes, Dispatcher::now().0).await {
            tracing::warn!(%error, "the history cannot be pruned");
        }
        tokio::time::sleep(PRUNE_EVERY).await;
    }
}

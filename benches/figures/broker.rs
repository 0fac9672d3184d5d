//! Clients behind a real ActiveMQ, against the least that can answer there: a raw STOMP responder that
//! acknowledges and echoes, on a queue of its own of the same broker, in turn with the server.

mod client;
mod echo;
mod process;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::json;

use self::{
    client::{Client, call},
    echo::Echo,
    process::{Broker, ECHO_QUEUE},
};
use crate::{
    Effort,
    server::{Server, block_on},
    statistics::median,
    table::{Quantity, Table, Target},
};

/// The queue of the server.
const REQUESTS: &str = "/queue/ss_admin";

const LINES: usize = 20_000;
const SUBSCRIBERS: usize = 50;

/// So many jobs come and go at once: what waits for one client is bounded.
const AT_ONCE: usize = 500;

pub(crate) fn measure(effort: Effort, table: &mut Table) {
    if !process::is_installed() {
        eprintln!("  skipped: there is no ActiveMQ here (apt-get install activemq)");
        return;
    }
    let broker = Broker::start();
    let server = Server::start_with(&broker.transport());
    block_on(async {
        let reply = size_of_info(&broker, &server).await;
        let echo = Echo::start(&broker, "x".repeat(reply));
        let echo_queue = format!("/queue/{ECHO_QUEUE}");
        warm_up(&broker, &echo_queue, effort).await;
        for clients in [1, 10, 100] {
            let rates = rates(&broker, &echo_queue, clients, effort).await;
            let against = ("raw STOMP echo", Quantity::PerSecond(rates.echo));
            let who = if clients == 1 { "client" } else { "clients" };
            table.remark(
                format!("server.info through ActiveMQ, {clients} {who}"),
                Quantity::PerSecond(rates.server),
                Some(against),
            );
            table.comparison(
                "… as a share of the echo's (median of pairs)",
                rates.share,
                Target::AtLeast(0.9),
            );
        }
        let delays = delays(&broker, &server, &echo_queue, effort).await;
        table.figure(
            "… added latency, one client (median)",
            Quantity::Milliseconds(delays.info - delays.echo),
            Target::AtMost(0.2),
            ("round trip of the echo", Quantity::Milliseconds(delays.echo)),
        );
        table.figure(
            "job.submit of 20 kB through ActiveMQ, above the echo (median)",
            Quantity::Milliseconds(delays.submission - delays.large_echo),
            Target::AtMost(2.0),
            ("round trip of the echo", Quantity::Milliseconds(delays.large_echo)),
        );
        drop(echo);
        let heard = lines(&broker, &server).await;
        table.figure(
            format!("{LINES} printed lines at {SUBSCRIBERS} topic subscribers: lines lost"),
            Quantity::Count(heard.lost as f64),
            Target::AtMost(0.0),
            ("lines that arrived", Quantity::Count(heard.arrived as f64)),
        );
        table.remark("… lines a second, all subscribers together", Quantity::PerSecond(heard.rate), None);
        let heard = states(&broker, &server, effort).await;
        table.figure(
            format!("{} separate events at {SUBSCRIBERS} clients' own queues: events lost", heard.wanted),
            Quantity::Count(heard.lost as f64),
            Target::AtMost(0.0),
            ("events that arrived", Quantity::Count(heard.arrived as f64)),
        );
        table.remark("… events a second, all clients together", Quantity::PerSecond(heard.rate), None);
    });
}

/// How large the server's reply is, once it is there.
async fn size_of_info(broker: &Broker, server: &Server) -> usize {
    let direct = server.client().await;
    let give_up = Instant::now() + crate::server::PATIENCE;
    loop {
        let status: serde_json::Value = direct.call("server.status", json!({})).await.unwrap();
        if status["transports"]["activemq"].as_str().is_some_and(|state| state.starts_with("connected")) {
            break;
        }
        assert!(Instant::now() < give_up, "the server does not reach the broker: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    direct.close().await;
    Client::connect(broker).await.round_trip(REQUESTS, &info()).await.body.len()
}

fn info() -> String {
    call("server.info", json!({}))
}

/// The broker compiles itself while it works: the first thousands of messages tell nothing.
async fn warm_up(broker: &Broker, echo_queue: &str, effort: Effort) {
    let until = Instant::now() + effort.choose(Duration::from_secs(1), Duration::from_secs(5));
    while Instant::now() < until {
        for queue in [echo_queue, REQUESTS] {
            rate(broker, queue, 20, Duration::from_millis(300)).await;
        }
    }
}

struct Rates {
    server: f64,
    echo: f64,
    share: f64,
}

/// Round trips a second, server and echo in turn, so that whatever else the machine does meets both.
async fn rates(broker: &Broker, echo_queue: &str, clients: usize, effort: Effort) -> Rates {
    let time = effort.choose(Duration::from_millis(200), Duration::from_millis(1000));
    let (mut ours, mut echoes, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.choose(2, 9) {
        let before = rate(broker, echo_queue, clients, time).await;
        let server = rate(broker, REQUESTS, clients, time).await;
        let echo = f64::midpoint(before, rate(broker, echo_queue, clients, time).await);
        shares.push(server / echo);
        ours.push(server);
        echoes.push(echo);
    }
    Rates { server: median(&ours), echo: median(&echoes), share: median(&shares) }
}

/// Round trips a second of so many clients, each with one request under way.
async fn rate(broker: &Broker, queue: &str, clients: usize, time: Duration) -> f64 {
    let mut crowd = Vec::new();
    for _ in 0..clients {
        let mut client = Client::connect(broker).await;
        // Becoming known is another thing than being served.
        client.round_trip(queue, &info()).await;
        crowd.push(client);
    }
    let begin = Instant::now();
    let tasks = crowd.into_iter().map(|mut client| async move {
        let mut count = 0_u64;
        while begin.elapsed() < time {
            client.round_trip(queue, &info()).await;
            count += 1;
        }
        count
    });
    let counts = futures_util::future::join_all(tasks).await;
    counts.into_iter().sum::<u64>() as f64 / begin.elapsed().as_secs_f64()
}

/// Medians in milliseconds.
struct Delays {
    echo: f64,
    info: f64,
    large_echo: f64,
    submission: f64,
}

async fn delays(broker: &Broker, server: &Server, echo_queue: &str, effort: Effort) -> Delays {
    let mut client = Client::connect(broker).await;
    client.call("session.login", json!({"token": server.token()})).await;
    let script = "x = 1  # a line of a long script\n".repeat(620);
    let submit = call("job.submit", json!({"job": {"name": "large", "script": script, "held": true}}));
    let info = info();
    let count = effort.choose(50, 1000);
    // What follows a submission meets what the server still does with it, so the small ones are by themselves.
    let [echo, info] = in_turn(&mut client, echo_queue, &info, count).await;
    let [large_echo, submission] = in_turn(&mut client, echo_queue, &submit, count).await;
    Delays { echo, info, large_echo, submission }
}

/// The medians of round trips to the echo and to the server, in turn, so that whatever else the machine does
/// meets both.
async fn in_turn(client: &mut Client, echo_queue: &str, body: &str, count: usize) -> [f64; 2] {
    let mut samples = [const { Vec::new() }; 2];
    for _ in 0..count {
        for (queue, samples) in [echo_queue, REQUESTS].into_iter().zip(&mut samples) {
            let begin = Instant::now();
            let answer = client.round_trip(queue, body).await;
            samples.push(begin.elapsed().as_secs_f64() * 1e3);
            assert!(!answer.body.windows(7).any(|part| part == b"\"error\""), "{answer:?}");
        }
    }
    samples.map(|samples| median(&samples))
}

struct Heard {
    wanted: usize,
    arrived: usize,
    lost: usize,
    rate: f64,
}

/// Jobs come and go; every client hears each time that one did, on its own queue.
async fn states(broker: &Broker, server: &Server, effort: Effort) -> Heard {
    let mut clients = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut client = Client::connect(broker).await;
        client.call("session.login", json!({"token": server.token()})).await;
        client.call("events.subscribe", json!({"kinds": ["job"]})).await;
        clients.push(client);
    }
    let user = server.client().await;
    let job = json!({"name": "job", "script": "pass", "held": true, "group": "all"});
    let (mut arrived, mut wanted, begin) = (0, 0, Instant::now());
    for _ in 0..effort.choose(1, LINES / (2 * AT_ONCE)) {
        let jobs = vec![job.clone(); AT_ONCE];
        let reply: serde_json::Value = user.call("job.submit_batch", json!({"jobs": jobs})).await.unwrap();
        let _removed: serde_json::Value = user.call("job.remove", json!({"group": "all"})).await.unwrap();
        let verdicts = reply["verdicts"].as_array().unwrap();
        let ids: HashSet<_> =
            verdicts.iter().map(|verdict| verdict["id"].as_str().unwrap().to_owned()).collect();
        let reading = clients.iter_mut().map(|client| states_heard(client, &ids));
        arrived += futures_util::future::join_all(reading).await.into_iter().sum::<usize>();
        wanted += 2 * AT_ONCE;
    }
    user.close().await;
    let rate = arrived as f64 / begin.elapsed().as_secs_f64();
    Heard { wanted, arrived, lost: wanted * SUBSCRIBERS - arrived, rate }
}

/// What a client reads of an event: to read all of it fifty times would be most of what is measured.
#[derive(Deserialize)]
struct JobEvent {
    params: JobParams,
}

#[derive(Deserialize)]
struct JobParams {
    job: JobState,
}

#[derive(Deserialize)]
struct JobState {
    id: String,
    state: String,
}

/// How many different states of these jobs one client hears of, until the one that is removed last is.
async fn states_heard(client: &mut Client, ids: &HashSet<String>) -> usize {
    let last = ids.iter().max_by_key(|id| id.parse::<u64>().unwrap()).unwrap();
    let mut heard = HashSet::new();
    loop {
        let frame = client.frame().await;
        let JobEvent { params: JobParams { job } } = serde_json::from_slice(&frame.body).unwrap();
        if !ids.contains(&job.id) {
            continue;
        }
        let is_last = job.id == *last && job.state == "cancelled";
        heard.insert((job.id, job.state));
        if is_last {
            return heard.len();
        }
    }
}

/// A script prints; every subscriber of the topic counts what it hears of it.
async fn lines(broker: &Broker, server: &Server) -> Heard {
    let mut observers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut observer = Client::connect(broker).await;
        observer.subscribe("/topic/beamq.DEMO.events").await;
        observers.push(observer);
    }
    let client = server.client().await;
    let script = format!("for i in range({LINES}): print('line', i)\n");
    let job = json!({"name": "lines", "script": script});
    let reply: serde_json::Value = client.call("job.submit", json!({"job": job})).await.unwrap();
    let id = reply["id"].as_str().unwrap().to_owned();
    let tasks = observers.into_iter().map(|observer| lines_heard(observer, &id));
    let heard = futures_util::future::join_all(tasks).await;
    client.close().await;
    let arrived: usize = heard.iter().map(|(lines, _)| lines).sum();
    let took = heard.iter().map(|(_, took)| took.as_secs_f64()).fold(0.0, f64::max);
    Heard { wanted: LINES, arrived, lost: LINES * SUBSCRIBERS - arrived, rate: arrived as f64 / took }
}

/// How many lines of a job one subscriber hears, in order, and in which time after the first.
async fn lines_heard(mut observer: Client, id: &str) -> (usize, Duration) {
    let (mut lines, mut first) = (0, None);
    loop {
        let frame = observer.frame().await;
        let event: serde_json::Value = serde_json::from_slice(&frame.body).unwrap();
        let params = &event["params"];
        if event["method"] == "event.output" && params["job"] == id {
            first.get_or_insert_with(Instant::now);
            lines += params["lines"].as_array().unwrap().len();
        }
        if event["method"] == "event.job"
            && params["job"]["id"] == id
            && params["job"]["finished_at"].is_string()
        {
            return (lines, first.map_or(Duration::ZERO, |first| first.elapsed()));
        }
    }
}

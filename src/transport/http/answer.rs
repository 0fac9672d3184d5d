//! One request, one answer.

use std::time::Duration;

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue},
};
use tokio::time::timeout;

use crate::transport::{Clients, Health};

/// The text format of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// How long the server may take before it counts as hung. Its loop may be busy for some milliseconds, and
/// its disk for longer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Health,
    Metrics,
    /// Another place than this machine.
    OtherHost,
    OtherMethod,
    OtherPath,
}

impl Asked {
    pub(super) fn by<B>(request: &Request<B>) -> Self {
        if !asks_this_machine(request) {
            return Self::OtherHost;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Self::OtherMethod;
        }
        match request.uri().path() {
            "/healthz" => Self::Health,
            "/metrics" => Self::Metrics,
            _ => Self::OtherPath,
        }
    }
}

/// Answers a request.
pub(super) async fn to(asked: Asked, server: &Clients) -> Response<Full<Bytes>> {
    match asked {
        Asked::Health => match timeout(ANSWERS_WITHIN, server.health()).await {
            Ok(Health { well: true, text }) => answer(StatusCode::OK, JSON, text),
            Ok(Health { well: false, text }) => answer(StatusCode::SERVICE_UNAVAILABLE, JSON, text),
            Err(_) => answer(StatusCode::SERVICE_UNAVAILABLE, JSON, Health::hung(ANSWERS_WITHIN).text),
        },
        Asked::Metrics => match timeout(ANSWERS_WITHIN, server.metrics()).await {
            Ok(Ok(text)) => answer(StatusCode::OK, OPEN_METRICS, text),
            Ok(Err(_)) => plain(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down\n"),
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "the server does not answer\n"),
        },
        Asked::OtherHost => {
            plain(StatusCode::FORBIDDEN, "ask for 127.0.0.1, [::1] or localhost: no other Host is answered\n")
        }
        Asked::OtherMethod => {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
        Asked::OtherPath => plain(StatusCode::NOT_FOUND, "there are /healthz and /metrics\n"),
    }
}

/// Whether the request names this machine as its host. A name that somebody else's site has made to resolve
/// to this machine is none of these.
fn asks_this_machine<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["127.0.0.1", "[::1]"].contains(&name) || name.eq_ignore_ascii_case("localhost")
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    answer(status, TEXT, text)
}

fn answer(status: StatusCode, form: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

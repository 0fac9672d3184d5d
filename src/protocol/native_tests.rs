//! What messages become, and what is answered to those that cannot be carried out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use beamq_machines::{JobId, Role};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    ErrorKind, JobRef, Method, Place, Request, RpcError, Selection,
    native::{self, BATCH_CALLS, Call, CallId, Decoded, decode},
    request::Credentials,
};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/protocol").join(name)
}

fn call(message: &Value) -> Call {
    match decode(message.to_string().as_bytes()) {
        Decoded::Native(call) => call,
        other => panic!("{message} is {other:?}"),
    }
}

fn ask(method: &str, params: Value) -> Result<Request, RpcError> {
    call(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
        .request
        .map(|request| *request)
}

#[test]
fn every_method_has_examples_that_decode_and_write_the_same_again() {
    let examples = fs::read_to_string(data("requests.json")).unwrap();
    let examples: BTreeMap<String, Vec<Value>> = serde_json::from_str(&examples).unwrap();
    assert_eq!(examples.keys().collect::<Vec<_>>(), {
        let mut names = Method::NAMES.to_vec();
        names.sort_unstable();
        names
    });
    for (name, examples) in examples {
        for params in examples {
            let request =
                ask(&name, params.clone()).unwrap_or_else(|error| panic!("{name} {params}: {error:?}"));
            assert_eq!(request.method().name(), name);
            let again = ask(&name, request.params().unwrap()).unwrap();
            assert_eq!(again, request, "{name} {params}");
        }
    }
}

#[test]
fn the_table_of_methods_is_the_one_of_the_interface() {
    for (method, name) in Method::ALL.iter().zip(Method::NAMES) {
        assert_eq!(method.name(), *name);
        assert_eq!(Method::from_name(name), Some(*method));
    }
    let open: Vec<_> = Method::ALL.iter().filter(|m| m.required_role().is_none()).map(|m| m.name()).collect();
    assert_eq!(open, ["session.login", "server.info", "rpc.discover"]);
}

/// Shows what a message becomes: replies as they go out, and a word for what is carried out.
fn outcome(body: &[u8]) -> String {
    let of_call = |call: Call| match (call.request, call.id) {
        (Ok(request), Some(_)) => format!("{} is carried out", request.method().name()),
        (Ok(request), None) => format!("{} is carried out without a reply", request.method().name()),
        (Err(error), Some(id)) => native::reply_error(&id, &error).to_string(),
        (Err(error), None) => format!("no reply to {}", error.kind().name()),
    };
    match decode(body) {
        Decoded::Native(call) => of_call(call),
        Decoded::NativeBatch(calls) => calls.into_iter().map(of_call).collect::<Vec<_>>().join("\n< "),
        Decoded::Proxy(value) => format!("proxy dialect: {value}"),
        Decoded::Unintelligible(error) => {
            format!("unintelligible: {}", serde_json::to_string(&error).unwrap())
        }
    }
}

#[test]
fn what_cannot_be_carried_out_is_refused_in_these_words() {
    let mut golden = fs::read_to_string(data("refusals.txt")).unwrap();
    let mut made = String::new();
    for line in golden.lines().filter(|line| !line.starts_with('<')) {
        writeln!(made, "{line}").unwrap();
        if let Some(message) = line.strip_prefix("> ") {
            writeln!(made, "< {}", outcome(message.as_bytes())).unwrap();
        }
    }
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        fs::write(data("refusals.txt"), &made).unwrap();
        golden.clone_from(&made);
    }
    for (made, golden) in made.lines().zip(golden.lines()) {
        assert_eq!(made, golden, "run the tests with BEAMQ_BLESS=1 if this is meant");
    }
    assert_eq!(made.lines().count(), golden.lines().count());
}

#[test]
fn a_call_gets_its_id_back_as_it_was() {
    for id in [json!(1), json!(-7), json!(u64::MAX), json!(1.5), json!("a-1"), json!("💥"), Value::Null] {
        let call = call(&json!({"jsonrpc": "2.0", "id": id, "method": "server.info"}));
        let reply = native::reply_ok(&call.id.unwrap(), &());
        assert_eq!(
            serde_json::from_str::<Value>(&reply).unwrap(),
            json!({"jsonrpc": "2.0", "id": id, "result": null})
        );
    }
}

#[test]
fn a_call_without_an_id_is_a_notification() {
    assert_eq!(call(&json!({"jsonrpc": "2.0", "method": "run.pause"})).id, None);
}

#[test]
fn the_key_stands_beside_the_parameters_or_among_them() {
    let beside = call(&json!({"jsonrpc": "2.0", "id": 1, "method": "server.status", "key": "k"}));
    let among = call(&json!({"jsonrpc": "2.0", "id": 1, "method": "server.status", "params": {"key": "k"}}));
    assert_eq!(beside.key.as_deref(), Some("k"));
    assert_eq!(among, beside);
}

#[test]
fn a_batch_has_limits() {
    let batch = |n: usize| {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "server.info"});
        decode(Value::Array(vec![call; n]).to_string().as_bytes())
    };
    assert!(matches!(batch(BATCH_CALLS), Decoded::NativeBatch(calls) if calls.len() == BATCH_CALLS));
    match batch(BATCH_CALLS + 1) {
        Decoded::Native(Call { id: Some(CallId::Null), request: Err(error), .. }) => {
            assert_eq!(error.kind(), ErrorKind::TooLarge);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nesting_and_the_number_of_values_have_limits() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!("[{}0]", "0,".repeat(4_000_001));
    let objects = format!("[{}0]", r#"{"a":0},"#.repeat(250_000));
    let text = format!(
        r#"{{"jsonrpc": "2.0", "id": 1, "method": "server.info", "x": "{}"}}"#,
        ",{".repeat(4_000_001)
    );
    let kind = |body: &str| match decode(body.as_bytes()) {
        Decoded::Unintelligible(error) | Decoded::Native(Call { request: Err(error), .. }) => error.kind(),
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(&deep), ErrorKind::ParseError);
    assert_eq!(kind(&wide), ErrorKind::TooLarge);
    assert_eq!(kind(&objects), ErrorKind::TooLarge);
    assert_eq!(kind(&text), ErrorKind::InvalidParams, "a text is one value, whatever it holds");
}

#[test]
fn an_error_shows_long_values_cut() {
    let error = ask("run.pause", json!({"level": "x".repeat(100_000)})).unwrap_err();
    assert!(native::reply_error(&CallId::Null, &error).len() < 1000);
    let error = ask("job.get", json!({"id": "1", "y".repeat(100_000): 1})).unwrap_err();
    assert!(native::reply_error(&CallId::Null, &error).len() < 1000);
    let error = call(&json!({"jsonrpc": "2.0", "id": 1, "method": "z".repeat(100_000)})).request.unwrap_err();
    assert!(native::reply_error(&CallId::Null, &error).len() < 1000);
}

#[test]
fn a_reason_has_a_limit() {
    for method in ["run.abort", "queue.hold"] {
        assert!(ask(method, json!({"why": "é".repeat(1000)})).is_ok());
        let error = ask(method, json!({"why": "é".repeat(1001)})).unwrap_err();
        assert_eq!((error.kind(), error.data.field.as_deref()), (ErrorKind::InvalidParams, Some("why")));
    }
}

#[test]
fn a_login_shows_either_a_token_or_a_password() {
    let login = |params| match ask("session.login", params).unwrap() {
        Request::Login(login) => login,
        other => panic!("{other:?}"),
    };
    assert_eq!(login(json!({"token": "t"})).credentials().unwrap(), Credentials::Token("t"));
    let password = login(json!({"user": "u", "password": "p"}));
    assert_eq!(password.credentials().unwrap(), Credentials::Password { user: "u", password: "p" });
    for (params, field) in [
        (json!({}), "token"),
        (json!({"user": "u"}), "password"),
        (json!({"password": "p"}), "user"),
        (json!({"token": "t", "password": "p"}), "password"),
        (json!({"token": "t", "client": "two\nlines"}), "client"),
    ] {
        let error = login(params.clone()).credentials().unwrap_err();
        assert_eq!(
            (error.kind(), error.data.field.as_deref()),
            (ErrorKind::InvalidParams, Some(field)),
            "{params}"
        );
    }
}

#[test]
fn secrets_are_not_shown_in_logs() {
    let request = ask("session.login", json!({"token": "s3cret", "user": "u"})).unwrap();
    assert!(!format!("{request:?}").contains("s3cret"));
}

#[test]
fn jobs_are_selected_in_exactly_one_way() {
    let select = |params| match ask("job.hold", params).unwrap() {
        Request::HoldJob(hold) => hold.selection(),
        other => panic!("{other:?}"),
    };
    assert_eq!(select(json!({"id": "1"})).unwrap(), Selection::Jobs(vec![JobRef("1".into())]));
    assert_eq!(select(json!({"group": "g"})).unwrap(), Selection::Group("g".into()));
    assert_eq!(select(json!({})).unwrap_err().data.field.as_deref(), Some("id"));
    assert_eq!(select(json!({"id": "1", "group": "g"})).unwrap_err().kind(), ErrorKind::InvalidParams);
}

#[test]
fn an_id_is_opaque_and_one_of_another_form_names_nothing() {
    assert_eq!(JobRef("17".into()).resolve().unwrap(), JobId(17));
    for text in ["", "017", "+17", "nope", "17 ", "99999999999999999999"] {
        let error = JobRef(text.into()).resolve().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
    }
}

#[test]
fn places_are_read_in_all_their_forms() {
    let place = |place| match ask("job.duplicate", json!({"id": "1", "place": place})).unwrap() {
        Request::DuplicateJob(duplicate) => duplicate.place,
        other => panic!("{other:?}"),
    };
    assert_eq!(place(json!("front")), Place::Front);
    assert_eq!(place(json!("back")), Place::Back);
    assert_eq!(place(json!({"index": 4_000_000_000_u64})), Place::Index(4_000_000_000));
    assert_eq!(place(json!({"before": "x"})), Place::Before(JobRef("x".into())));
    assert_eq!(place(json!({"after": "2"})), Place::After(JobRef("2".into())));
}

#[test]
fn roles_are_checked_by_method() {
    let request = ask("queue.clear", json!({})).unwrap();
    assert_eq!(request.check_role(None).unwrap_err().kind(), ErrorKind::NotLoggedIn);
    let error = request.check_role(Some(Role::User)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.message, "queue.clear needs the role scientist; this session has the role user");
    request.check_role(Some(Role::Scientist)).unwrap();
    request.check_role(Some(Role::Admin)).unwrap();
    ask("server.info", json!({})).unwrap().check_role(None).unwrap();
}

#[test]
fn replies_stay_within_the_bmp() {
    let reply = native::reply_ok(&CallId::Text("😀".into()), &json!({"😀": "😀"}));
    let escaped = r#""\ud83d\ude00""#;
    assert_eq!(&*reply, format!(r#"{{"jsonrpc":"2.0","id":{escaped},"result":{{{escaped}:{escaped}}}}}"#));
}

#[test]
fn the_replies_to_a_batch_are_one_message() {
    let one = native::reply_ok(&CallId::Null, &1);
    let both = native::reply_batch(&[one.clone(), one]).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Value>>(&both).unwrap().len(), 2);
    assert_eq!(native::reply_batch(&[]), None);
}

/// Any JSON, with the names of the protocol more often than chance has them.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        proptest::sample::select(vec![
            "jsonrpc", "id", "method", "params", "key", "command", "args", "job", "jobs", "name", "script",
            "commands", "place", "index", "before", "ids", "revision", "repeat", "timeout", "deadline",
            "level", "token", "kinds", "value", "prompt",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let text = prop_oneof![
        proptest::sample::select(Method::NAMES.to_vec()).prop_map(str::to_owned),
        proptest::sample::select(vec!["2.0", "front", "2h", "1", "line", "2026-03-01T08:30:00Z"])
            .prop_map(str::to_owned),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_become_something(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        outcome(&body);
    }

    #[test]
    fn any_json_becomes_something_and_every_reply_is_json(message in any_json()) {
        outcome(message.to_string().as_bytes());
    }

    #[test]
    fn any_parameters_of_any_method_are_judged(
        method in proptest::sample::select(Method::NAMES.to_vec()),
        params in any_json(),
    ) {
        let call = call(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
        prop_assert_eq!(call.id, Some(CallId::Number(1.into())));
        if let Err(error) = call.request {
            prop_assert!(matches!(error.kind(), ErrorKind::InvalidParams | ErrorKind::InvalidJob), "{:?}", error);
            prop_assert!(error.data.field.is_some());
            prop_assert_eq!(error.code, error.kind().code());
        }
    }

    #[test]
    fn a_message_cut_anywhere_is_refused_in_the_dialect_of_its_sender(cut in 0_usize..60) {
        let whole = r#"{"jsonrpc": "2.0", "id": 1, "method": "server.info", "params": {}}"#;
        match decode(&whole.as_bytes()[..cut]) {
            Decoded::Native(call) => prop_assert_eq!(call.request.unwrap_err().kind(), ErrorKind::ParseError),
            Decoded::Unintelligible(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::ParseError);
                prop_assert!(cut < 10);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

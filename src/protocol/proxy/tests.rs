#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{fs, path::PathBuf, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::protocol::{Decoded, decode};

fn read(message: Value) -> Result<ProxyCommand, String> {
    ProxyCommand::read(message).map_err(|error| error.to_string())
}

fn refusal(message: Value) -> String {
    read(message).unwrap_err()
}

#[test]
fn a_command_is_the_same_in_all_its_forms() {
    let expected = ProxyCommand::Queue { name: Some("a.py".into()), code: "pass".into() };
    for message in [
        json!({"command": "queue", "name": "a.py", "code": "pass"}),
        json!({"command": "queue", "args": ["a.py", "pass"]}),
        json!(["queue", ["a.py", "pass"]]),
    ] {
        let Decoded::Proxy(decoded) = decode(message.to_string().as_bytes()) else { panic!("{message}") };
        assert_eq!(read(decoded).as_ref(), Ok(&expected), "{message}");
    }
    let login = ProxyCommand::Authenticate {
        login: "u".into(),
        passwd: Password("secret".into()),
        display: Some("d".into()),
    };
    let dictionary = json!({"login": "u", "passwd": "secret", "display": "d"});
    assert_eq!(read(json!(["authenticate", [dictionary]])).as_ref(), Ok(&login));
    assert_eq!(read(json!(["authenticate", ["u", "secret", "d"]])).as_ref(), Ok(&login));
    assert!(!format!("{login:?}").contains("secret"), "{login:?}");
}

#[test]
fn what_may_be_left_out_has_a_meaning() {
    assert_eq!(read(json!(["break"])), Ok(ProxyCommand::Break { level: 1 }));
    assert_eq!(read(json!(["getmessages", [0]])), Ok(ProxyCommand::GetMessages { n: None }));
    assert_eq!(read(json!(["getmessages", ["*"]])), Ok(ProxyCommand::GetMessages { n: None }));
    let five = json!({"command": "getmessages", "n": 5});
    assert_eq!(read(five), Ok(ProxyCommand::GetMessages { n: Some(5) }));
    let unnamed = ProxyCommand::Queue { name: None, code: "x".into() };
    assert_eq!(read(json!({"command": "queue", "name": null, "code": "x"})), Ok(unnamed));
    let update = ProxyCommand::Update { newcode: "x".into(), reason: Some("y".into()), reqid: None };
    assert_eq!(read(json!(["update", ["x", "y"]])).as_ref(), Ok(&update));
    assert_eq!(read(json!(["update", ["x", "y", null]])), Ok(update));
    let ids = vec!["3".to_owned(), "2".to_owned()];
    assert_eq!(read(json!(["rearrange", [["3", 2]]])), Ok(ProxyCommand::Rearrange { ids }));
}

#[test]
fn an_error_says_what_was_meant() {
    for (message, text) in [
        (json!(["quue", []]), "unknown command \"quue\"; did you mean queue?"),
        (json!(["xyzzy", []]), "unknown command \"xyzzy\""),
        (json!(["queue", ["a"]]), "queue: missing argument code (text)"),
        (json!({"command": "stop", "levle": 1}), "stop: unknown argument \"levle\"; did you mean level?"),
        (
            json!(["keepalive", [1]]),
            "keepalive: invalid number of arguments: 1 were given, at most 0 are taken",
        ),
        (
            json!({"command": "queue", "args": "x"}),
            "queue: arguments go either by name or as a list in \"args\"",
        ),
        (json!(["unqueue", [[]]]), "unqueue: reqid must be the id of a request, as text"),
    ] {
        assert_eq!(refusal(message), text);
    }
    let long = "q".repeat(1 << 20);
    assert!(refusal(json!([long, []])).len() < 1000, "what was given is not repeated whole");
}

#[test]
fn levels_are_those_of_nicos() {
    use beamq_machines::PauseLevel::{Line, Now, Point};
    let levels = [1, 2, 3, 4, 5, 99].map(pause_level);
    assert_eq!(levels, [Some(Line), Some(Point), Some(Now), Some(Now), Some(Now), Some(Now)]);
    assert_eq!(pause_level(0), None);
}

#[test]
fn answers_to_questions_are_read_and_never_executed() {
    let statement = "from nicos import session; session.setUserinput('7', 'it\\'s \\u00e9')";
    assert_eq!(prompt_answer(statement), Some(("7".into(), json!("it's é"))));
    assert_eq!(prompt_answer("session.setUserinput(\"7\", 2.5)"), Some(("7".into(), json!(2.5))));
    assert_eq!(prompt_answer("session.setUserinput('7', True)\n"), Some(("7".into(), json!(true))));
    for (literal, value) in [
        ("[1, 'a', (True, None), [],]", json!([1, "a", [true, null], []])),
        ("{'a': [1.5], \"b\": {}}", json!({"a": [1.5], "b": {}})),
        ("(1)", json!(1)),
        ("((1,))", json!([1])),
        ("()", json!([])),
        ("-3", json!(-3)),
    ] {
        let statement = format!("session.setUserinput('7', {literal})");
        assert_eq!(prompt_answer(&statement), Some(("7".into(), value)), "{literal}");
    }
    for other in [
        "print(1)",
        "session.setUserinput('7', [1, open('x')])",
        "session.setUserinput('7', {1: 2})",
        "session.setUserinput('7', [1 2])",
        "session.setUserinput('7', [1",
        "session.setUserinput('7', {'a' 1})",
        "session.setUserinput('7', [,])",
        "session.setUserinput('7', __import__('os'))",
        "session.setUserinput('7')",
        "session.setUserinput(7, 1)",
        "session.setUserinput('7', 'open",
        "session.setUserinput('7', '\\N{DASH}')",
    ] {
        assert_eq!(prompt_answer(other), None, "{other}");
    }
    let deep = format!("session.setUserinput('7', {}", "[".repeat(100_000));
    assert_eq!(prompt_answer(&deep), None);
}

#[test]
fn what_goes_out_has_the_shapes_of_nicos() {
    let message =
        LogMessage { time_ms: 1500, level: LEVEL_INFO, text: "hi", traceback: None, reqid: "3".into() };
    let told: Value = serde_json::from_str(&event("message", &message)).unwrap();
    assert_eq!(told, json!({"event": "message", "payload": ["nicos", 1.5, 20, "hi\n", null, "3"]}));
    let prompt = Prompt {
        text: "text?".into(),
        uid: "ae2cd864".into(),
        choices: None,
        validator: None,
        default: None,
    };
    let expected: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/proxy/prompt.json")).unwrap();
    assert_eq!(serde_json::to_value(&prompt).unwrap(), expected);
    let pause = Prompt { choices: Some(vec![json!("continue")]), ..prompt };
    assert_eq!(serde_json::to_value(&pause).unwrap(), json!(["text?", "ae2cd864"]));
    let choice = Prompt { choices: Some(vec![json!("a"), json!(2), json!(true)]), ..pause };
    let vals = json!({"__doc__": "one of 'a', 2, True", "vals": ["a", 2, true]});
    let one_of = json!({"$object": "nicos.core.params.oneof", "state": vals});
    assert_eq!(serde_json::to_value(&choice).unwrap()[2], one_of);
    let number = json!({"$global": "__builtin__.long"});
    let of_nicos = Prompt { validator: Some(number.clone()), ..choice };
    assert_eq!(serde_json::to_value(&of_nicos).unwrap()[2], number);
    let script = ScriptRequest { reqid: "1".into(), name: None, script: "x", user: "u" };
    let head = StatusHead {
        status: (StatusCode::Running, 2),
        scriptname: "eta.py".into(),
        script: "s\n".into(),
        eta: None,
        instrument: Some(
            json!({"mode": "simulation", "setups": [["a"], ["a"]], "scriptname": "NICOS's own"}),
        ),
    };
    let status = head.into_reply(&[script.encode(), script.encode()]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["success"], true);
    let status = &status["payload"];
    assert_eq!(status["requests"][1], json!({"reqid": "1", "name": null, "script": "x", "user": "u"}));
    assert_eq!((&status["status"], &status["scriptname"]), (&json!([0, 2]), &json!("eta.py")));
    assert_eq!((&status["mode"], &status["setups"]), (&json!("simulation"), &json!([["a"], ["a"]])));
    assert_eq!(status["devices"], json!([]), "what NICOS did not say");
    let nobody = StatusHead {
        status: (StatusCode::Idle, -1),
        scriptname: String::new(),
        script: Arc::from(""),
        eta: None,
        instrument: None,
    };
    let nobody: Value = serde_json::from_str(&nobody.into_reply(&[])).unwrap();
    assert_eq!(nobody["payload"]["requests"], json!([]));
    assert_eq!(&*error("a \"b\""), r#"{"success":false,"payload":"a \"b\""}"#);
}

#[test]
fn the_published_schema_is_what_the_table_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas/proxy.schema.json");
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        fs::write(&path, format!("{:#}\n", schema())).unwrap();
    }
    let published: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(
        published == schema(),
        "schemas/proxy.schema.json is out of date; run the tests with BEAMQ_BLESS=1"
    );
    let validator = jsonschema::validator_for(&published).unwrap();
    for good in [
        json!({"command": "queue", "name": "a", "code": "b"}),
        json!(["authenticate", [{"login": "u", "passwd": "p", "display": "d"}]]),
        json!({"success": false, "payload": "no script is running"}),
        json!({"event": "status", "payload": [0, 2]}),
        json!({"event": "cache", "payload": [1.0, "a/b", "=", "1"]}),
    ] {
        assert!(validator.is_valid(&good), "{good}");
    }
    for bad in [
        json!({"command": "queue", "name": "a"}),
        json!({"event": "status", "payload": 7}),
        json!({"event": "nosuch", "payload": 7}),
        json!({}),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
}

#[test]
fn every_command_and_every_event_is_documented() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/proxy.md");
    let text = fs::read_to_string(path).unwrap();
    for name in CommandInfo::ALL.iter().map(|command| command.name).chain(EVENTS.iter().copied()) {
        assert!(text.contains(&format!("`{name}`")), "{name} is not in docs/proxy.md");
    }
    for block in text.split("```json\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for message in serde_json::Deserializer::from_str(block).into_iter::<Value>() {
            let message = message.unwrap_or_else(|error| panic!("{error} in {block}"));
            if message.get("command").is_some() || message.is_array() {
                read(message.clone()).unwrap_or_else(|error| panic!("{error} in {message}"));
            }
            assert!(jsonschema::validator_for(&schema()).unwrap().is_valid(&message), "{message}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z*é\u{1F600}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,8}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_message_makes_the_reader_panic(message in any_json(), which in any::<prop::sample::Index>()) {
        drop(read(message.clone()));
        let command = which.get(CommandInfo::ALL);
        drop(read(json!([command.name, message])));
        drop(read(json!([command.name, [message, message]])));
        let mut named = json!({"command": command.name});
        for parameter in command.parameters {
            named[parameter.name] = message.clone();
        }
        drop(read(named));
    }

    #[test]
    fn no_statement_makes_the_reader_of_answers_panic(text in ".{0,40}") {
        drop(prompt_answer(&format!("session.setUserinput({text}")));
        drop(prompt_answer(&format!("session.setUserinput('1', '{text}')")));
    }

    #[test]
    fn names_and_positions_mean_the_same(name in "[a-z]{1,5}", code in ".{0,20}") {
        prop_assert_eq!(
            read(json!({"command": "queue", "name": name, "code": code})),
            read(json!(["queue", [name, code]]))
        );
    }
}

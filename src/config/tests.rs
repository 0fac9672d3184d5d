//! The configuration as people write it, rightly and wrongly.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("beamq.yaml"))
}

fn message(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn as_json(config: &Config) -> serde_json::Value {
    serde_json::to_value(config).unwrap()
}

#[test]
fn an_empty_file_is_the_default_configuration() {
    assert_eq!(as_json(&parse("").unwrap()), as_json(&Config::default()));
    assert_eq!(as_json(&parse("queue:\njobs: {}\n").unwrap()), as_json(&Config::default()));
}

#[test]
fn the_full_example_shows_every_key_with_its_default() {
    let path = repository("examples/config/full.yaml");
    let loaded = Config::load(&path).unwrap();
    assert_eq!(as_json(&loaded), as_json(&Config::default()));
    let text = std::fs::read_to_string(&path).unwrap();
    let keys = |value: &serde_json::Value| {
        fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
            for (key, value) in value.as_object().into_iter().flatten() {
                found.push(key.clone());
                collect(value, found);
            }
        }
        let mut found = Vec::new();
        collect(value, &mut found);
        found
    };
    let with_examples = parse(&text.replace("#: ", "")).unwrap();
    for key in keys(&as_json(&with_examples)) {
        assert!(text.contains(&format!("{key}:")), "{key} is not shown");
    }
    let nicos = with_examples.engine.nicos.unwrap();
    assert_eq!((nicos.user.as_str(), nicos.address.to_string().as_str()), ("service", "127.0.0.1:1301"));
    assert_eq!(with_examples.catalogue.folders.unwrap(), [Path::new("commands")]);
}

#[test]
fn the_configuration_of_the_interface_description_is_taken_as_it_is() {
    let text = include_str!("../../tests/fixtures/config/interface.yaml");
    let hash = crate::security::hash_password(b"secret").unwrap();
    let config = parse(&text.replace("HASH", &format!("\"{hash}\""))).unwrap();
    assert_eq!(config.accounts[0].user, "ibex");
    let accounts = config.build_accounts().unwrap();
    assert_eq!(accounts.verify_blocking("ibex", b"secret"), Some(beamq_machines::Role::Scientist));
    assert_eq!(config.transports.activemq.on().unwrap().url.to_string(), "stomp://127.0.0.1:61613");
    assert_eq!(config.engine.nicos.unwrap().roles.user, beamq_machines::Role::Scientist);
}

#[test]
fn every_example_configuration_loads() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repository("examples/config")).unwrap() {
        let path = entry.unwrap().path();
        // The files with passwords are for whoever uses the example to make.
        let folder = tempfile::TempDir::new().unwrap();
        let copy = folder.path().join("beamq.yaml");
        std::fs::copy(&path, &copy).unwrap();
        for name in ["nicos.password", "broker.password"] {
            std::fs::write(folder.path().join(name), "secret\n").unwrap();
        }
        Config::load(&copy).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        seen += 1;
    }
    assert!(seen >= 3);
}

#[test]
fn the_schema_in_the_repository_is_the_one_of_the_types() {
    let path = repository("schemas/config.schema.json");
    let schema = format!("{}\n", serde_json::to_string_pretty(&Config::json_schema()).unwrap());
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == schema, "{} is out of date; regenerate it with BEAMQ_BLESS=1", path.display());
}

#[test]
fn every_key_of_the_schema_is_documented() {
    fn undocumented(name: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            if property["description"].as_str().is_none_or(str::is_empty) {
                found.push(format!("{name}.{key}"));
            }
        }
        for (key, definition) in schema["$defs"].as_object().into_iter().flatten() {
            undocumented(key, definition, found);
        }
    }
    let mut found = Vec::new();
    undocumented("", &Config::json_schema(), &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn values_arrive_typed_with_their_units() {
    let config = parse(
        "instrument: WISH-2\n\
         jobs: {timeout: 1h 30m, prompt_timeout: none, command_errors: fail, pause_reminder: 5m, pause_reminder_again: none}\n\
         abort: {cooperative: 500 ms}\n\
         queue: {after_failure: continue, proxy_stop_empties_queue: true}\n\
         transports:\n  embedded: off\n  http: {address: 'localhost:0'}\n\
         engine: {python: {spare_workers: 2, memory: 8 GiB, niceness: 5}}\n\
         limits: {message: 1 MB, clients: 3}\n\
         history: {keep: none}\n",
    )
    .unwrap();
    assert_eq!(config.instrument.as_str(), "WISH-2");
    assert_eq!(config.jobs.timeout.0, Some(Duration::from_secs(5_400)));
    assert_eq!(config.jobs.prompt_timeout.0, None);
    assert_eq!(config.jobs.pause_reminder.0, Some(Duration::from_secs(300)));
    assert_eq!(config.jobs.pause_reminder_again.0, None);
    assert_eq!(config.jobs.command_errors, CommandErrors::Fail);
    assert_eq!(config.abort.cooperative.0, Duration::from_millis(500));
    assert_eq!(config.abort.terminate.0, Duration::from_secs(3));
    assert_eq!(config.queue.after_failure, AfterEnd::Continue);
    assert!(config.queue.proxy_stop_empties_queue);
    assert!(config.transports.embedded.on().is_none());
    assert_eq!(config.transports.http.on().unwrap().address.to_string(), "127.0.0.1:0");
    assert_eq!(config.engine.python.memory.0, Some(8 << 30));
    assert_eq!((config.limits.message.0, config.limits.clients.get()), (1_000_000, 3));
    assert_eq!(config.history.keep.0, None);
    let settings = config.python_settings("/work".into());
    assert_eq!((settings.spare_workers, settings.output_limit), (2, 64 << 20));
    assert_eq!((settings.memory, settings.niceness), (Some(8 << 30), 5));
}

#[test]
fn typical_mistakes_are_told_with_place_reason_and_remedy() {
    let mistakes = include_str!("../../tests/fixtures/config/mistakes.txt");
    let mut shown = String::new();
    for case in mistakes.split("\n=== ").skip(1) {
        let (heading, rest) = case.split_once('\n').unwrap();
        let (text, _) = rest.split_once("\n--- ").unwrap();
        let text = text.replace("⇥", "\t");
        shown.push_str(&format!(
            "\n=== {heading}\n{}\n--- says\n{}\n",
            text.replace('\t', "⇥"),
            message(&text)
        ));
    }
    let (introduction, _) = mistakes.split_once("\n=== ").unwrap();
    let shown = format!("{introduction}{shown}");
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        std::fs::write(repository("tests/fixtures/config/mistakes.txt"), &shown).unwrap();
        return;
    }
    assert_eq!(shown, mistakes);
}

#[test]
fn hostile_texts_are_refused_in_bounded_time_and_memory() {
    let bomb = format!("a: &a [{}]\n", "x,".repeat(100))
        + &(0..20).map(|n| format!("b{n}: &b{n} [{}]\n", "*a,".repeat(100))).collect::<String>();
    let deep = "queue: ".to_owned() + &"[".repeat(100_000);
    let deep_map = "a: {".repeat(50_000);
    let wide = "accounts: [".to_owned() + &"{},".repeat(200_000);
    for text in [bomb, deep, deep_map, wide, "\u{0}".into(), "&a *a".into(), "%YAML 9".into(), "? [".into()] {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn an_error_never_shows_a_password_that_stands_in_the_wrong_place() {
    for text in [
        "transports:\n  activemq: {url: 'stomp://127.0.0.1:1', user: a, password: hunter2}\n",
        "engine:\n  nicos:\n    user: a\n    password: hunter2\n",
        "accounts:\n  - {user: a, role: user, password_hash: hunter2}\n",
        "password: hunter2\n",
        "transports: {activemq: {url: 'stomp://beamq:hunter2@127.0.0.1:1', user: a, password_file: p}}\n",
        "transports: {embedded: {stomp: 'beamq:hunter2@127.0.0.1:1'}}\n",
        "accounts:\n\t- {user: a, password: hunter2}\n",
    ] {
        assert!(!message(text).contains("hunter2"), "{}", message(text));
    }
}

#[test]
fn paths_are_relative_to_the_file_and_passwords_are_read_without_their_newline() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(
        at("beamq.yaml"),
        "engine:\n  python: {interpreter: venv/bin/python, path: [lib, /opt/lib], startup: [init.py]}\n\
         catalogue: {folders: [commands]}\n\
         transports:\n  activemq: {url: 'stomp://127.0.0.1:61613', user: beamq, password_file: broker.password}\n",
    )
    .unwrap();
    std::fs::write(at("broker.password"), "hunter2\n").unwrap();
    std::fs::set_permissions(at("broker.password"), std::fs::Permissions::from_mode(0o644)).unwrap();

    let config = Config::load(&at("beamq.yaml")).unwrap();
    let python = &config.engine.python;
    assert_eq!(python.interpreter, at("venv/bin/python"));
    assert_eq!(python.path, [at("lib"), "/opt/lib".into()]);
    assert_eq!(python.startup, [at("init.py")]);
    assert_eq!(config.catalogue.folders.as_deref().unwrap(), [at("commands")]);
    let broker = config.transports.activemq.on().unwrap();
    assert_eq!(broker.password_file, at("broker.password"));
    assert_eq!(broker.queue.as_str(), "ss_admin");
    let advice = format!("{0} can be read by others; run: chmod 600 {0}", at("broker.password").display());
    assert_eq!(config.warnings, [advice]);
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!as_json(&config).to_string().contains("hunter2"));

    std::fs::set_permissions(at("broker.password"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(Config::load(&at("beamq.yaml")).unwrap().warnings, Vec::<String>::new());
    std::fs::write(at("broker.password"), "\n").unwrap();
    let empty = Config::load(&at("beamq.yaml")).unwrap_err().to_string();
    assert!(empty.ends_with("broker.password is empty; write the password into it"), "{empty}");
    std::fs::remove_file(at("broker.password")).unwrap();
    let missing = Config::load(&at("beamq.yaml")).unwrap_err().to_string();
    assert!(missing.contains("broker.password cannot be read (No such file"), "{missing}");
}

#[test]
fn a_file_that_cannot_be_a_configuration_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("beamq.yaml");
    let load = || Config::load(&path).unwrap_err().to_string().replace(&path.display().to_string(), "F");
    assert_eq!(
        load(),
        "the configuration F cannot be read (No such file or directory (os error 2)); name another one with --config"
    );
    std::fs::write(&path, b"instrument: \xFF\n").unwrap();
    assert_eq!(load(), "F is not a configuration: it is not UTF-8 text");
    std::fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
    assert_eq!(load(), "F is not a configuration: it is larger than 1 MiB");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_loader_or_its_errors_fail(
        text in "([a-z_]{1,12}: |queue:|engine|[\\n\\t \\-\\[\\]{}&*!|>'\"%@`#,?:~0-9]|µ|\u{1F52C}|\\PC){0,40}"
    ) {
        if let Err(error) = parse(&text) {
            let shown = error.to_string();
            proptest::prop_assert!(shown.starts_with("beamq.yaml:"), "{}", shown);
        }
    }
}

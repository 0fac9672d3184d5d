use serde_json::{Value, json};

use super::*;

const SAMPLE: &str = r#"
catalogue: 1
group: Sample environment
commands:
  set_temperature:
    summary: Sets the cryostat temperature.
    description: |
      Ramps to the set point and, if asked, waits until it is stable.
    parameters:
      value: {type: number, unit: K, minimum: 0.1, maximum: 300, keywords: [keep], description: Set point.}
      wait: {type: boolean, default: false, description: Wait until stable.}
    implementation: demo.environment:set_temperature
    estimate: "wait ? abs(value - state.temperature) / 2.0 * 60 + 30 : 1"
    simulate: demo.simulation:set_temperature
    pausable: true
    devices: [temperature]
    role: user
    examples: [{value: 5, wait: true}]
"#;

fn catalogue(text: &str) -> Catalogue {
    let (catalogue, findings) = Catalogue::check(&[("test.yaml".into(), text.into())]);
    assert_eq!(findings, [], "{text}");
    catalogue
}

fn problems(catalogue: &Catalogue, command: &str, parameters: serde_json::Value) -> Vec<String> {
    let parameters = parameters.as_object().unwrap().clone();
    let call = CommandCall { command: command.into(), parameters };
    catalogue.check_call(&call).into_iter().map(|problem| problem.message).collect()
}

#[test]
fn the_example_of_the_protocol_is_a_command() {
    let catalogue = catalogue(SAMPLE);
    let command = catalogue.command("set_temperature").unwrap();
    assert_eq!(command.group.as_deref(), Some("Sample environment"));
    assert_eq!((command.file.as_str(), command.line), ("test.yaml", 5));
    let arguments = json!({"value": 290, "wait": true});
    let state = |name: &str| (name == "temperature").then(|| json!(300.0));
    assert_eq!(command.estimate(arguments.as_object().unwrap(), &state), Some(330.0));
    assert_eq!(
        command.estimate(json!({"value": 5}).as_object().unwrap(), &state),
        Some(1.0),
        "the default counts"
    );
}

#[test]
fn the_schema_of_a_command_has_units_and_keywords_as_annotations() {
    let catalogue = catalogue(SAMPLE);
    let schema = catalogue.command("set_temperature").unwrap().schema();
    assert_eq!(
        schema["properties"]["value"],
        json!({
            "anyOf": [
                {"type": "number", "minimum": 0.1, "maximum": 300, "x-unit": "K"},
                {"enum": ["keep"]},
            ],
            "x-unit": "K",
            "x-keywords": ["keep"],
            "x-order": 0,
            "description": "Set point.",
        })
    );
    assert_eq!(schema["required"], json!(["value"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    jsonschema::draft202012::meta::validate(schema).unwrap();
}

#[test]
fn calls_are_judged_by_name_type_limits_and_words() {
    let catalogue = catalogue(SAMPLE);
    let found = |parameters| problems(&catalogue, "set_temperature", parameters);
    assert_eq!(found(json!({"value": 5, "wait": true})), Vec::<String>::new());
    assert_eq!(found(json!({"value": "keep"})), Vec::<String>::new());
    assert_eq!(found(json!({"value": 0.1})), Vec::<String>::new(), "the limits themselves are allowed");
    assert_eq!(
        found(json!({"value": 0.05, "wait": 1, "hold": 2})),
        [
            "set_temperature has no parameter hold",
            "set_temperature: value: 0.05 K is below the minimum of 0.1 K",
            "set_temperature: wait: 1 is a number, and true or false is expected",
        ]
    );
    assert_eq!(found(json!({})), ["set_temperature: value is missing (Set point.)"]);
    assert_eq!(problems(&catalogue, "set_temp", json!({})), ["there is no command set_temp"]);
    assert_eq!(catalogue.nearest("temperature_set"), Some("set_temperature"));
}

#[test]
fn steps_count_from_the_minimum_and_forgive_rounding() {
    let text = "catalogue: 1\ncommands:\n  go:\n    summary: Goes.\n    implementation: a:b\n    parameters:\n      to: {type: number, minimum: 0.05, step: 0.1, optional: true}\n      n: {type: integer, step: 3, optional: true}\n";
    let catalogue = catalogue(text);
    for good in [
        json!({"to": 0.05}),
        json!({"to": 0.35}),
        json!({"to": 1000.05}),
        json!({"n": -9}),
        json!({"to": null}),
    ] {
        assert_eq!(problems(&catalogue, "go", good.clone()), Vec::<String>::new(), "{good}");
    }
    assert_eq!(
        problems(&catalogue, "go", json!({"to": 0.3})),
        ["go: to: 0.3 is no multiple of the step 0.1 from 0.05"]
    );
    assert_eq!(problems(&catalogue, "go", json!({"n": 4})), ["go: n: 4 is no multiple of the step 3 from 0"]);
}

#[test]
fn the_version_follows_the_commands_and_not_the_layout() {
    let version = |text: &str| catalogue(text).version().to_owned();
    let before = version(SAMPLE);
    assert_eq!(version(&format!("# a comment\n{SAMPLE}")), before);
    assert_ne!(version(&SAMPLE.replace("300", "290")), before);
    assert_ne!(version(&SAMPLE.replace("Sets the", "Sets this")), before);
    assert_ne!(version(&SAMPLE.replace("Sample environment", "Cryostat")), before);
}

#[test]
fn anchors_and_merge_keys_save_writing() {
    let text = "catalogue: 1\ncommands:\n  go:\n    summary: Goes.\n    implementation: a:b\n    parameters:\n      x: &axis {type: number, unit: mm, minimum: 0}\n      y: *axis\n      z: {<<: *axis, maximum: 9}\n";
    let catalogue = catalogue(text);
    let spec = &catalogue.command("go").unwrap().spec;
    assert_eq!(spec.parameters.get("y"), spec.parameters.get("x"));
    assert_eq!(
        problems(&catalogue, "go", json!({"x": 1, "y": 1, "z": 10})),
        ["go: z: 10 mm is above the maximum of 9 mm"]
    );
}

#[test]
fn a_file_with_an_error_contributes_nothing_until_it_was_good() {
    let good = CheckedFile::read("a.yaml", SAMPLE);
    let bad = CheckedFile::read("a.yaml", &SAMPLE.replace("unit: K", "unit: Kelvin"));
    let (empty, _) = Catalogue::assemble(&[(&bad, None)]);
    assert_eq!((empty.len(), empty.problems().len()), (0, 1));
    let (kept, _) = Catalogue::assemble(&[(&bad, Some(&good))]);
    assert_eq!((kept.len(), kept.problems().len()), (1, 1));
}

#[test]
fn the_published_schema_of_the_format_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/catalogue.schema.json");
    let made = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("BEAMQ_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == made, "{} is out of date; regenerate it with BEAMQ_BLESS=1", path.display());
}

#[test]
fn the_schema_of_the_format_has_the_keys_that_are_read() {
    let schema = json_schema();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let sorted = |keys: &[&str]| {
        let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&schema), sorted(&read::FILE_KEYS));
    assert_eq!(keys(&schema["$defs"]["CommandSpec"]), sorted(&read::COMMAND_KEYS));
    assert_eq!(keys(&schema["$defs"]["ParameterSpec"]), sorted(&read::PARAMETER_KEYS));
    assert_eq!(keys(&schema["$defs"]["ValueSpec"]), sorted(&read::VALUE_KEYS));
}

#[test]
fn the_shipped_and_the_tested_catalogues_are_good_and_fit_the_published_schema() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let published = jsonschema::validator_for(&json_schema()).unwrap();
    for folder in ["commands", "tests/fixtures/catalogue/commands"] {
        let files: Vec<_> = folder::files_below(&root.join(folder))
            .into_iter()
            .map(|path| (path.clone(), folder::read(&path).unwrap()))
            .collect();
        let (_, findings) = Catalogue::check(&files);
        assert_eq!(findings, [], "{folder}");
        for (path, text) in files {
            let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            let errors: Vec<_> = published.iter_errors(&value).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
        }
    }
}

#[test]
fn a_job_of_calls_is_python_with_one_call_a_line() {
    let calls: Vec<CommandCall> = serde_json::from_value(json!([
        {"command": "scan", "parameters": {"axis": "s\"1\n", "places": [0, 0.5, null], "fast": true}},
        {"command": "note", "parameters": {"text": "µA·h 😀 \\", "more": {"a b": false}}},
        {"command": "x(); import os", "parameters": {"y=1)#": 1}},
    ]))
    .unwrap();
    assert_eq!(
        python::source_of_calls(&calls).lines().collect::<Vec<_>>(),
        [
            r#"from beamq import commands as _commands; _commands.scan(axis="s\"1\n", fast=True, places=[0, 0.5, None])"#,
            r#"_commands.note(more={"a b": False}, text="\u00b5A\u00b7h \U0001f600 \\")"#,
            r#"getattr(_commands, "x(); import os")(**{"y=1)#": 1})"#,
        ]
    );
}

#[test]
fn a_shelf_reads_what_has_changed_and_keeps_what_was_good() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.yaml");
    let mut shelf = folder::Shelf::new(vec![root.path().to_owned()]);
    assert!(!shelf.refresh(), "there is nothing");
    std::fs::write(&path, SAMPLE).unwrap();
    assert!(shelf.looks_changed() && shelf.refresh() && !shelf.refresh() && !shelf.looks_changed());
    let version = shelf.catalogue().0.version().to_owned();
    std::fs::write(&path, SAMPLE.replace("unit: K", "unit: Kelvin")).unwrap();
    assert!(shelf.refresh());
    std::fs::write(&path, "catalogue: 1\ncommands: [").unwrap();
    assert!(shelf.refresh());
    let (catalogue, _) = shelf.catalogue();
    assert_eq!((catalogue.version(), catalogue.problems().len()), (version.as_str(), 1));
    for other in [".a.yaml.swp", "a.yaml~", "b.txt"] {
        std::fs::write(root.path().join(other), "rubbish: [").unwrap();
    }
    assert!(!shelf.refresh(), "copies of editors are no catalogue files");
    std::fs::remove_file(&path).unwrap();
    assert!(
        shelf.refresh() && shelf.catalogue().0.is_empty(),
        "a file that is gone is gone with its commands"
    );
}

#[test]
fn the_shipped_catalogue_is_unpacked_and_put_right_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = shipped::unpack(root.path()).unwrap();
    std::fs::write(folder.join("old.yaml"), "catalogue: 1").unwrap();
    if let Some((name, content)) = shipped::FILES.first() {
        std::fs::write(folder.join(name), "changed").unwrap();
        shipped::unpack(root.path()).unwrap();
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), *content);
    } else {
        shipped::unpack(root.path()).unwrap();
    }
    assert!(!folder.join("old.yaml").exists());
}

#[test]
fn the_declared_effect_of_a_call_is_worked_out_from_its_arguments() {
    let text = "catalogue: 1\ncommands:\n  set_temperature:\n    summary: Sets.\n    parameters:\n      \
        value: {type: number, unit: K, keywords: [keep]}\n      wait: {type: boolean, default: true}\n    \
        implementation: lab:set_temperature\n    effect: {temperature: 'value == \"keep\" ? state.temperature : \
        wait ? value : 0 / 0', heater: 1}\n  look:\n    summary: Looks.\n    implementation: lab:look\n    \
        effect: {}\n  tinker:\n    summary: Tinkers.\n    implementation: lab:tinker\n";
    let (catalogue, findings) = Catalogue::check(&[("lab.yaml".into(), text.to_owned())]);
    assert_eq!(findings, []);
    let of = |command: &str, arguments: Value| {
        let state = |name: &str| (name == "temperature").then(|| json!(12.5));
        let command = catalogue.command(command).unwrap();
        let effects = command.effects(arguments.as_object().unwrap(), &state)?;
        Some(effects.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<_>>())
    };
    let shown =
        |temperature| Some(vec![("temperature".to_owned(), temperature), ("heater".to_owned(), Some(1.0))]);
    assert_eq!(of("set_temperature", json!({"value": -5})), shown(Some(-5.0)));
    assert_eq!(of("set_temperature", json!({"value": "keep"})), shown(Some(12.5)));
    assert_eq!(of("set_temperature", json!({"value": 5, "wait": false})), shown(None));
    assert_eq!(of("look", json!({})), Some(vec![]));
    assert_eq!(of("tinker", json!({})), None, "nothing is declared, so anything may change");
}

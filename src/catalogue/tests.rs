use serde_json::json;

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

#[test]
fn the_example_of_the_protocol_is_a_command() {
    let catalogue = catalogue(SAMPLE);
    let command = catalogue.command("set_temperature").unwrap();
    assert_eq!(command.group.as_deref(), Some("Sample environment"));
    assert_eq!((command.file.as_str(), command.line), ("test.yaml", 5));
    let arguments = json!({"value": 290, "wait": true});
    let state = |name: &str| (name == "temperature").then(|| json!(300.0));
    assert_eq!(command.estimate(arguments.as_object().unwrap(), &state), Some(330.0));
}

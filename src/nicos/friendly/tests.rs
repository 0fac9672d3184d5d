//! What a NICOS daemon sent, as clients see it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{fs, path::PathBuf};

use super::*;
use crate::wire::pickle;

/// What clients see of a captured payload, found by its number.
fn seen(number: u32) -> Value {
    friendly(captured(number))
}

fn captured(number: u32) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/nicos/payloads");
    let prefix = format!("{number:03}_");
    let path = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(".json")
        })
        .unwrap();
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_text_for_clients_says_what_the_value_does() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/nicos/payloads");
    let limits = pickle::Limits::default();
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "bin") {
            continue;
        }
        let payload = fs::read(&path).unwrap();
        let value = friendly(pickle::decode(&payload, &limits).unwrap());
        let text = pickle::decode_to_text(&payload, &limits, friendly).unwrap();
        assert_eq!(text, value.to_string(), "{}", path.display());
        read += 1;
    }
    assert!(read > 100, "only {read} payloads");
}

#[test]
fn devices_are_their_names_and_read_only_collections_are_plain() {
    assert_eq!(seen(71)["m1"], "m1");
    assert_eq!(seen(75), json!([]));
    assert_eq!(seen(76), json!({}));
    assert_eq!(seen(68)[0], "nicos.devices.generic.virtual.VirtualMotor");
    let keys = seen(143);
    assert!(keys.as_array().unwrap().contains(&json!(["det/_lastpreset", {"t": 0.05}])), "{keys}");
}

#[test]
fn descriptions_of_values_and_parameters_are_their_members() {
    assert_eq!(
        seen(81),
        json!([{"errors": "none", "fmtstr": "%.3f", "name": "m1", "type": "other", "unit": "mm"}])
    );
    let parameters = seen(78);
    assert_eq!(parameters["abslimits"]["description"], "Absolute limits of device value");
    assert_eq!(parameters["classes"]["default"], json!([]));
    // What has no better form keeps the tagged one.
    assert_eq!(parameters["abslimits"]["type"], json!({"$global": "nicos.core.params.limits"}));
}

#[test]
fn datasets_are_objects_with_their_class() {
    let scan = seen(130);
    assert_eq!(scan["class"], "ScanData");
    assert_eq!(scan["uid"], "ad3a0cf3-537b-440c-ae85-6bb7224cfcea");
    assert_eq!(scan["started"], "2026-11-21T03:57:04+00:00");
    assert_eq!(scan["xvalueinfo"][0]["name"], "m1");
    assert_eq!(scan["yresults"][0][2], 7260.0);

    let kept = seen(173);
    let scan = &kept[0];
    assert_eq!(scan["class"], "ScanDataset");
    assert_eq!(scan["detectors"], json!(["det"]));
    let point = &scan["subsets"][0];
    assert_eq!(point["class"], "PointDataset");
    assert_eq!(
        point["metainfo"]["det"]["preset"],
        json!({"value": 0.05, "text": "0.05", "unit": "", "category": "presets"})
    );
    assert_eq!(point["uid"].as_str().unwrap().len(), 36);
    assert!(!kept.to_string().contains("uuid.UUID"));
}

#[test]
fn exceptions_say_what_they_are_and_what_is_wrong() {
    let refused = captured(103);
    assert!(is_exception(&refused) && is_exception(&captured(101)) && !is_exception(&captured(81)));
    let message = "[m1] moving to 1000.000 mm is not allowed: limits are [-100.0, 100.0]";
    assert_eq!(
        friendly(refused),
        json!({
            "exception": "nicos.core.errors.LimitError",
            "message": message,
            "args": [message],
            "details": {"device": "m1"},
        })
    );
    assert_eq!(seen(101)["message"], "'(' was never closed");
}

#[test]
fn numbers_of_numpy_are_numbers() {
    assert_eq!(seen(83), 7);
    let scalar = |code: &str, order: &str, bytes: &str| {
        let kind = json!({"$object": "numpy.dtype", "args": [code, false, true], "state": [3, order]});
        friendly(json!({"$object": "numpy.core.multiarray.scalar", "args": [kind, {"$bytes": bytes}]}))
    };
    assert_eq!(scalar("i2", "<", "/v8="), -2);
    assert_eq!(scalar("i2", ">", "//4="), -2);
    assert_eq!(scalar("u1", "|", "/w=="), 255);
    assert_eq!(scalar("b1", "|", "AQ=="), true);
    assert_eq!(scalar("f4", "<", "zczMPQ=="), 0.1);
    assert_eq!(scalar("f8", "<", "mpmZmZmZuT8="), 0.1);
    assert_eq!(scalar("f8", "<", "AAAAAAAA+H8=")["$object"], "numpy.core.multiarray.scalar", "not a number");
    assert_eq!(scalar("U1", "<", "YQAAAA==")["$object"], "numpy.core.multiarray.scalar");
}

#[test]
fn dictionaries_of_special_classes_are_plain_if_their_keys_allow_it() {
    assert_eq!(seen(90), json!({"a": 1}));
    assert_eq!(seen(91), json!({}));
    let other = json!({"$object": "collections.OrderedDict", "pairs": [[1, 2]]});
    assert_eq!(friendly(other.clone()), other);
}

#[test]
fn everything_else_keeps_its_tagged_form() {
    for number in [61, 63, 85, 88, 93, 95, 105, 106, 110] {
        let value = captured(number);
        assert_eq!(friendly(value.clone()), value, "{number}");
    }
    // An object of a known class with more to it than usual.
    let list = json!({"$object": "nicos.utils.readonlylist", "args": [[1]], "state": {"a": 1}});
    assert_eq!(friendly(list.clone()), list);
}

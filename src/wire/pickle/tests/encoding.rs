//! What we send: pickles that come out of the decoder as what went in.

use super::*;

fn sent_and_read(value: &Value) -> Value {
    read(&encode(value).unwrap_or_else(|error| panic!("{value}: {error}")))
}

#[test]
fn what_is_sent_reads_back_as_itself() {
    for value in [
        json!(null),
        json!([true, false, 0, -1, 255, 256, 65536, i64::MAX, i64::MIN, 0.5, -0.0, "", "ä😀", [], {}]),
        json!({"a": {"b": [1, {"c": null}]}}),
        json!({"$int": "-100000000000000000000000"}),
        json!([{"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}]),
        json!({"$bytes": "AP+AYWJj"}),
        json!({"$bytes": ""}),
        json!({"$set": []}),
        json!({"$set": [1, 2, [3, "x"]]}),
        json!({"$map": [[[1, 2], 3], [{"$set": [1]}, 4], ["$x", 5]]}),
    ] {
        let back = sent_and_read(&value);
        match (&value["$map"], &back["$map"]) {
            (Value::Array(sent), Value::Array(read)) => {
                assert_eq!(sent.len(), read.len());
                assert!(sent.iter().all(|pair| read.contains(pair)), "{back}");
            }
            _ => assert_eq!(back, value),
        }
    }
    assert_eq!(sent_and_read(&json!(u64::MAX)), json!({"$int": "18446744073709551615"}));
}

#[test]
fn arguments_are_a_tuple_of_protocol_2() {
    assert_eq!(encode_arguments(&[]).unwrap(), b"\x80\x02).");
    let one = encode_arguments(&[json!([1])]).unwrap();
    assert!(one.starts_with(b"\x80\x02") && one.ends_with(b"\x85."), "{}", one.escape_ascii());
    let many: Vec<_> = (0..5).map(Value::from).collect();
    assert!(encode_arguments(&many).unwrap().ends_with(b"t."));
    assert_eq!(read(&encode_arguments(&many).unwrap()), json!([0, 1, 2, 3, 4]));
}

#[test]
fn objects_that_are_plain_values_are_sent_as_those() {
    let device = json!({"$object": "__builtin__.unicode", "args": ["m1"]});
    assert_eq!(sent_and_read(&device), json!("m1"));
    let list = json!({"$object": "nicos.utils.readonlylist", "args": [[1, 2]]});
    assert_eq!(sent_and_read(&list), json!([1, 2]));
}

#[test]
fn nothing_is_sent_that_python_would_run() {
    for (value, tag) in [
        (json!({"$global": "os.system"}), "$global"),
        (json!([{"$object": "os.system", "args": ["true"]}]), "$object"),
        (json!({"a": {"$object": "__builtin__.unicode", "args": ["m1"], "state": {}}}), "$object"),
        (json!({"$object": "nicos.utils.readonlylist", "args": [{"$object": "os.system"}]}), "$object"),
        (json!({"$wtf8": "7aCA"}), "$wtf8"),
        (json!({"$recursive": true}), "$recursive"),
    ] {
        match encode(&value) {
            Err(EncodeError::NotSent { tag: refused, .. }) => assert_eq!(refused, tag),
            other => panic!("{value}: {other:?}"),
        }
        assert!(encode_arguments(&[value]).is_err());
    }
}

#[test]
fn a_tag_that_is_none_is_refused_with_what_is_wrong() {
    for value in [
        json!({"$nosuch": 1}),
        json!({"$int": 1}),
        json!({"$int": "1x"}),
        json!({"$int": "1", "more": 2}),
        json!({"$float": "1.5"}),
        json!({"$bytes": "a"}),
        json!({"$set": {}}),
        json!({"$set": [{}]}),
        json!({"$set": [{"$map": []}]}),
        json!({"$map": [[1]]}),
        json!({"$map": [[{"a": 1}, 2]]}),
    ] {
        assert!(matches!(encode(&value), Err(EncodeError::NotATag { .. })), "{value}: {:?}", encode(&value));
    }
    let mut deep = json!(1);
    for _ in 0..DEEPEST + 1 {
        deep = Value::Array(vec![deep]);
    }
    assert_eq!(encode(&deep), Err(EncodeError::TooDeep { limit: DEEPEST }));
}

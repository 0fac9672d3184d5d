//! Operations that a NICOS daemon does not send, and those that cannot be read.

use super::*;

#[test]
fn values_of_protocol_0_are_read_from_their_text() {
    let cases = [
        (b"I42\n.".as_slice(), json!(42)),
        (b"I01\n.", json!(true)),
        (b"I00\n.", json!(false)),
        (b"L-7L\n.", json!(-7)),
        (b"L9223372036854775808L\n.", json!({"$int": "9223372036854775808"})),
        (b"L-00009223372036854775808L\n.", json!(i64::MIN)),
        (b"F-0.25\n.", json!(-0.25)),
        (b"Fnan\n.", json!({"$float": "nan"})),
        (b"S'abc'\n.", json!("abc")),
        (b"Vab\\u20ac\\U0001f600\xe4\\x\n.", json!("ab€😀ä\\x")),
        (b"V\\ud800\n.", json!({"$wtf8": "7aCA"})),
        (b"(lp0\nI1\naI2\na.", json!([1, 2])),
        (b"(dp0\nVa\nI1\ns.", json!({"a": 1})),
        (b"(I1\nt.", json!([1])),
        (b"(I1\nimodule\nClass\n.", json!({"$object": "module.Class", "args": [1]})),
        (b"(cmodule\nClass\nI1\no.", json!({"$object": "module.Class", "args": [1]})),
    ];
    for (payload, expected) in cases {
        assert_eq!(read(payload), expected, "{}", payload.escape_ascii());
    }
}

#[test]
fn integers_of_64_bits_are_numbers_and_others_are_text() {
    let cases = [
        (b"\x8a\x00.".as_slice(), json!(0)),
        (b"\x8a\x01\xff.", json!(-1)),
        (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", json!(i64::MAX)),
        (b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", json!(i64::MIN)),
        (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", json!({"$int": "9223372036854775808"})),
        (b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\xff.", json!({"$int": "-9223372036854775809"})),
        (b"\x8a\x0c\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00.", json!(5)),
        (b"\x8a\x0c\xfb\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff.", json!(-5)),
    ];
    for (payload, expected) in cases {
        assert_eq!(read(payload), expected, "{}", payload.escape_ascii());
    }
}

#[test]
fn byte_strings_of_python_2_are_text_if_they_can_be() {
    assert_eq!(read(b"U\x02ab."), json!("ab"));
    assert_eq!(read(b"T\x01\x00\x00\x00\xff."), json!({"$bytes": "/w=="}));
}

#[test]
fn a_member_with_a_dollar_makes_the_dictionary_a_list_of_pairs() {
    assert_eq!(read(b"}X\x04\0\0\0$setNs."), json!({"$map": [["$set", null]]}));
    assert_eq!(read(b"}(V$a\nNVb\nNu."), json!({"$map": [["$a", null], ["b", null]]}));
}

#[test]
fn the_last_of_the_values_with_the_same_name_counts() {
    assert_eq!(read(b"}(Vb\nI1\nVa\nI2\nVb\nI3\nu."), json!({"a": 2, "b": 3}));
    assert_eq!(read(b"}(X\x01\0\0\0bK\x01X\x01\0\0\0aK\x02X\x01\0\0\0bK\x03u."), json!({"a": 2, "b": 3}));
}

#[test]
fn another_form_is_given_to_what_is_not_plain() {
    let payload = b"}(X\x01\0\0\0acm\nC\n)RX\x01\0\0\0b](cm\nC\n)RG\x7f\xf0\0\0\0\0\0\0K\x01eu.";
    let form = |value: Value| match value.get("$object") {
        Some(name) => json!([name]),
        None => value,
    };
    let text = decode_to_text(payload, &Limits::default(), form).unwrap();
    assert_eq!(text, r#"{"a":["m.C"],"b":[["m.C"],{"$float":"inf"},1]}"#);
}

#[test]
fn a_call_whose_maker_is_a_result_keeps_the_result() {
    let payload = b"c__builtin__\ngetattr\n(cm\nC\nVx\ntR(I1\ntR.";
    let getattr = json!({"$object": "__builtin__.getattr", "args": [{"$global": "m.C"}, "x"]});
    assert_eq!(read(payload), json!({"$object": getattr, "args": [1]}));
}

#[test]
fn everything_that_is_done_to_an_object_is_kept() {
    let payload = b"\x80\x02cm\nC\n)\x81(K\x01K\x02eK\x03a}X\x01\0\0\0aK\x04sbX\x01\0\0\0kK\x05s.";
    let expected = json!({"$object": "m.C", "items": [1, 2, 3], "state": {"a": 4}, "pairs": [["k", 5]]});
    assert_eq!(read(payload), expected);
    let named = b"\x80\x04cm\nC\nK\x01\x85}\x8c\x01aK\x02s\x92.";
    assert_eq!(read(named), json!({"$object": "m.C", "args": [1], "kwargs": {"a": 2}}));
}

#[test]
fn what_contains_itself_says_so_at_the_inner_place() {
    let recursive = json!({"$recursive": true});
    assert_eq!(read(b"]q\0h\0a."), json!([recursive]));
    assert_eq!(read(b"}q\0X\x01\0\0\0ah\0s."), json!({"a": recursive}));
    assert_eq!(read(b"]q\0h\0\x85q\x01a0h\x01."), json!([[recursive]]));
    assert_eq!(
        read(b"cm\nC\n)Rq\0}X\x01\0\0\0ah\0sb."),
        json!({"$object": "m.C", "state": {"a": recursive}})
    );
    assert_eq!(read(b"]q\0h\0h\0\x86."), json!([[], []]), "being referenced twice is not containing itself");
}

#[test]
fn an_encoder_that_would_fail_stays_a_call() {
    let call = json!({"$object": "_codecs.encode", "args": ["€", "latin1"]});
    assert_eq!(read(b"c_codecs\nencode\nX\x03\0\0\0\xe2\x82\xacX\x06\0\0\0latin1\x86R."), call);
    let other = json!({"$object": "_codecs.encode", "args": ["a", "rot13"]});
    assert_eq!(read(b"c_codecs\nencode\nX\x01\0\0\0aX\x05\0\0\0rot13\x86R."), other);
}

#[test]
fn what_needs_an_agreement_outside_the_message_is_refused_by_name() {
    let cases = [
        (b"P1\n.".as_slice(), "a persistent id"),
        (b"NQ.", "a persistent id"),
        (b"\x82\x01.", "an entry of the extension registry"),
        (b"\x97.", "a buffer beside the pickle"),
        (b"\x80\x06N.", "a protocol after 5"),
    ];
    for (payload, expected) in cases {
        match refusal(payload) {
            DecodeError::Unsupported { what, .. } => assert_eq!(what, expected),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn operations_that_do_not_fit_are_refused() {
    for payload in [
        b".".as_slice(),
        b"0.",
        b"2.",
        b"(.",
        b"N(.",
        b"t.",
        b"1.",
        b"\x85.",
        b"N(\x85.",
        b"N\x86.",
        b"a.",
        b"Na.",
        b"NNa.",
        b"(e.",
        b"N(e.",
        b"]K\x01s.",
        b"}(K\x01u.",
        b"(K\x01d.",
        b"](\x90.",
        b"h\0.",
        b"g7\n.",
        b"gx\n.",
        b"q\0.",
        b"R.",
        b"NNR.",
        b"]]b.",
        b"K\x01K\x02\x93.",
        b"(o.",
        b"cm\nC\n)N\x92.",
        b"X\x01\0\0\0\xff.",
        b"X\x03\0\0\0\xed\x9f.",
        b"Iabc\n.",
        b"L\n.",
        b"Fabc\n.",
        b"Sabc\n.",
        b"c\xff\nC\n.",
    ] {
        assert!(matches!(refusal(payload), DecodeError::Malformed { .. } | DecodeError::Truncated { .. }));
    }
    assert_eq!(refusal(b"N\xff."), DecodeError::UnknownOperation { at: 1, opcode: 0xff });
    assert_eq!(refusal(b""), DecodeError::Truncated { at: 0 });
}

#[test]
fn marks_protect_what_is_below_them() {
    assert_eq!(read(b"N(K\x010\x30."), json!(null), "a mark can be dropped like a value");
    assert!(decode(b"N(0t.", &Limits::default()).is_err());
    assert_eq!(read(b"K\x07(K\x01K\x021."), json!(7));
}

//! Payloads made to cost more than they weigh. Each is refused by the limit that it runs into, or is cheap.

use super::*;

/// 4 bytes, little-endian.
fn u32_bytes(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

fn too_large(payload: &[u8], expected: &str) {
    match refusal(payload) {
        DecodeError::TooLarge { what, .. } => assert_eq!(what, expected),
        other => panic!("{other}"),
    }
}

#[test]
fn a_megabyte_of_marks_is_refused() {
    too_large(&vec![b'('; 1 << 20], "open collections");
}

#[test]
fn a_hundred_thousand_nested_collections_are_refused() {
    let lists = [vec![b']'; 100_000], vec![b'a'; 99_999], b".".to_vec()].concat();
    too_large(&lists, "nested levels");
    let tuples = [b"N".to_vec(), vec![0x85; 100_000], b".".to_vec()].concat();
    too_large(&tuples, "nested levels");
    let marked = [b"(".repeat(100_000), b"t".repeat(100_000), b".".to_vec()].concat();
    too_large(&marked, "open collections");
    let objects =
        [b"c_\n_\n".repeat(100_000), b")R".to_vec(), b"\x85R".repeat(99_999), b".".to_vec()].concat();
    too_large(&objects, "nested levels");
    let makers = [b"c_\n_\n".to_vec(), b")R".repeat(100_000), b".".to_vec()].concat();
    too_large(&makers, "nested levels");
    let states = [b"c_\n_\n)R".repeat(100_000), b"b".repeat(99_999), b".".to_vec()].concat();
    too_large(&states, "nested levels");
    let keys = [b"}".repeat(100_000), b"Ns".repeat(50_000), b".".to_vec()].concat();
    assert!(decode(&keys, &Limits::default()).is_err());
}

#[test]
fn the_deepest_value_that_is_allowed_can_be_used_and_dropped() {
    let depth = Limits::default().depth;
    let lists = |depth: usize| [vec![b']'; depth], vec![b'a'; depth - 1], b".".to_vec()].concat();
    let text = read(&lists(depth)).to_string();
    assert_eq!(text, format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let back: Value = serde_json::from_str(&text).expect("what we write, JSON parsers can read");
    assert_eq!(back, read(&lists(depth)));
    too_large(&lists(depth + 1), "nested levels");
    // A greater limit than what the stack can bear is not taken at its word.
    let limits = Limits { depth: usize::MAX, ..Limits::default() };
    assert!(decode(&lists(DEEPEST), &limits).is_ok());
    assert!(decode(&lists(DEEPEST + 1), &limits).is_err());
}

#[test]
fn copies_of_copies_are_refused_before_they_are_written() {
    // Each list holds the one before ten times: 10^30 values in 700 bytes.
    let mut payload = b"]".to_vec();
    for level in 0..30 {
        payload.extend([b'q', level, b'0', b']', b'(']);
        payload.extend([b'h', level].repeat(10));
        payload.push(b'e');
    }
    payload.push(b'.');
    let limits = Limits { output_bytes: 1 << 24, ..Limits::default() };
    let doubled = [b"]".to_vec(), b"2\x86".repeat(80), b".".to_vec()].concat();
    let refused = DecodeError::TooLarge { what: "bytes of JSON", limit: 1 << 24 };
    for bomb in [payload, doubled] {
        assert_eq!(decode(&bomb, &limits), Err(refused.clone()));
        assert_eq!(text_of(&bomb, &limits), Err(refused.clone()));
    }
}

#[test]
fn the_text_is_no_larger_than_the_limit_however_it_is_escaped() {
    // Each of these characters takes six in JSON.
    let text = [b"X".as_slice(), &u32_bytes(1000), &[1; 1000], b"."].concat();
    let limits = |output_bytes| Limits { output_bytes, ..Limits::default() };
    assert!(decode(&text, &limits(2000)).is_ok());
    let refused = DecodeError::TooLarge { what: "bytes of JSON", limit: 6000 };
    assert_eq!(text_of(&text, &limits(6000)), Err(refused));
    assert_eq!(text_of(&text, &limits(6100)).map(|text| text.len()), Ok(6002));
}

#[test]
fn objects_in_a_text_share_its_budget() {
    // The same object, written often: the JSON of each counts.
    let object = b"cm\nC\n)R}X\x01\0\0\0aNsbq\x00";
    let payload = [b"(".as_slice(), object, &b"h\0".repeat(10_000), b"l."].concat();
    let limits = Limits { output_bytes: 1 << 20, ..Limits::default() };
    let refused = DecodeError::TooLarge { what: "bytes of JSON", limit: 1 << 20 };
    assert_eq!(decode(&payload, &limits), Err(refused.clone()));
    assert_eq!(text_of(&payload, &limits), Err(refused));
}

#[test]
fn a_long_text_that_is_referenced_often_counts_each_time() {
    const LENGTH: usize = 1 << 16;
    let text = [b"X".as_slice(), &u32_bytes(LENGTH), &[b'x'; LENGTH]].concat();
    let list = [b"(".as_slice(), &text, b"q\0", &b"h\0".repeat(300), b"l."].concat();
    let bytes = [
        b"(".as_slice(),
        b"c_codecs\nencode\n",
        &text,
        b"X\x06\0\0\0latin1\x86Rq\0",
        &b"h\0".repeat(300),
        b"l.",
    ];
    let keys = [b"(".as_slice(), &text, b"q\0}(h\0Nuq\x01", &b"h\x01".repeat(300), b"l."].concat();
    let limits = Limits { output_bytes: 256 * LENGTH, ..Limits::default() };
    let refused = DecodeError::TooLarge { what: "bytes of JSON", limit: 256 * LENGTH };
    for payload in [list, bytes.concat(), keys] {
        assert_eq!(decode(&payload, &limits), Err(refused.clone()));
        assert_eq!(text_of(&payload, &limits), Err(refused.clone()));
    }
}

#[test]
fn keys_that_need_pairs_on_every_level_are_written_once() {
    let mut payload = b"K\x01".to_vec();
    for level in 0..24_u8 {
        payload.extend([b'q', level, b'0', b'}', b'(', 0x8c, 1, b'a', b'h', level]);
        payload.extend(b"K\x01Nu");
    }
    payload.push(b'.');
    let written = read(&payload).to_string();
    assert_eq!(written.matches("$map").count(), 24);
}

#[test]
fn copies_of_a_list_that_grow_apart_are_refused() {
    // Each set shares the beginning with the list until something is added to it: a few bytes would copy all of it.
    let list = [b"(".as_slice(), &b"N".repeat(2_000), b"lq\x000c__builtin__\nset\nq\x010"].concat();
    let added = b"h\x01h\x00\x85R(N\x900".repeat(5_000);
    let payload = [list.as_slice(), &added, b"N."].concat();
    too_large(&payload, "values");
}

#[test]
fn many_operations_on_few_values_are_refused() {
    too_large(&b"N0".repeat(3_000_000), "operations");
    too_large(&b"N".repeat(5_000_000), "operations");
    too_large(&[b"Nq\0".to_vec(), b"h\x000".repeat(3_000_000)].concat(), "operations");
}

#[test]
fn a_kept_value_cannot_ask_for_memory_by_its_number() {
    too_large(b"Nr\xff\xff\xff\xff.", "kept values");
    too_large(b"Np4294967295\n.", "kept values");
    let limits = Limits { memo_entries: 2, ..Limits::default() };
    let three = b"N\x94\x94\x94.";
    assert_eq!(decode(three, &limits), Err(DecodeError::TooLarge { what: "kept values", limit: 2 }));
}

#[test]
fn a_huge_length_is_not_believed() {
    for payload in [
        b"X\xff\xff\xff\xffabc.".as_slice(),
        b"B\xff\xff\xff\x7fabc.",
        b"T\xff\xff\xff\xffabc.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x96\x00\x00\x00\x00\x00\x01\x00\x00abc.",
        b"\x8b\xff\xff\xff\x7f\x01.",
    ] {
        assert!(matches!(refusal(payload), DecodeError::Truncated { .. }), "{}", payload.escape_ascii());
    }
}

#[test]
fn integers_are_bounded_since_their_decimal_digits_take_long() {
    let integer = |bytes: usize| [b"\x8b".as_slice(), &u32_bytes(bytes), &vec![0x7f; bytes]].concat();
    assert!(decode(&[integer(4096), b".".to_vec()].concat(), &Limits::default()).is_ok());
    too_large(&[integer(4097), b".".to_vec()].concat(), "bytes in an integer");
    too_large(&[b"L".to_vec(), vec![b'7'; 10_000], b"L\n.".to_vec()].concat(), "bytes in an integer");
    let shared = [b"(".as_slice(), &integer(4096), b"q\0", &b"h\0".repeat(100_000), b"l."].concat();
    too_large(&shared, "bytes of JSON");
}

#[test]
fn a_payload_over_the_limit_is_not_looked_at() {
    let limits = Limits { payload_bytes: 3, ..Limits::default() };
    assert!(decode(b"]q\0", &limits).is_err());
    assert_eq!(decode(b"]q\0.", &limits), Err(DecodeError::TooLarge { what: "bytes", limit: 3 }));
}

#[test]
fn collections_that_grow_in_turns_keep_their_own_members() {
    // Two lists, fed one value at a time in turns, a set that shares the first list's beginning, and all three shown.
    let mut payload = b"]q\x000]q\x010".to_vec();
    for number in 0..50_u8 {
        payload.extend([b'h', 0, b'K', number, b'a', b'0', b'h', 1, b'K', number + 100, b'a', b'0']);
        if number == 10 {
            payload.extend(b"c__builtin__\nset\nh\x00\x85Rq\x020");
        }
        if number == 20 {
            payload.extend(b"h\x02(K\xffK\xfe\x900");
        }
    }
    payload.extend(b"h\x00h\x01h\x02\x87.");
    let first: Vec<_> = (0..50).collect();
    let second: Vec<_> = (100..150).collect();
    let mut set: Vec<_> = (0..=10).chain([254, 255]).collect();
    set.sort_by_key(u8::to_string);
    assert_eq!(read(&payload), json!([first, second, {"$set": set}]));
}

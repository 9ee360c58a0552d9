//! Tests of the record cutter.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// The records of a text, each with its line; the same for every size of the pieces.
fn cut(text: &str) -> Vec<(u64, String)> {
    let found = cut_in_pieces(text, usize::MAX);
    for size in [1, 2, 3, 7] {
        assert_eq!(cut_in_pieces(text, size), found, "in pieces of {size}");
    }
    found
}

fn cut_in_pieces(text: &str, size: usize) -> Vec<(u64, String)> {
    let mut cutter = RecordCutter::new(40);
    let mut found = Vec::new();
    let mut add = |record: Record<'_>| {
        let text = record.bytes.map_or_else(
            |error| format!("broken: {error}"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        );
        found.push((record.line, text.trim().to_owned()));
    };
    for mut piece in text.as_bytes().chunks(size.min(text.len().max(1))) {
        while let Some(record) = cutter.next(&mut piece) {
            add(record);
        }
        assert_eq!(piece, b"");
    }
    while let Some(record) = cutter.finish() {
        add(record);
    }
    assert_eq!(cutter.finish(), None);
    found
}

fn records(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected
        .iter()
        .map(|(line, text)| (*line, (*text).to_owned()))
        .collect()
}

#[test]
fn a_line_is_a_record() {
    assert_eq!(cut(""), records(&[]));
    assert_eq!(cut(" \n\n"), records(&[]));
    assert_eq!(
        cut("{\"a\":1}\n{\"b\":2}"),
        records(&[(1, "{\"a\":1}"), (2, "{\"b\":2}")])
    );
    assert_eq!(
        cut("\u{feff}{}\r\n\r\n{}\r\n"),
        records(&[(1, "{}"), (3, "{}")])
    );
}

#[test]
fn a_broken_line_is_one_record() {
    assert_eq!(
        cut("{\"a\":\n{\"b\":2}\n{}"),
        records(&[(1, "{\"a\":\n{\"b\":2}"), (3, "{}")])
    );
    assert_eq!(
        cut("{\"a\":1,\n{\"b\":2}\n{}"),
        records(&[(1, "{\"a\":1,"), (2, "{\"b\":2}"), (3, "{}")])
    );
    assert_eq!(
        cut("{}\n{\"a\":\n{}"),
        records(&[(1, "{}"), (2, "{\"a\":"), (3, "{}")])
    );
    assert_eq!(cut("nonsense\n{}"), records(&[(1, "nonsense"), (2, "{}")]));
    assert_eq!(
        cut("{\"a\":\"x\n{}"),
        records(&[(1, "{\"a\":\"x"), (2, "{}")])
    );
}

#[test]
fn a_document_may_span_lines() {
    assert_eq!(
        cut("{\n \"a\": [\n{}\n]\n}\n"),
        records(&[(1, "{\n \"a\": [\n{}\n]\n}")])
    );
    assert_eq!(cut("{\n}\n\n{\n}"), records(&[(1, "{\n}"), (4, "{\n}")]));
    let broken = "{\n \"a\": \"x\n}\n]\n{\n}\n{}";
    assert_eq!(
        cut(broken),
        records(&[(1, "{\n \"a\": \"x"), (5, "{\n}"), (7, "{}")])
    );
}

#[test]
fn array_elements_are_records() {
    assert_eq!(cut("[]"), records(&[]));
    assert_eq!(
        cut("\n[ {\"a\":[1,2]},\n{\"b\":\"],\"}\n]\n"),
        records(&[(2, "{\"a\":[1,2]}"), (3, "{\"b\":\"],\"}")])
    );
    assert_eq!(
        cut("[1, {} {},{\"a\":\"x\n},\n{}]"),
        records(&[(1, "1"), (1, "{} {}"), (1, "{\"a\":\"x\n}"), (3, "{}")])
    );
    assert_eq!(
        cut("[{},,{}]"),
        records(&[(1, "{}"), (1, "broken: missing array element"), (1, "{}")])
    );
    assert_eq!(
        cut("[{}"),
        records(&[(1, "broken: unexpected end of input inside the array")])
    );
    assert_eq!(
        cut("[{}]\n{}"),
        records(&[
            (1, "{}"),
            (2, "broken: unexpected text after the end of the array")
        ])
    );
}

#[test]
fn records_above_the_limit_are_reported_and_skipped() {
    let long = "x".repeat(60);
    let reason = "broken: the event has more than the 40 bytes allowed";
    assert_eq!(
        cut(&format!("{{}}\n\"{long}\"\n{{}}")),
        records(&[(1, "{}"), (2, reason), (3, "{}")])
    );
    assert_eq!(
        cut(&format!("[{{}},\"{long}\",{{}}]")),
        records(&[(1, "{}"), (1, reason), (1, "{}")])
    );
    let document = format!("{{\n\"{long}\": 1\n}}\n{{}}");
    assert_eq!(cut(&document), records(&[(1, reason), (4, "{}")]));
}

#[test]
fn markup_is_one_record_up_to_the_next_event() {
    let xml = "<a>\n\n  <b>{}</b>\n</a>";
    assert_eq!(cut(xml), records(&[(1, xml)]));
    assert_eq!(
        cut("\n<a>\n</a>\n{}\n<b>\n{}"),
        records(&[(2, "<a>\n</a>"), (4, "{}"), (5, "<b>"), (6, "{}")])
    );
    assert_eq!(
        cut("<a>\n{\n}\n{}"),
        records(&[(1, "<a>"), (2, "{\n}"), (4, "{}")])
    );
}

#[test]
fn half_a_byte_order_mark_is_text() {
    let mut cutter = RecordCutter::new(40);
    let mut input = &b"\xef\xbb{}\n\xef"[..];
    let record = cutter.next(&mut input).unwrap();
    assert_eq!(record.bytes.unwrap().as_ref(), b"\xef\xbb{}");
    let mut cutter = RecordCutter::new(40);
    assert_eq!(cutter.next(&mut &b"\xef\xbb"[..]), None);
    assert_eq!(
        cutter.finish().unwrap().bytes.unwrap().as_ref(),
        b"\xef\xbb"
    );
}

#[test]
fn a_line_within_the_input_is_not_copied() {
    let mut input = &b"{}\r\n \n[1]\n"[..];
    let mut cutter = RecordCutter::lines(40);
    let mut next = || cutter.next(&mut input).unwrap();
    for (line, text) in [(1, &b"{}"[..]), (3, b"[1]")] {
        let bytes = Ok(Cow::Borrowed(text));
        let record = next();
        assert!(matches!(record.bytes, Ok(Cow::Borrowed(_))));
        assert_eq!(record, Record { line, bytes });
    }
}

#[test]
fn lines_in_memory_need_no_last_line_break() {
    let lines: Vec<_> = ndjson_lines(b"\n{}\r\n \n1").collect();
    assert_eq!(
        lines,
        [(2, Cow::from(&b"{}"[..])), (4, Cow::from(&b"1"[..]))]
    );
    assert_eq!(ndjson_lines(b" \n").next(), None);
}

proptest! {
    #[test]
    fn records_do_not_depend_on_the_pieces(
        parts in vec(
            select(&[
                "{", "}", "[", "]", "\n", "\r\n", " ", "\"", ",", ":", "1", "\\", "{\"a\":1}",
                "\n{", "<", "xxxxxxxxxxxxxxxxxxxxxxxx", "\u{feff}",
            ]),
            0..20,
        ),
        size in 1..9usize,
    ) {
        let text = parts.concat();
        prop_assert_eq!(cut_in_pieces(&text, size), cut_in_pieces(&text, usize::MAX));
    }
}

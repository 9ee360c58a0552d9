//! An address is one value: every spelling gives the same result, in every operator, notation and
//! evaluator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use reflexarc_event::Json;
use reflexarc_pattern::explain::explain;
use reflexarc_pattern::{Dialect, Matcher, Pattern, Scratch, naive};

use crate::scalar_answer;

/// Conditions with `ADDRESS` in the place of an address, and whether they hold for that address.
/// All are false (or true) for every other value but `other`, which no spelling equals.
const CONDITIONS: [(&str, bool); 18] = [
    (r#"a == "ADDRESS""#, true),
    (r#"a == "ADDRESS" ignoring case"#, true),
    (r#"a in ["other", "ADDRESS"]"#, true),
    (r#"a in cidr "ADDRESS""#, true),
    (r#"a (== "ADDRESS" or > 5)"#, true),
    (r#"not (a != "ADDRESS")"#, true),
    (r#"a != "ADDRESS""#, false),
    (r#"a not in ["other", "ADDRESS", "x*", "10.0.0.0"]"#, false),
    (r#"a not == "ADDRESS" ignoring case"#, false),
    (r#"a not in cidr "ADDRESS""#, false),
    (r#"a not (== "ADDRESS" or == 5 or starts with "x")"#, false),
    (r#"not (a == "ADDRESS")"#, false),
    (r#"not (a in ["other", "ADDRESS"])"#, false),
    (r#"a (!= "ADDRESS" and exists)"#, false),
    (r#"{"a": [{"equals-ignore-case": "ADDRESS"}]}"#, true),
    (r#"{"a": [{"cidr": "ADDRESS"}, "other"]}"#, true),
    (
        r#"{"a": [{"anything-but": ["other", "ADDRESS", 5, null]}]}"#,
        false,
    ),
    (
        r#"{"a": [{"anything-but": {"equals-ignore-case": ["other", "ADDRESS"]}}]}"#,
        false,
    ),
];

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text, Dialect::Reflexarc).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// A pattern with the matchers of what both printers write.
struct Printed {
    pattern: Pattern,
    matchers: [Matcher; 2],
}

impl Printed {
    fn new(text: &str) -> Self {
        let pattern = pattern(text);
        let matcher =
            |text: String| Matcher::build([self::pattern(&text).node()]).expect("one pattern");
        let matchers = [matcher(pattern.to_json()), matcher(pattern.to_expression())];
        Self { pattern, matchers }
    }

    /// Whether the event matches, by every evaluator; all must agree.
    fn holds(&self, event: &str) -> bool {
        let (node, tree) = (self.pattern.node(), Json::parse(event).expect("valid JSON"));
        let holds = naive::matches(node, &tree);
        let scalar = scalar_answer::answer(node, &tree).expect("a scalar event");
        let mut answers = vec![scalar, explain(node, &tree).matched()];
        for matcher in &self.matchers {
            let matched = matcher.has_match_bytes(event.as_bytes(), &mut Scratch::new());
            answers.push(matched.expect("valid JSON"));
        }
        let source = self.pattern.source();
        assert!(
            answers.iter().all(|answer| *answer == holds),
            "{source} on {event}: {answers:?}"
        );
        holds
    }
}

fn addresses() -> impl Strategy<Value = IpAddr> {
    // Groups are mostly zero, so that there is something to compress.
    let group = prop_oneof![3 => Just(0u16), 1 => Just(0xffff), 1 => any::<u16>(), 1 => 0u16..16];
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
        vec(group, 8).prop_map(|groups| {
            let groups: [u16; 8] = groups.try_into().expect("eight groups");
            let address = Ipv6Addr::from(groups);
            address
                .to_ipv4_mapped()
                .map_or(IpAddr::V6(address), IpAddr::V4)
        }),
    ]
}

/// One spelling of an address, chosen by the bits of `choice`.
fn spell(address: IpAddr, choice: u32) -> String {
    let bit = |bit: u32| choice >> bit & 1 == 1;
    let v6 = match address {
        IpAddr::V4(v4) if bit(0) => return dotted(v4, choice),
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let width = if bit(1) { 4 } else { 1 };
    let mut groups: Vec<String> = v6
        .segments()
        .iter()
        .map(|group| format!("{group:0width$x}"))
        .collect();
    if bit(2) {
        let [.., a, b, c, d] = v6.octets();
        groups.truncate(6);
        groups.push(dotted(Ipv4Addr::new(a, b, c, d), choice));
    }
    // Any run of zero groups may be compressed, also one that is not the longest.
    let zero = |group: &String| group.bytes().all(|byte| byte == b'0');
    let text = match groups
        .iter()
        .skip((choice >> 8) as usize % 4)
        .position(zero)
    {
        Some(at) if bit(3) => {
            let start = at + (choice >> 8) as usize % 4;
            let zeros = groups[start..]
                .iter()
                .take_while(|group| zero(group))
                .count();
            format!(
                "{}::{}",
                groups[..start].join(":"),
                groups[start + zeros..].join(":")
            )
        }
        _ => groups.join(":"),
    };
    if bit(4) { text.to_uppercase() } else { text }
}

fn dotted(address: Ipv4Addr, choice: u32) -> String {
    let width = 1 + (choice >> 5 & 1) as usize * 2;
    let octets = address.octets().map(|octet| format!("{octet:0width$}"));
    octets.join(".")
}

#[test]
fn explanations_name_the_reason_for_addresses() {
    let hints = |filter: &str, value: &str| {
        let event = Json::parse(format!(r#"{{"a": "{value}"}}"#)).expect("valid JSON");
        explain(pattern(filter).node(), &event).render(false)
    };
    let spelling = "the value is the same address in another spelling";
    assert!(hints(r#"a != "2001:db8::1""#, "2001:DB8:0::1").contains(spelling));
    assert!(hints(r#"a not in ["x", "::ffff:a00:1"]"#, "10.0.0.1").contains(spelling));
    assert!(!hints(r#"a != "10.0.0.1""#, "10.0.0.1").contains(spelling));
    let mapped = hints(r#"a in cidr "::ffff:10.0.0.0/104""#, "11.0.0.1");
    assert!(
        mapped.contains("10.255.255.255") && !mapped.contains("other IP version"),
        "{mapped}"
    );
    let zone = hints(r#"a in cidr "fe80::/10""#, "fe80::1%eth0");
    assert!(zone.contains("not an IP address"), "{zone}");
}

proptest! {
    // Each case is eighteen patterns with a dozen events.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_spelling_gives_the_same_result(
        address in addresses(), other in addresses(),
        written in any::<u32>(), found in vec(any::<u32>(), 1..4),
    ) {
        let written = spell(address, written);
        let event = |text: &str| format!(r#"{{"a": "{text}"}}"#);
        for (condition, holds_for_it) in CONDITIONS {
            let pattern = Printed::new(&condition.replace("ADDRESS", &written));
            for found in &found {
                let same = event(&spell(address, *found));
                prop_assert_eq!(pattern.holds(&same), holds_for_it, "{} {}", condition, same);
                if other != address {
                    let different = event(&spell(other, *found));
                    let holds = pattern.holds(&different);
                    prop_assert_eq!(holds, !holds_for_it, "{} {}", condition, different);
                }
            }
            for text in ["other address", &format!("[{written}]"), &format!("{written}%1")] {
                prop_assert_eq!(pattern.holds(&event(text)), !holds_for_it, "{}", text);
            }
        }
    }

    #[test]
    fn many_conditions_on_addresses_agree_in_one_matcher(
        wanted in vec((addresses(), any::<u32>(), 0..CONDITIONS.len()), 1..20),
        found in vec((any::<prop::sample::Index>(), any::<u32>()), 1..4),
    ) {
        let patterns: Vec<Pattern> = wanted
            .iter()
            .map(|(address, choice, condition)| {
                pattern(&CONDITIONS[*condition].0.replace("ADDRESS", &spell(*address, *choice)))
            })
            .collect();
        let matcher = Matcher::build(patterns.iter().map(Pattern::node)).expect("few patterns");
        let values: Vec<String> = found
            .iter()
            .map(|(index, choice)| {
                let (address, ..) = wanted[index.index(wanted.len())];
                format!("{:?}", spell(address, *choice))
            })
            .collect();
        let event = format!(r#"{{"a": [{}]}}"#, values.join(","));
        let mut ids = Vec::new();
        let bytes = event.as_bytes();
        matcher.matching_bytes(bytes, &mut Scratch::new(), &mut ids).expect("valid JSON");
        let tree = Json::parse(&event).expect("valid JSON");
        let expected: Vec<u32> = (0..)
            .zip(&patterns)
            .filter(|(_, pattern)| naive::matches(pattern.node(), &tree))
            .map(|(id, _)| id)
            .collect();
        prop_assert_eq!(ids, expected, "{}", event);
    }

    #[test]
    fn a_mapped_network_holds_the_addresses_of_the_ipv4_network(
        network in any::<u32>(), length in 0u8..=32,
        address in any::<u32>(), choice in any::<u32>(),
    ) {
        let network = Ipv4Addr::from_bits(network);
        // Half of the addresses share the prefix.
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        let address = if choice >> 16 & 1 == 0 {
            Ipv4Addr::from_bits(network.to_bits() & mask | address & !mask)
        } else {
            Ipv4Addr::from_bits(address)
        };
        let plain = Printed::new(&format!(r#"a in cidr "{network}/{length}""#));
        let mapped = spell(network.into(), choice & !1);
        let mapped = Printed::new(&format!(r#"a in cidr "{mapped}/{}""#, length + 96));
        let event = format!(r#"{{"a": "{}"}}"#, spell(address.into(), choice.rotate_left(7)));
        let inside = address.to_bits() & mask == network.to_bits() & mask;
        prop_assert_eq!(plain.holds(&event), inside, "{}", event);
        prop_assert_eq!(mapped.holds(&event), inside, "{} {}", mapped.pattern.source(), event);
    }
}

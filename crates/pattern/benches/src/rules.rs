//! Rules of the kinds that people write for such events, in JSON notation.

use crate::events::{Cloud, LEVELS, OPERATIONS, REGIONS, STATUSES};
use crate::random::Random;

/// A kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Exact,
    Prefix,
    Suffix,
    AnythingBut,
    Cidr,
    Exists,
    Wildcard,
}

pub const KINDS: [Kind; 7] = [
    Kind::Exact,
    Kind::Prefix,
    Kind::Suffix,
    Kind::AnythingBut,
    Kind::Cidr,
    Kind::Exists,
    Kind::Wildcard,
];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Exact => "exact",
            Kind::Prefix => "prefix",
            Kind::Suffix => "suffix",
            Kind::AnythingBut => "anything-but",
            Kind::Cidr => "cidr",
            Kind::Exists => "exists",
            Kind::Wildcard => "wildcard",
        }
    }
}

/// Per hundred rules: 60 exact, 15 prefix, 5 of each other kind.
pub const MIX: [(Kind, usize); 7] = [
    (Kind::Exact, 60),
    (Kind::Prefix, 15),
    (Kind::Suffix, 5),
    (Kind::AnythingBut, 5),
    (Kind::Cidr, 5),
    (Kind::Exists, 5),
    (Kind::Wildcard, 5),
];

/// As [`MIX`], with prefixes in the place of wildcards.
pub const WITHOUT_WILDCARDS: [(Kind, usize); 6] = [
    (Kind::Exact, 60),
    (Kind::Prefix, 20),
    (Kind::Suffix, 5),
    (Kind::AnythingBut, 5),
    (Kind::Cidr, 5),
    (Kind::Exists, 5),
];

/// The kinds that the Go engine supports: no cidr; its driver rewrites the suffixes.
pub const WITHOUT_CIDR: [(Kind, usize); 5] = [
    (Kind::Exact, 60),
    (Kind::Prefix, 25),
    (Kind::Suffix, 5),
    (Kind::AnythingBut, 5),
    (Kind::Exists, 5),
];

/// The first `count` rules of a mix; the first one is exact if the mix has exact rules.
pub fn rules(cloud: &Cloud, mix: &[(Kind, usize)], count: usize) -> Vec<String> {
    let mut random = Random::seeded(
        3 + mix
            .iter()
            .map(|(kind, share)| *kind as u64 * 100 + *share as u64)
            .sum::<u64>(),
    );
    let kinds: Vec<Kind> = mix
        .iter()
        .flat_map(|&(kind, share)| std::iter::repeat_n(kind, share))
        .collect();
    let kind_of = |number: usize, random: &mut Random| {
        let kind = kinds[random.below(kinds.len())];
        if number == 0 { kinds[0] } else { kind }
    };
    (0..count)
        .map(|number| {
            let kind = kind_of(number, &mut random);
            rule(cloud, kind, &mut random)
        })
        .collect()
}

fn rule(cloud: &Cloud, kind: Kind, random: &mut Random) -> String {
    let (interface, user) = cloud.interface(random);
    let (eni, region, id) = (&interface.id, user.region, &user.id);
    let anyone = &cloud.users[random.below(cloud.users.len())].id;
    let operation = random.pick(&OPERATIONS);
    match (kind, random.below(30)) {
        (Kind::Exact, choice) => {
            let operations = some_of(&OPERATIONS, 1 + choice % 3, random);
            let content = format!(r#"{{"operation":[{operations}],"eniId":["{eni}"]}}"#);
            format!(r#"{{"regionId":["{region}"],"content":{content}}}"#)
        }
        (Kind::Prefix, 0..10) => {
            let level = random.pick(&LEVELS);
            format!(
                r#"{{"resourceId":[{{"prefix":"acs:ecs:{region}:{id}:"}}],"level":["{level}"]}}"#
            )
        }
        (Kind::Prefix, 10..20) => {
            let digits = [5, 6, 8][random.below(3)];
            let start = random.upper_hex(digits);
            format!(r#"{{"content":{{"requestId":[{{"prefix":"{start}"}}]}},"product":["ECS"]}}"#)
        }
        (Kind::Prefix, _) => {
            let network = format!("10.{}.{}.", random.below(256), random.below(256));
            let ips = format!(r#""secondaryPrivateIps":[{{"prefix":"{network}"}}]"#);
            format!(r#"{{"content":{{{ips},"operation":["{operation}"]}}}}"#)
        }
        (Kind::Suffix, 0..15) => {
            format!(
                r#"{{"content":{{"requestId":[{{"suffix":"{}"}}]}}}}"#,
                random.upper_hex(5)
            )
        }
        (Kind::Suffix, _) => {
            let end = &eni[eni.len() - 6..];
            let content = format!(r#"{{"operation":["{operation}"]}}"#);
            format!(r#"{{"resourceId":[{{"suffix":"{end}"}}],"content":{content}}}"#)
        }
        (Kind::AnythingBut, choice) => {
            let statuses = some_of(&STATUSES, 2 + choice % 2, random);
            let content = format!(r#"{{"eniStatus":[{{"anything-but":[{statuses}]}}]}}"#);
            format!(r#"{{"userId":["{anyone}"],"content":{content}}}"#)
        }
        (Kind::Cidr, _) => {
            let network = format!("10.{}.{}.0/24", random.below(256), random.below(256));
            let region = random.pick(&REGIONS);
            let content = format!(r#"{{"primaryPrivateIp":[{{"cidr":"{network}"}}]}}"#);
            format!(r#"{{"content":{content},"regionId":["{region}"]}}"#)
        }
        (Kind::Exists, 0..18) => {
            format!(r#"{{"userId":["{anyone}"],"content":{{"errorCode":[{{"exists":true}}]}}}}"#)
        }
        (Kind::Exists, _) => {
            let content = r#"{"result":["failed"],"securityGroupId":[{"exists":false}]}"#;
            format!(r#"{{"userId":["{anyone}"],"content":{content}}}"#)
        }
        (Kind::Wildcard, 0..10) => {
            let end = random.hex(2);
            format!(r#"{{"resourceId":[{{"wildcard":"acs:ecs:*:{id}:eni/eni-*{end}"}}]}}"#)
        }
        (Kind::Wildcard, 10..20) => {
            format!(r#"{{"resourceId":[{{"wildcard":"*:{id}:*/{eni}"}}]}}"#)
        }
        (Kind::Wildcard, _) => {
            let (middle, end) = (random.upper_hex(4), random.upper_hex(2));
            format!(r#"{{"content":{{"requestId":[{{"wildcard":"*-{middle}-*{end}"}}]}}}}"#)
        }
    }
}

/// Different texts, as the elements of a JSON array without its brackets.
fn some_of(among: &[&str], count: usize, random: &mut Random) -> String {
    let first = random.below(among.len());
    // Neighbours in the list, so that they are different.
    let chosen: Vec<String> = (0..count)
        .map(|i| format!(r#""{}""#, among[(first + i) % among.len()]))
        .collect();
    chosen.join(",")
}

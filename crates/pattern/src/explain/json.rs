//! Writes an explanation as JSON.

// The keys are a public format: the service, the command line and the Python package return them.

use reflexarc_event::Json;

use super::{FieldTest, Found, NearMiss, Part, Test};

pub(crate) fn part(part: &Part) -> Json {
    // Only where it is true, so that nearly all documents are as they were before it existed.
    let undecided = part.undecided.then_some(("undecided", Json::from(true)));
    let matched = [("matched", Json::from(part.matched))]
        .into_iter()
        .chain(undecided);
    match &part.test {
        Test::All { parts, element } => {
            let element = element
                .as_ref()
                .map(|location| ("element", Json::from(location.to_string())));
            object(
                matched
                    .chain([("test", "all".into())])
                    .chain(element)
                    .chain([("parts", list(parts))]),
            )
        }
        Test::Any { parts } => {
            object(matched.chain([("test", "any".into()), ("parts", list(parts))]))
        }
        Test::Not { part: inner } => {
            object(matched.chain([("test", "not".into()), ("part", self::part(inner))]))
        }
        Test::Field(test) => field(matched, test),
    }
}

fn field(matched: impl Iterator<Item = (&'static str, Json)>, field: &FieldTest) -> Json {
    let always = [
        ("test", "field".into()),
        ("path", field.path.as_str().into()),
        ("expected", field.expected.as_str().into()),
        (
            "found",
            field.found.iter().map(found).collect::<Vec<_>>().into(),
        ),
        ("count", Json::Number(field.count.to_string().into())),
    ];
    let met_by = field.met_by.as_ref().map(|value| ("met_by", found(value)));
    let nearest = field
        .nearest
        .as_ref()
        .map(|nearest| ("nearest", miss(nearest)));
    let hints = field
        .hints
        .iter()
        .map(|hint| Json::from(hint.to_string()))
        .collect::<Vec<_>>();
    object(
        matched
            .chain(always)
            .chain(met_by)
            .chain(nearest)
            .chain([("hints", hints.into())]),
    )
}

fn miss(miss: &NearMiss) -> Json {
    let suggested = miss.suggested.clone().map(|value| ("suggested", value));
    let always = [
        ("found", found(&miss.found)),
        ("expected", Json::from(miss.expected.as_str())),
    ];
    object(always.into_iter().chain(suggested))
}

fn found(found: &Found) -> Json {
    object([
        ("location", Json::from(found.location.to_string())),
        ("value", found.value.as_str().into()),
    ])
}

fn list(parts: &[Part]) -> Json {
    parts.iter().map(part).collect::<Vec<_>>().into()
}

fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

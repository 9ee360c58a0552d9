//! `arn` and `parse_time`: parsing strings of events. What cannot be parsed is `()`.

use reflexarc_event::{Arn, parse_time};
use rhai::{Dynamic, Engine, ImmutableString, Map};

pub(super) fn register(engine: &mut Engine) {
    // A missing field is `()` and gives `()`, so that `arn(event.resourceId)?.id` needs no
    // condition.
    engine
        .register_fn("arn", |text: ImmutableString| {
            text.parse().map_or(Dynamic::UNIT, parts)
        })
        .register_fn("arn", |_missing: ()| Dynamic::UNIT)
        .register_fn("parse_time", |text: ImmutableString| {
            parse_time(&text).map_or(Dynamic::UNIT, |time| time.as_millisecond().into())
        })
        .register_fn("parse_time", |_missing: ()| Dynamic::UNIT);
}

fn parts(arn: Arn) -> Dynamic {
    Dynamic::from_map(Map::from([
        ("service".into(), arn.service.into()),
        ("region".into(), arn.region.into()),
        ("account".into(), arn.account.into()),
        ("kind".into(), arn.kind.into()),
        ("id".into(), arn.id.into()),
    ]))
}

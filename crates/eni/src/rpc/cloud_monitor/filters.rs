//! The filters of a rule: `EventPattern.1.NameList.1` and its like.

use reflexarc_event::Json;

use super::{illegal, quota};
use crate::rpc::Parameters;
use crate::rpc::service_answer::{Required, unsupported};
use crate::subscriptions::EventFilter;
use crate::{ApiError, Limits};

const PATTERN: &str = "EventPattern";
/// The members of a filter; the first four are lists.
const MEMBERS: [&str; 7] = [
    "NameList",
    "LevelList",
    "EventTypeList",
    "StatusList",
    "Product",
    "CustomFilters",
    "SQLFilter",
];

/// Reads the filters of a request.
pub(super) fn read(parameters: &Parameters, limits: &Limits) -> Result<Vec<EventFilter>, ApiError> {
    const EVENT_PATTERN: Required = Required {
        name: "EventPattern.1.Product",
        code: "MissingEventPattern.1.Product",
    };
    let numbers = parameters.numbers(PATTERN, &MEMBERS)?;
    if numbers.is_empty() {
        return Err(EVENT_PATTERN.missing());
    }
    if numbers.len() > limits.monitor_filters {
        return Err(quota("event patterns", limits.monitor_filters));
    }
    let filters = numbers.into_iter();
    filters
        .map(|number| filter(parameters, number, limits))
        .collect()
}

fn filter(
    parameters: &Parameters,
    number: usize,
    limits: &Limits,
) -> Result<EventFilter, ApiError> {
    let name = |member: &str| format!("{PATTERN}.{number}.{member}");
    let list = |member: &str, known: &[&str]| -> Result<Vec<String>, ApiError> {
        let values = parameters.list(&name(member));
        if values.len() > limits.monitor_filters {
            return Err(quota(
                &format!("values of {member}"),
                limits.monitor_filters,
            ));
        }
        let is_known = |value: &&str| known.is_empty() || known.contains(value);
        if let Some(value) = values.iter().find(|value| !is_known(value)) {
            let value = reflexarc_diagnostic::truncate(value, 64);
            let reason = format!("{}: {value}, not {}.", name(member), known.join(", "));
            return Err(illegal(&reason));
        }
        Ok(values.into_iter().map(str::to_owned).collect())
    };
    let product = parameters.optional(&name("Product"));
    let product = product.ok_or_else(|| illegal(&format!("{} is empty.", name("Product"))))?;
    // The query language of Log Service; to keep a filter without its effect would deliver events
    // that the service does not deliver.
    if let Some(sql) = parameters.optional(&name("SQLFilter")) {
        return Err(unsupported(&name("SQLFilter"), sql));
    }
    Ok(EventFilter {
        product: product.to_owned(),
        names: list("NameList", &[])?,
        levels: list("LevelList", &["CRITICAL", "WARN", "INFO", "*"])?,
        types: list(
            "EventTypeList",
            &["StatusNotification", "Exception", "Maintenance", "*"],
        )?,
        statuses: list("StatusList", &[])?,
        keyword: parameters
            .optional(&name("CustomFilters"))
            .map(str::to_owned),
    })
}

/// A filter in a description: each list is wrapped into an object with a list of the same name.
pub(super) fn described(filter: &EventFilter) -> Vec<(&'static str, Json)> {
    let list = |name: &'static str, values: &[String]| {
        (name, Json::object([(name, Json::strings(values))]))
    };
    let mut members = vec![
        ("Product", filter.product.as_str().into()),
        list("NameList", &filter.names),
        list("LevelList", &filter.levels),
        list("EventTypeList", &filter.types),
        list("StatusList", &filter.statuses),
    ];
    let keyword = filter.keyword.as_deref();
    members.extend(keyword.map(|keyword| ("CustomFilters", keyword.into())));
    members
}

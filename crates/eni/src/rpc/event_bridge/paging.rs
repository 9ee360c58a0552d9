//! Pages of lists: `Limit`, and `NextToken`, the number of the first item as text.

use reflexarc_diagnostic::truncate;
use reflexarc_event::Json;

use super::errors::error;
use crate::rpc::Parameters;
use crate::{ApiError, Limits};

/// The members of a list: its items under `name`, their number, and the token of the next page.
pub(super) fn page(
    name: &'static str,
    items: Vec<Json>,
    parameters: &Parameters,
    limits: &Limits,
) -> Result<Json, ApiError> {
    let most = limits.subscriptions_page;
    let size = match parameters.optional("Limit") {
        None => most,
        Some(text) => {
            let size = text.parse().ok().filter(|size| (1..=most).contains(size));
            size.ok_or_else(|| {
                let message = format!(
                    "The limit size of page is invalid, which must greater than 0 and less than \
                     [{}].",
                    most + 1
                );
                error("LimitSizeInvalid", message)
            })?
        }
    };
    let total = items.len();
    let first: usize = match parameters.optional("NextToken") {
        None => 0,
        Some(token) => token.parse().map_err(|_| {
            let token = truncate(token, 64);
            let message = format!("The next token of page is invalid: [{token}].");
            error("NextTokenInvalid", message)
        })?,
    };
    let page: Vec<Json> = items.into_iter().skip(first).take(size).collect();
    let next = first.saturating_add(page.len());
    let mut members = vec![(name, Json::Array(page)), ("Total", Json::count(total))];
    if next < total {
        members.push(("NextToken", next.to_string().into()));
    }
    Ok(Json::object(members))
}

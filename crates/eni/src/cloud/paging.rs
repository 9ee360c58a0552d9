//! Pages of lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use reflexarc_diagnostic::truncate;

use crate::{ApiError, Listed, Paging};

/// The first bytes of a decoded token, before the key.
const MARK: &str = "after:";

/// One page of items, which are sorted by their keys, and the token of the next page.
///
/// The token is made of the last key of the page, so a page begins at the first greater key: with
/// ids a, c, d and size 1 the tokens stand for a, then c. If b is created in between it is listed,
/// and if a is deleted nothing is skipped or repeated, which a token that counts items could not
/// guarantee. It is encoded with a mark in front, so that a text that is no token is an error and
/// not a page that begins somewhere.
///
/// # Errors
/// When the token is not one of this function.
pub(super) fn page_of<T>(
    found: Vec<T>,
    key: impl Fn(&T) -> String,
    paging: &Paging,
    limit: usize,
) -> Result<Listed<T>, ApiError> {
    let total = found.len();
    let (items, next) = match paging {
        Paging::Numbered { number, size } => {
            // The offset uses the requested size even where the page itself is cut to the limit.
            let skipped = number.saturating_sub(1).saturating_mul(*size);
            let page = found.into_iter().skip(skipped).take((*size).min(limit));
            (page.collect(), None)
        }
        Paging::Token { size, token } => {
            let last = token.as_deref().map(decode).transpose()?;
            let is_after = |item: &T| last.as_ref().is_none_or(|last| key(item) > *last);
            let size = (*size).min(limit);
            // One more than the page tells whether there is a next page.
            let mut page: Vec<T> = found.into_iter().filter(is_after).take(size + 1).collect();
            let has_more = page.len() > size;
            page.truncate(size);
            let next = page.last().filter(|_| has_more);
            let next = next.map(|last| BASE64.encode(format!("{MARK}{}", key(last))));
            (page, next)
        }
    };
    Ok(Listed {
        items,
        total,
        paging: paging.clone(),
        next,
    })
}

fn decode(token: &str) -> Result<String, ApiError> {
    let decoded = BASE64.decode(token).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.and_then(|text| text.strip_prefix(MARK).map(str::to_owned));
    key.ok_or_else(|| {
        let token = truncate(token, 64);
        ApiError::invalid_parameter(format!(
            "The specified parameter NextToken is not valid: {token}."
        ))
    })
}

//! What a rule file may contain, for schemas.

use std::sync::Arc;

use reflexarc_diagnostic::toml::{Document, FaultCodes, TableShape};

use crate::RuleSetLimits;
use crate::rule_file::RuleFile;
use crate::tables::{Tables, UsedTables};

/// The keys of rule files and what their values may be, recorded from what reads them.
///
/// ```
/// let shape = reflexarc::rule_shape();
/// assert!(shape.keys.contains_key("not_followed_by"));
/// assert!(shape.required.contains(&vec!["when".to_owned()]));
/// ```
pub fn rule_shape() -> TableShape {
    let (tables, limits) = (Tables::default(), Arc::new(RuleSetLimits::default()));
    Document::recorded("", FaultCodes::RULE, |document| {
        RuleFile::read_document(document, "", &UsedTables::new(&tables, &limits));
    })
}

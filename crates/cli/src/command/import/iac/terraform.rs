//! Terraform: modules in HCL and JSON, and plans.

mod evaluate;
mod files;
mod functions;
mod module;
mod operators;
mod plan;
mod registry;
mod requests;
mod rules;
mod template;

pub(super) use self::files::ModuleFiles;
pub(super) use self::module::Module;
pub(super) use self::plan::{is_plan, rules as rules_of_plan};
pub(super) use self::rules::{Context, Modules, rules};

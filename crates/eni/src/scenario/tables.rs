//! The TOML tables of a scenario file, as serde reads them.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

type Text = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) description: String,
    pub(super) region: Option<Text>,
    pub(super) seed: Option<u64>,
    pub(super) start: Option<Text>,
    pub(super) tick: Option<Text>,
    pub(super) until: Option<Text>,
    pub(super) timing: TimingTable,
    pub(super) account: Vec<AccountTable>,
    pub(super) vswitch: Vec<VSwitchTable>,
    pub(super) security_group: Vec<SecurityGroupTable>,
    pub(super) instance: Vec<InstanceTable>,
    pub(super) interface: Vec<InterfaceTable>,
    pub(super) step: Vec<Spanned<StepTable>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimingTable {
    pub(super) create: Option<Text>,
    pub(super) attach: Option<Text>,
    pub(super) detach: Option<Text>,
    pub(super) delete: Option<Text>,
    pub(super) late_failure: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountTable {
    pub(super) name: Text,
    pub(super) id: Text,
    #[serde(default)]
    pub(super) preview: bool,
    pub(super) service: Option<i64>,
    pub(super) quota: Option<usize>,
    pub(super) key: Option<KeyTable>,
    pub(super) form: Option<Text>,
    pub(super) to: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyTable {
    pub(super) id: String,
    pub(super) secret: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VSwitchTable {
    pub(super) id: Text,
    pub(super) account: Text,
    pub(super) vpc: String,
    pub(super) zone: String,
    pub(super) ipv4: Text,
    pub(super) ipv6: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecurityGroupTable {
    pub(super) id: Text,
    pub(super) account: Text,
    pub(super) vpc: String,
    #[serde(default)]
    pub(super) enterprise: bool,
    pub(super) capacity: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceTable {
    pub(super) id: Text,
    #[serde(rename = "type")]
    pub(super) kind: Option<Text>,
    pub(super) interfaces: Option<usize>,
    pub(super) ipv4: Option<usize>,
    pub(super) ipv6: Option<usize>,
    pub(super) vswitch: Text,
    pub(super) security_groups: Vec<String>,
    pub(super) status: Option<Text>,
    pub(super) primary: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceTable {
    pub(super) name: Text,
    pub(super) id: Text,
    pub(super) account: Text,
    pub(super) vswitch: String,
    pub(super) security_groups: Vec<String>,
    pub(super) instance: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepTable {
    pub(super) at: Text,
    #[serde(rename = "as")]
    pub(super) account: Option<Text>,
    #[serde(rename = "do")]
    pub(super) action: Option<Text>,
    #[serde(default)]
    pub(super) with: BTreeMap<String, Spanned<toml::Value>>,
    pub(super) name: Option<Text>,
    pub(super) expect: Option<Text>,
    pub(super) fault: Option<Spanned<FaultTable>>,
    pub(super) instance: Option<Spanned<InstanceChangeTable>>,
    pub(super) grant: Option<Spanned<GrantTable>>,
    pub(super) publish: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultTable {
    pub(super) operation: Option<Text>,
    pub(super) interface: Option<Text>,
    pub(super) target: Option<Text>,
    pub(super) outcome: Text,
    pub(super) times: Option<Spanned<usize>>,
    pub(super) lasts: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstanceChangeTable {
    pub(super) id: Text,
    pub(super) status: Option<Text>,
    #[serde(default)]
    pub(super) release: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantTable {
    pub(super) interface: Text,
    pub(super) to: Text,
}

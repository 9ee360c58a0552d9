//! Building the world of a scenario from the tables of its file.

mod accounts;

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc_diagnostic::toml::{Document, EmbeddedText, FaultCodes, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::values::{duration, required};
use super::world::{DEFAULT_WORLD, NamedAccount, World};
use crate::resources::{InstanceStatus, InstanceType, Interface, SecurityGroup, VSwitch};
use crate::rpc::ActionTrail;
use crate::{Cloud, CreateInterface, Timing};

/// The world that the file describes, or the default one where it describes none. `None` when it
/// cannot be built, which is reported.
pub(super) fn build_world(root: &TableReader<'_>, start: Timestamp) -> Option<World> {
    let tables = Tables::read(root);
    if tables.is_empty() {
        let default = Document::parse(DEFAULT_WORLD, "the default world", FaultCodes::SCENARIO);
        let tables = Tables::read(&default.root());
        return Builder::new(root, start).build(tables);
    }
    Builder::new(root, start).build(tables)
}

/// The tables that describe a world.
struct Tables<'a> {
    accounts: Vec<TableReader<'a>>,
    vswitches: Vec<TableReader<'a>>,
    security_groups: Vec<TableReader<'a>>,
    instances: Vec<TableReader<'a>>,
    interfaces: Vec<TableReader<'a>>,
}

struct Builder {
    accounts: Vec<NamedAccount>,
    cloud: Cloud,
    /// The ids of interfaces by name.
    names: BTreeMap<String, String>,
    start: Timestamp,
    has_seed: bool,
}

impl<'a> Tables<'a> {
    fn read(root: &TableReader<'a>) -> Self {
        Self {
            accounts: root.tables("account"),
            vswitches: root.tables("vswitch"),
            security_groups: root.tables("security_group"),
            instances: root.tables("instance"),
            interfaces: root.tables("interface"),
        }
    }

    fn is_empty(&self) -> bool {
        let Self {
            accounts,
            vswitches,
            security_groups,
            instances,
            interfaces,
        } = self;
        [accounts, vswitches, security_groups, instances, interfaces]
            .iter()
            .all(|tables| tables.is_empty())
    }
}

impl Builder {
    /// An empty region with the settings at the top of the file.
    fn new(root: &TableReader<'_>, start: Timestamp) -> Self {
        let seed = root.integer("seed", 0..=u64::MAX);
        let settings = ActionTrail::ALL.map(|setting| (setting.name(), setting));
        let action_trail = root.choice("action_trail", &settings).unwrap_or_default();
        let cloud = Cloud::new(&region(root), seed.unwrap_or(1), start)
            .with_timing(timing(root))
            .with_action_trail(action_trail);
        Self {
            accounts: Vec::new(),
            cloud,
            names: BTreeMap::new(),
            start,
            has_seed: seed.is_some(),
        }
    }

    /// Adds the resources in the order of their dependencies: accounts own vSwitches, which
    /// instances are in, which interfaces are attached to. One that is not valid is reported and
    /// left out, and with it, usually, others that need it.
    fn build(mut self, tables: Tables<'_>) -> Option<World> {
        type Add = fn(&mut Builder, &TableReader<'_>) -> Option<()>;
        let kinds: [(Vec<TableReader<'_>>, Add); 5] = [
            (tables.accounts, Self::add_account),
            (tables.vswitches, Self::add_vswitch),
            (tables.security_groups, Self::add_security_group),
            (tables.instances, Self::add_instance),
            (tables.interfaces, Self::add_interface),
        ];
        let mut is_complete = true;
        for (tables, add) in kinds {
            for table in tables {
                is_complete &= add(&mut self, &table).is_some();
                table.finish();
            }
        }
        // What happened while the world was built is not part of the timeline.
        self.cloud.take_outcomes();
        self.cloud.take_changes();
        self.cloud.take_notifications();
        let Self {
            accounts,
            cloud,
            names,
            start,
            has_seed,
        } = self;
        is_complete.then_some(World {
            start,
            accounts,
            cloud,
            names,
            has_seed,
        })
    }

    fn add_vswitch(&mut self, table: &TableReader<'_>) -> Option<()> {
        let id = required(table, "id", "add `id = \"vsw-…\"`");
        let owner = self.owner(table);
        let vpc = required(table, "vpc", "add `vpc = \"vpc-…\"`");
        let zone = required(
            table,
            "zone",
            "add a zone, such as `zone = \"cn-hangzhou-b\"`",
        );
        let ipv4 = required(
            table,
            "ipv4",
            "add a network, such as `ipv4 = \"10.0.0.0/24\"`",
        );
        let ipv4 = ipv4.and_then(|text| network(table, &text, "IPv4"));
        let ipv6 = table
            .embedded("ipv6")
            .map(|text| network(table, &text, "IPv6"));
        let (id, vpc, zone) = (id?, vpc?, zone?);
        let mut vswitch = VSwitch::new(id.text(), &owner?, vpc.text(), zone.text(), ipv4?);
        if let Some(ipv6) = ipv6 {
            vswitch = vswitch.with_ipv6(ipv6?);
        }
        self.cloud.add_vswitch(vswitch);
        Some(())
    }

    fn add_security_group(&mut self, table: &TableReader<'_>) -> Option<()> {
        let id = required(table, "id", "add `id = \"sg-…\"`");
        let owner = self.owner(table);
        let vpc = required(table, "vpc", "add `vpc = \"vpc-…\"`");
        let capacity = table.integer("capacity", 0..=u64::MAX);
        let group = if table.boolean("enterprise").unwrap_or(false) {
            SecurityGroup::enterprise
        } else {
            SecurityGroup::basic
        };
        let group = group(id?.text(), &owner?, vpc?.text());
        let capacity = capacity.unwrap_or(group.capacity);
        self.cloud.add_security_group(group.with_capacity(capacity));
        Some(())
    }

    fn add_instance(&mut self, table: &TableReader<'_>) -> Option<()> {
        let id = required(table, "id", "add `id = \"i-…\"`");
        let vswitch = required(table, "vswitch", "add the vSwitch of its primary interface");
        let groups = security_groups(table);
        let kind = instance_type(table);
        let statuses = InstanceStatus::ALL.map(|status| (status.name(), status));
        let status = table.choice("status", &statuses);
        let primary = table.embedded("primary");
        let (name, tags) = (table.string("name"), tags(table));
        let (id, groups) = (id?, groups?);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        if let Err(error) = self
            .cloud
            .run_instance(id.text(), kind?, vswitch?.text(), &groups)
        {
            report(table, Code::SCENARIO_SETUP, id.span(), error.to_string());
            return None;
        }
        if let Some(status) = status {
            self.cloud
                .set_instance_status(id.text(), status)
                .expect("the instance was just added");
        }
        self.cloud
            .label_instance(id.text(), name.as_deref(), tags?)
            .expect("the instance was just added");
        if let Some(name) = primary {
            let on_instance = |found: &&Interface| found.instance.as_deref() == Some(id.text());
            let primary = self.cloud.interfaces().find(on_instance);
            let primary = primary
                .expect("every instance has a primary interface")
                .id
                .clone();
            self.name_interface(table, &name, primary)?;
        }
        Some(())
    }

    fn add_interface(&mut self, table: &TableReader<'_>) -> Option<()> {
        let name = required(table, "name", "add a name for the steps to use");
        let id = required(table, "id", "add `id = \"eni-…\"`");
        let owner = self.owner(table);
        let vswitch = required(table, "vswitch", "add the vSwitch of its addresses");
        let groups = security_groups(table);
        let instance = table.string("instance");
        let delete_on_release = table.boolean("delete_on_release");
        let tags = tags(table);
        let (name, id, owner, groups) = (name?, id?, owner?, groups?);
        let groups = groups.iter().map(String::as_str);
        let wanted = CreateInterface {
            tags: tags?,
            delete_on_release,
            ..CreateInterface::new(vswitch?.text(), groups)
        };
        let placed = self
            .cloud
            .place_interface(&owner, id.text(), &wanted, instance.as_deref());
        if let Err(error) = placed {
            report(table, Code::SCENARIO_SETUP, id.span(), error.to_string());
            return None;
        }
        self.name_interface(table, &name, id.into_text())
    }

    fn name_interface(
        &mut self,
        table: &TableReader<'_>,
        name: &EmbeddedText,
        interface: String,
    ) -> Option<()> {
        if self
            .names
            .insert(name.text().to_owned(), interface)
            .is_some()
        {
            let message = format!("duplicate interface name `{}`", name.text());
            report(table, Code::SCENARIO_DUPLICATE, name.span(), message);
            return None;
        }
        Some(())
    }

    /// The id of the account that owns a resource.
    fn owner(&self, table: &TableReader<'_>) -> Option<String> {
        let name = required(table, "account", "add the name of the account that owns it")?;
        let found = self
            .accounts
            .iter()
            .find(|account| account.name == name.text());
        if found.is_none() {
            let message = format!("unknown account `{}`", name.text());
            report(table, Code::SCENARIO_NAME, name.span(), message);
        }
        found.map(|account| account.account.id.clone())
    }
}

fn region(root: &TableReader<'_>) -> String {
    const DEFAULT: &str = "cn-hangzhou";
    let region = root.string("region").unwrap_or_else(|| DEFAULT.to_owned());
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !region.is_empty() && region.bytes().all(is_allowed) {
        return region;
    }
    let message = format!("invalid region `{region}`");
    let help = format!("use lower-case letters, digits and hyphens, such as \"{DEFAULT}\"");
    root.fault("region", Code::SCENARIO_VALUE, message, help);
    DEFAULT.to_owned()
}

fn timing(root: &TableReader<'_>) -> Timing {
    let default = Timing::default();
    let Some(table) = root.table("timing") else {
        return default;
    };
    let timing = Timing {
        create: duration(&table, "create").unwrap_or(default.create),
        attach: duration(&table, "attach").unwrap_or(default.attach),
        detach: duration(&table, "detach").unwrap_or(default.detach),
        delete: duration(&table, "delete").unwrap_or(default.delete),
        late_failure: duration(&table, "late_failure").unwrap_or(default.late_failure),
        start: duration(&table, "start").unwrap_or(default.start),
        stop: duration(&table, "stop").unwrap_or(default.stop),
    };
    table.finish();
    timing
}

/// The instance type, with the limits that the table replaces.
fn instance_type(table: &TableReader<'_>) -> Option<InstanceType> {
    type Make = fn() -> InstanceType;
    let types: [(&str, Make); 2] = [
        ("ecs.g7.large", InstanceType::g7_large),
        ("ecs.g7.2xlarge", InstanceType::g7_2xlarge),
    ];
    // `choice` is `None` for an absent key and for an invalid value; only the latter is an error.
    let make = if table.has("type") {
        table.choice("type", &types)
    } else {
        Some(types[0].1)
    };
    let limit = |key| table.integer(key, 0..=u64::MAX);
    let (interfaces, ipv4, ipv6) = (limit("interfaces"), limit("ipv4"), limit("ipv6"));
    let kind = make?();
    Some(InstanceType {
        interfaces: interfaces.unwrap_or(kind.interfaces),
        ipv4: ipv4.unwrap_or(kind.ipv4),
        ipv6: ipv6.unwrap_or(kind.ipv6),
        ..kind
    })
}

fn security_groups(table: &TableReader<'_>) -> Option<Vec<String>> {
    if !table.has("security_groups") {
        table.missing("security_groups", "add `security_groups = [\"sg-…\"]`");
    }
    let groups = table.strings("security_groups")?;
    Some(groups.into_iter().map(EmbeddedText::into_text).collect())
}

/// The tags of a resource, `tags = { team = "network" }`; none when absent.
fn tags(table: &TableReader<'_>) -> Option<Vec<(String, String)>> {
    let Some(found) = table.table("tags") else {
        return Some(Vec::new());
    };
    let keys: Vec<String> = found
        .raw()
        .keys()
        .map(|key| key.get_ref().to_string())
        .collect();
    let tags = keys.into_iter().map(|key| {
        let value = found.string(&key)?;
        Some((key, value))
    });
    let tags = tags.collect();
    found.finish();
    tags
}

fn network<T: std::str::FromStr>(
    table: &TableReader<'_>,
    text: &EmbeddedText,
    family: &str,
) -> Option<T> {
    let invalid = |_| format!("invalid {family} network `{}`", text.text());
    table.parsed(text, text.text().parse().map_err(invalid))
}

fn report(table: &TableReader<'_>, code: Code, span: Span, message: impl Into<String>) {
    table.report(Diagnostic::error(code, span, message));
}

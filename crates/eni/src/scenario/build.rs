//! Building the world from the tables of a scenario file.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reflexarc_diagnostic::Code;
use toml::Spanned;

use super::findings::Findings;
use super::tables::{AccountTable, File, InstanceTable, InterfaceTable, TimingTable, VSwitchTable};
use super::world::{DEFAULT_WORLD, NamedAccount, World};
use crate::events::{Bus, BusEnvelope};
use crate::resources::{Account, InstanceStatus, InstanceType, SecurityGroup, VSwitch};
use crate::rpc::AccessKey;
use crate::{Cloud, CreateInterface, Timing};

impl World {
    /// The world that the file describes, or the default one where it describes none. `None` when it
    /// cannot be built; the reasons are then in `findings`.
    pub(super) fn build(file: &File, start: Timestamp, findings: &mut Findings) -> Option<World> {
        if file.account.is_empty() && file.vswitch.is_empty() && file.instance.is_empty() {
            let default: File = toml::from_str(DEFAULT_WORLD).expect("the default world is valid");
            return Builder::new(file, start, findings).build(&default);
        }
        Builder::new(file, start, findings).build(file)
    }
}

struct Builder<'a> {
    findings: &'a mut Findings,
    accounts: Vec<NamedAccount>,
    cloud: Cloud,
    names: BTreeMap<String, String>,
    start: Timestamp,
    has_seed: bool,
}

impl<'a> Builder<'a> {
    fn new(file: &File, start: Timestamp, findings: &'a mut Findings) -> Self {
        let mut region = "cn-hangzhou";
        if let Some(named) = &file.region {
            region = named.get_ref();
            if region.is_empty()
                || !region
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            {
                let message = format!("invalid region `{region}`");
                let help = "use lower-case letters, digits and hyphens, such as \"cn-hangzhou\"";
                findings.add_with_help(Code::SCENARIO_VALUE, named.span(), message, help);
            }
        }
        let timing = timing(&file.timing, findings);
        let cloud = Cloud::new(region, file.seed.unwrap_or(1), start).with_timing(timing);
        Self {
            findings,
            accounts: Vec::new(),
            cloud,
            names: BTreeMap::new(),
            start,
            has_seed: file.seed.is_some(),
        }
    }

    fn build(mut self, file: &File) -> Option<World> {
        let before = self.findings.0.len();
        for table in &file.account {
            self.account(table);
        }
        for table in &file.vswitch {
            self.vswitch(table);
        }
        for table in &file.security_group {
            let Some(owner) = self.owner(&table.account) else {
                continue;
            };
            let make = if table.enterprise {
                SecurityGroup::enterprise
            } else {
                SecurityGroup::basic
            };
            let group = make(table.id.get_ref(), &owner, &table.vpc);
            let capacity = table.capacity.unwrap_or(group.capacity);
            self.cloud.add_security_group(group.with_capacity(capacity));
        }
        for table in &file.instance {
            self.instance(table);
        }
        for table in &file.interface {
            self.interface(table);
        }
        self.cloud.take_outcomes();
        self.cloud.take_changes();
        let Self {
            accounts,
            cloud,
            names,
            start,
            findings,
            has_seed,
        } = self;
        (findings.0.len() == before).then_some(World {
            start,
            accounts,
            cloud,
            names,
            has_seed,
        })
    }

    fn account(&mut self, table: &AccountTable) {
        let AccountTable {
            name,
            id,
            preview,
            service,
            quota,
            key,
            form,
            to,
        } = table;
        if id.get_ref().is_empty() || !id.get_ref().bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("invalid account id `{}`", id.get_ref());
            self.findings.add_with_help(
                Code::SCENARIO_VALUE,
                id.span(),
                message,
                "use digits only",
            );
        }
        if self
            .accounts
            .iter()
            .any(|known| known.name == *name.get_ref() || known.account.id == *id.get_ref())
        {
            let message = format!(
                "there is an account `{}` or {} already",
                name.get_ref(),
                id.get_ref()
            );
            self.findings
                .add(Code::SCENARIO_TWICE, name.span(), message);
            return;
        }
        let mut account = match service {
            Some(number) => Account::service(id.get_ref(), *number),
            None => Account::user(id.get_ref()),
        };
        account = account.with_preview(*preview);
        if let Some(quota) = quota {
            account = account.with_quota(*quota);
        }
        let envelopes = BusEnvelope::ALL.map(|envelope| (envelope.name(), envelope));
        let envelope = form.as_ref().map_or(Some(BusEnvelope::default()), |form| {
            self.findings.choice("form", form, &envelopes)
        });
        let key = key.as_ref().map(|key| AccessKey {
            id: key.id.clone(),
            secret: key.secret.clone(),
            account: id.get_ref().clone(),
        });
        self.cloud.add_account(account.clone());
        let bus = Bus {
            account: id.get_ref().clone(),
            envelope: envelope.unwrap_or_default(),
        };
        self.accounts.push(NamedAccount {
            name: name.get_ref().clone(),
            account,
            key,
            bus,
            to: to.clone(),
        });
    }

    fn vswitch(&mut self, table: &VSwitchTable) {
        let Some(owner) = self.owner(&table.account) else {
            return;
        };
        let ipv4 = table.ipv4.get_ref().parse();
        let ipv6 = table
            .ipv6
            .as_ref()
            .map(|text| (text, text.get_ref().parse()));
        let Ok(ipv4) = ipv4 else {
            let message = format!("invalid IPv4 network `{}`", table.ipv4.get_ref());
            return self
                .findings
                .add(Code::SCENARIO_VALUE, table.ipv4.span(), message);
        };
        let mut vswitch = VSwitch::new(table.id.get_ref(), &owner, &table.vpc, &table.zone, ipv4);
        match ipv6 {
            Some((_, Ok(ipv6))) => vswitch = vswitch.with_ipv6(ipv6),
            Some((text, Err(_))) => {
                let message = format!("invalid IPv6 network `{}`", text.get_ref());
                return self
                    .findings
                    .add(Code::SCENARIO_VALUE, text.span(), message);
            }
            None => {}
        }
        self.cloud.add_vswitch(vswitch);
    }

    fn instance(&mut self, table: &InstanceTable) {
        let types = [("ecs.g7.large", 0), ("ecs.g7.2xlarge", 1)];
        let kind = match &table.kind {
            Some(name) => match self.findings.choice("instance type", name, &types) {
                Some(1) => InstanceType::g7_2xlarge(),
                Some(_) => InstanceType::g7_large(),
                None => return,
            },
            None => InstanceType::g7_large(),
        };
        let kind = InstanceType {
            interfaces: table.interfaces.unwrap_or(kind.interfaces),
            ipv4: table.ipv4.unwrap_or(kind.ipv4),
            ipv6: table.ipv6.unwrap_or(kind.ipv6),
            ..kind
        };
        let groups: Vec<&str> = table.security_groups.iter().map(String::as_str).collect();
        let id = table.id.get_ref();
        if let Err(refusal) = self
            .cloud
            .run_instance(id, kind, table.vswitch.get_ref(), &groups)
        {
            return self
                .findings
                .add(Code::SCENARIO_WORLD, table.id.span(), refusal.to_string());
        }
        let statuses = InstanceStatus::ALL.map(|status| (status.name(), status));
        if let Some(status) = table
            .status
            .as_ref()
            .and_then(|status| self.findings.choice("instance status", status, &statuses))
        {
            self.cloud
                .set_instance_status(id, status)
                .expect("the instance was just made");
        }
        if let Some(name) = &table.primary {
            let primary = self
                .cloud
                .interfaces()
                .find(|found| found.instance.as_deref() == Some(id.as_str()));
            let primary = primary
                .expect("every instance has a primary interface")
                .id
                .clone();
            self.name_interface(name, primary);
        }
    }

    fn interface(&mut self, table: &InterfaceTable) {
        let Some(account) = self.owner(&table.account) else {
            return;
        };
        let wanted = CreateInterface::new(
            &table.vswitch,
            table.security_groups.iter().map(String::as_str),
        );
        let id = table.id.get_ref();
        match self
            .cloud
            .place_interface(&account, id, &wanted, table.instance.as_deref())
        {
            Ok(()) => self.name_interface(&table.name, id.clone()),
            Err(refusal) => {
                self.findings
                    .add(Code::SCENARIO_WORLD, table.id.span(), refusal.to_string())
            }
        }
    }

    fn name_interface(&mut self, name: &Spanned<String>, interface: String) {
        if self
            .names
            .insert(name.get_ref().clone(), interface)
            .is_some()
        {
            let message = format!("duplicate interface name `{}`", name.get_ref());
            self.findings
                .add(Code::SCENARIO_TWICE, name.span(), message);
        }
    }

    fn owner(&mut self, name: &Spanned<String>) -> Option<String> {
        let found = self
            .accounts
            .iter()
            .find(|account| account.name == *name.get_ref());
        if found.is_none() {
            let message = format!("unknown account `{}`", name.get_ref());
            self.findings.add(Code::SCENARIO_NAME, name.span(), message);
        }
        found.map(|account| account.account.id.clone())
    }
}

fn timing(table: &TimingTable, findings: &mut Findings) -> Timing {
    let mut read = |text: &Option<Spanned<String>>, default: SignedDuration| {
        text.as_ref()
            .and_then(|text| findings.duration(text))
            .unwrap_or(default)
    };
    let default = Timing::default();
    Timing {
        create: read(&table.create, default.create),
        attach: read(&table.attach, default.attach),
        detach: read(&table.detach, default.detach),
        delete: read(&table.delete, default.delete),
        late_failure: read(&table.late_failure, default.late_failure),
    }
}

//! `ActionTrail`: an event for each call of an action.
//!
//! The members of the event are those of three pages of the documentation: "Management event
//! structure" of `ActionTrail`, and "`ActionTrail` events" and "Elastic Compute Service events" of
//! `EventBridge`, the last of which lists the type `ecs:ActionTrail:ApiCall`. `EventBridge` carries
//! write events only; read events reach the logs of `ActionTrail`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reflexarc_event::Json;

use super::product::Product;
use super::{Caller, Parameters, authentication};
use crate::{Answer, Cloud, Reply};

/// The name of the event.
const NAME: &str = "ActionTrail:ApiCall";
/// The maximum size of parameters and response in an event, in bytes of JSON; larger ones are left
/// out. An event may have 256 KiB in all, and contains the parameters twice.
const MAX_ELEMENTS: usize = 48 << 10;
/// Parameters with the ids of resources, without the numbers of a list, and the resources' type.
const RESOURCES: [(&str, &str); 5] = [
    ("NetworkInterfaceId", "ACS::ECS::NetworkInterface"),
    ("InstanceId", "ACS::ECS::Instance"),
    ("VSwitchId", "ACS::VPC::VSwitch"),
    ("SecurityGroupId", "ACS::ECS::SecurityGroup"),
    ("SecurityGroupIds", "ACS::ECS::SecurityGroup"),
];

/// Which calls of actions make events for the account that called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum ActionTrail {
    /// None.
    #[default]
    Off,
    /// Those of actions that change something, as EventBridge delivers.
    Write,
    /// Those of all actions.
    All,
}

impl ActionTrail {
    /// Every setting.
    pub const ALL: [Self; 3] = [Self::Off, Self::Write, Self::All];

    /// The name that scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Write => "write",
            Self::All => "all",
        }
    }
}

impl Cloud {
    /// Publishes the event of a call, if the region's setting includes it.
    pub(super) fn record_api_call(
        &mut self,
        caller: &Caller,
        action: &str,
        parameters: &Parameters,
        reply: &Reply,
    ) {
        let is_write = !action.starts_with("Describe") && !action.starts_with("List");
        let is_recorded = match self.action_trail() {
            ActionTrail::Off => false,
            ActionTrail::Write => is_write,
            ActionTrail::All => true,
        };
        if !is_recorded {
            return;
        }
        let resources = resources(parameters, reply);
        let mut content = self.record(caller, action, is_write, reply);
        // Last, so that what may be left out is at the end.
        content.extend(elements(parameters, is_write, reply, self));
        let interfaces = resources.get(RESOURCES[0].1).and_then(BTreeSet::first);
        let instances = resources.get(RESOURCES[1].1).and_then(BTreeSet::first);
        let resource = match (interfaces, instances) {
            (Some(id), _) => Some(self.arn(&caller.account, "eni", id)),
            (None, Some(id)) => Some(self.arn(&caller.account, "instance", id)),
            (None, None) => None,
        };
        if !resources.is_empty() {
            content.extend(referenced(&resources));
        }
        self.notify(&caller.account, NAME, resource, content);
    }

    /// The members that every event has.
    fn record(
        &mut self,
        caller: &Caller,
        action: &str,
        is_write: bool,
        reply: &Reply,
    ) -> Vec<(&'static str, Json)> {
        let event_id = self.new_request_id();
        let error = reply.result.as_ref().err();
        let source = self.host();
        let mut content = vec![
            ("eventId", Json::from(event_id)),
            ("eventVersion", 1.into()),
            ("eventCategory", "Management".into()),
            ("eventType", "ApiCall".into()),
            ("eventName", action.into()),
            ("eventRW", if is_write { "Write" } else { "Read" }.into()),
            ("eventSource", source.into()),
            ("eventTime", time(self.now()).into()),
            ("acsRegion", self.region().into()),
            ("apiVersion", Product::Ecs.version().into()),
            ("serviceName", "Ecs".into()),
            ("requestId", reply.request_id.as_str().into()),
            ("sourceIpAddress", caller.source_address.as_str().into()),
            ("userAgent", caller.user_agent.as_str().into()),
            ("userIdentity", identity(caller)),
            ("recipientAccountId", caller.account.as_str().into()),
            ("isGlobal", false.into()),
        ];
        if let Some(error) = error {
            content.push(("errorCode", error.code.into()));
            content.push(("errorMessage", error.message.as_str().into()));
        }
        content
    }
}

fn identity(caller: &Caller) -> Json {
    let account = caller.account.as_str();
    let key = caller.access_key.as_deref();
    let key = key.map(|key| ("accessKeyId", Json::from(key)));
    let (kind, principal, user) = match &caller.role {
        Some((role, session)) => {
            let user = format!("{role}:{session}");
            ("assumed-role", user.clone(), user)
        }
        None => ("root-account", account.to_owned(), "root".to_owned()),
    };
    let members = [
        ("type", kind.into()),
        ("principalId", principal.into()),
        ("accountId", account.into()),
        ("userName", user.into()),
    ];
    object(members.into_iter().chain(key))
}

/// The parameters and, of a call that changed something, the response. What is too large for an
/// event is left out.
fn elements(
    parameters: &Parameters,
    is_write: bool,
    reply: &Reply,
    cloud: &Cloud,
) -> Vec<(&'static str, Json)> {
    let given: Json = parameters
        .iter()
        .filter(|(name, _)| !authentication::is_credential(name))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let mut members = Vec::new();
    let text = given.to_string();
    if text.len() <= MAX_ELEMENTS {
        members.push(("requestParameters", given));
        members.push(("requestParameterJson", text.into()));
    }
    // A description could be longer than everything else, and changes nothing.
    if is_write && reply.result.is_ok() {
        let body = cloud.response(reply).body;
        if body.to_string().len() <= MAX_ELEMENTS {
            members.push(("responseElements", body));
        }
    }
    members
}

/// The ids that the request names, and that of the interface that it created, by type.
fn resources(parameters: &Parameters, reply: &Reply) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut found: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in parameters.iter().filter(|(_, value)| value.len() <= 64) {
        let base = name.split_once('.').map_or(name, |(base, _)| base);
        let kind = RESOURCES.iter().find(|(known, _)| *known == base);
        if let Some((_, kind)) = kind.filter(|_| !value.is_empty()) {
            found.entry(kind).or_default().insert(value.to_owned());
        }
    }
    if let Ok(Answer::Created(interface)) = &reply.result {
        let created = found.entry(RESOURCES[0].1).or_default();
        created.insert(interface.id.clone());
    }
    found
}

fn referenced(resources: &BTreeMap<&'static str, BTreeSet<String>>) -> [(&'static str, Json); 3] {
    let ids = |ids: &BTreeSet<String>| -> Json {
        let ids: Vec<Json> = ids.iter().map(|id| id.as_str().into()).collect();
        ids.into()
    };
    let all = resources.iter().map(|(kind, found)| (*kind, ids(found)));
    let names: Vec<String> = resources
        .values()
        .map(|ids| ids.iter().cloned().collect::<Vec<_>>().join(","))
        .collect();
    let kinds: Vec<&str> = resources.keys().copied().collect();
    [
        ("referencedResources", object(all)),
        // The pairs of both lists belong together.
        ("resourceType", kinds.join(";").into()),
        ("resourceName", names.join(";").into()),
    ]
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn object(members: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

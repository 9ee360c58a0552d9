//! Targets before they are written: a table for reflexarc.toml, and a name.

use std::collections::{BTreeMap, BTreeSet};

use super::rule_draft::{RuleDraft, quoted, rule_name};

/// A target of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TargetDraft {
    /// The name of the target in the configuration.
    pub(super) name: String,
    /// Its name if the targets of other rules have the same one: with the name of the rule.
    pub(super) long_name: String,
    pub(super) receiver: Receiver,
    /// The retry policy.
    pub(super) retry: Option<&'static str>,
    /// What tells it from another target of the same name, beside the receiver. It may be a secret
    /// and is not printed.
    pub(super) identity: String,
}

/// Where a target sends to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Receiver {
    DingTalk,
    Webhook {
        url: String,
    },
    Email {
        from: String,
        to: Vec<String>,
        /// Whether the title of the message is the whole subject.
        bare_subject: bool,
    },
    /// A contact group of Cloud Monitor.
    ContactGroup {
        group: String,
    },
}

impl TargetDraft {
    /// A target of the rule `rule` that the service calls `id`.
    pub(super) fn new(rule: &str, id: &str, receiver: Receiver) -> Self {
        let long_name = rule_name(&format!("{rule}-{id}"));
        // A number names a target only together with its rule.
        let is_name = id.contains(char::is_alphabetic);
        Self {
            name: if is_name {
                rule_name(id)
            } else {
                long_name.clone()
            },
            long_name,
            receiver,
            retry: None,
            identity: String::new(),
        }
    }

    /// The table of the configuration.
    pub(super) fn to_toml(&self) -> String {
        let name = &self.name;
        let header = format!("[targets.{}]", quoted(name));
        let table = match &self.receiver {
            Receiver::DingTalk => {
                let variable = rule_name(name).replace('-', "_").to_uppercase();
                format!(
                    "{header}\ntype = \"dingtalk\"\ntoken = {{ env = \"{variable}_TOKEN\" }}     \
                     # access_token in the robot's webhook address\n\
                     secret = {{ env = \"{variable}_SECRET\" }}"
                )
            }
            Receiver::Webhook { url } => {
                format!("{header}\ntype = \"webhook\"\nurl = {}", quoted(url))
            }
            Receiver::Email {
                from,
                to,
                bare_subject,
            } => {
                let to: Vec<String> = to.iter().map(|one| quoted(one)).collect();
                // The default subject has the level before the title.
                let subject = if *bare_subject {
                    "\nsubject = \"{{ title }}\""
                } else {
                    ""
                };
                format!(
                    "{header}\ntype = \"email\"\nhost = \"\"     # the mail server\n\
                     from = {}\nto = [{}]{subject}",
                    quoted(from),
                    to.join(", ")
                )
            }
            Receiver::ContactGroup { group } => format!(
                "# Contact group {group} has DingTalk and e-mail. \
                 For both, define two targets and name both in `notify`.\n\
                 {header}\ntype = \"email\"\nhost = \"\"     # the mail server\nfrom = \"\"\n\
                 to = []     # the members of the group"
            ),
        };
        match self.retry {
            Some(retry) => format!("{table}\nretry = \"{retry}\""),
            None => table,
        }
    }
}

/// Gives different targets different names: those that share the name of the service get the name
/// of their rule before it.
pub(super) fn resolve_names(drafts: &mut [RuleDraft]) {
    let all = || drafts.iter().flat_map(|draft| &draft.targets);
    let mut same_name: BTreeMap<&str, BTreeSet<(&Receiver, &str)>> = BTreeMap::new();
    for target in all() {
        let identity = (&target.receiver, target.identity.as_str());
        same_name.entry(&target.name).or_default().insert(identity);
    }
    let ambiguous: BTreeSet<String> = same_name
        .iter()
        .filter(|(_, targets)| targets.len() > 1)
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let mut taken: BTreeMap<String, (Receiver, String)> = BTreeMap::new();
    for target in drafts.iter_mut().flat_map(|draft| &mut draft.targets) {
        if ambiguous.contains(&target.name) {
            target.name.clone_from(&target.long_name);
        }
        let identity = (target.receiver.clone(), target.identity.clone());
        let mut number = 2;
        let name = target.name.clone();
        while *taken
            .entry(target.name.clone())
            .or_insert_with(|| identity.clone())
            != identity
        {
            target.name = format!("{name}-{number}");
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(targets: &[(&str, &str, &str)]) -> Vec<String> {
        let mut drafts: Vec<RuleDraft> = targets
            .iter()
            .map(|(rule, id, url)| RuleDraft {
                targets: vec![TargetDraft::new(
                    rule,
                    id,
                    Receiver::Webhook {
                        url: (*url).to_owned(),
                    },
                )],
                ..RuleDraft::default()
            })
            .collect();
        resolve_names(&mut drafts);
        let name = |draft: &RuleDraft| draft.targets[0].name.clone();
        drafts.iter().map(name).collect()
    }

    #[test]
    fn targets_keep_the_id_of_the_service() {
        assert_eq!(
            names(&[("a", "page", "u"), ("b", "page", "u")]),
            ["page", "page"]
        );
        assert_eq!(names(&[("a", "1", "u")]), ["a-1"]);
    }

    #[test]
    fn different_targets_have_different_names() {
        assert_eq!(names(&[("a", "t", "u"), ("b", "t", "v")]), ["a-t", "b-t"]);
        let taken = [("x", "a-t", "w"), ("a", "t", "u"), ("b", "t", "v")];
        assert_eq!(names(&taken), ["a-t", "a-t-2", "b-t"]);
        // Two targets of one rule.
        assert_eq!(names(&[("a", "t", "u"), ("a", "t", "v")]), ["a-t", "a-t-2"]);
    }
}

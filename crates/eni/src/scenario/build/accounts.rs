//! Building the accounts of a world.

use reflexarc_diagnostic::Code;
use reflexarc_diagnostic::toml::TableReader;

use super::{Builder, report};
use crate::events::{Bus, BusEnvelope};
use crate::resources::Account;
use crate::rpc::{AccessKey, Session};
use crate::scenario::NamedAccount;
use crate::scenario::values::{duration, required};

impl Builder {
    pub(super) fn add_account(&mut self, table: &TableReader<'_>) -> Option<()> {
        let name = required(table, "name", "add a name for the steps to use");
        let id = required(table, "id", "add the account's number, digits only");
        let service = table.integer("service", 0..=i64::MAX.unsigned_abs());
        let is_preview = table.boolean("preview").unwrap_or(false);
        let quota = table.integer("quota", 0..=u64::MAX);
        let key = table.table("key").map(|key| {
            let id = required(&key, "id", "add the key's id");
            let secret = required(&key, "secret", "add the key's secret");
            key.finish();
            (id, secret)
        });
        let session = table.table("session").map(|session| {
            let key = self.read_session(&session);
            session.finish();
            key
        });
        let envelopes = BusEnvelope::ALL.map(|envelope| (envelope.name(), envelope));
        let envelope = table.choice("form", &envelopes).unwrap_or_default();
        let to = table.string("to");
        let (name, id) = (name?, id?);
        let has_valid_id = !id.text().is_empty() && id.text().bytes().all(|b| b.is_ascii_digit());
        if !has_valid_id {
            let message = format!("invalid account id `{}`", id.text());
            table.fault("id", Code::SCENARIO_VALUE, message, "use digits only");
        }
        // Names identify accounts in the file, ids in the cloud: both must be unique.
        if self.accounts.iter().any(|known| known.name == name.text()) {
            let message = format!("duplicate account name `{}`", name.text());
            report(table, Code::SCENARIO_DUPLICATE, name.span(), message);
            return None;
        }
        if self
            .accounts
            .iter()
            .any(|known| known.account.id == id.text())
        {
            let message = format!("duplicate account id `{}`", id.text());
            report(table, Code::SCENARIO_DUPLICATE, id.span(), message);
            return None;
        }
        let mut account = match service {
            Some(number) => Account::service(id.text(), number),
            None => Account::user(id.text()),
        };
        account = account.with_preview(is_preview);
        if let Some(quota) = quota {
            account = account.with_quota(quota);
        }
        let key = match key {
            Some((key, secret)) => Some(AccessKey::new(key?.text(), secret?.text(), &account.id)),
            None => None,
        };
        let session = match session {
            Some(session) => Some(AccessKey {
                account: account.id.clone(),
                ..session?
            }),
            None => None,
        };
        self.cloud.add_account(account.clone());
        let bus = Bus {
            account: account.id.clone(),
            envelope,
        };
        self.accounts.push(NamedAccount {
            name: name.into_text(),
            account,
            key,
            session,
            bus,
            to,
        });
        // An account with an invalid id is added, so that what belongs to it is not reported too.
        has_valid_id.then_some(())
    }

    /// The key of a session of a role; its account is set by the caller.
    fn read_session(&self, table: &TableReader<'_>) -> Option<AccessKey> {
        let id = required(
            table,
            "id",
            "add the key's id, such as `id = \"STS.tenant\"`",
        );
        let secret = required(table, "secret", "add the key's secret");
        let token = required(table, "token", "add the session's token");
        // An invalid duration must not be read as none: the token would never expire.
        let expires = if table.has("expires") {
            Some(self.start + duration(table, "expires")?)
        } else {
            None
        };
        let role = table.string("role");
        let name = table.string("name");
        let session = Session {
            token: token?.into_text(),
            role: role.unwrap_or_else(|| "reflexarc".to_owned()),
            name: name.unwrap_or_else(|| "simulation".to_owned()),
            expires,
        };
        Some(AccessKey {
            session: Some(session),
            ..AccessKey::new(id?.text(), secret?.text(), "")
        })
    }
}

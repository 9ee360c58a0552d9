//! Checks of addresses and prefixes in events about network interfaces.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::source_map::PathStep::{self, Index, Key};
use super::{Checker, at, named, shown};
use crate::Parsed;
use crate::eni::LISTS;
use crate::json::Json;
use reflexarc_diagnostic::{Code, Diagnostic};

/// The length of the IPv4 prefixes that ECS assigns.
const IPV4_LENGTH: u8 = 28;

impl<'a> Checker<'a> {
    pub(super) fn check_addresses(&mut self) {
        let name = at(self.native, &[Key("name")])
            .and_then(Json::as_str)
            .unwrap_or_default();
        if !name.starts_with("NetworkInterface:") {
            return;
        }
        let primary = [Key("content"), Key("primaryPrivateIp")];
        if let Some(value) = at(self.native, &primary) {
            self.address::<Ipv4Addr>(value, &primary, "IPv4 address");
        }
        for (index, keys) in LISTS.into_iter().enumerate() {
            for (value, path) in self.elements(keys) {
                match index {
                    0 => self.address::<Ipv4Addr>(value, &path, "IPv4 address"),
                    1 => self.prefix::<Ipv4Net>(value, &path, "IPv4 prefix"),
                    2 => self.address::<Ipv6Addr>(value, &path, "IPv6 address"),
                    _ => self.prefix::<Ipv6Net>(value, &path, "IPv6 prefix"),
                }
            }
        }
    }

    /// The values of a list with their paths, in any spelling that the reader accepts. Reports one
    /// that is not documented.
    fn elements(
        &mut self,
        (plural, singular): (&'static str, &'static str),
    ) -> Vec<(&'a Json, Vec<PathStep<'static>>)> {
        let mut found = Vec::new();
        for key in [plural, singular] {
            let base = [Key("content"), Key(key)];
            let Some(value) = at(self.native, &base) else {
                continue;
            };
            let is_bare = matches!(value, Json::String(text) if !text.is_empty());
            match value {
                Json::Array(elements) => {
                    let path = |index| vec![base[0], base[1], Index(index)];
                    found.extend(
                        elements
                            .iter()
                            .enumerate()
                            .map(|(index, element)| (element, path(index))),
                    );
                }
                Json::Null => {}
                single => found.push((single, base.to_vec())),
            }
            if key == singular {
                let message = format!("`{singular}` is accepted as `{plural}`");
                let span = self.source_map.key(&base);
                let hint = Diagnostic::hint(Code::TOLERATED_SPELLING, span.clone(), message)
                    .with_help(format!("rules see a list at `content.{plural}`"));
                // Beside the plural the fix would make a key that the content has twice.
                let has_plural = at(self.native, &[base[0], Key(plural)]).is_some();
                let plain = self.source_map.is_replaceable(&base) && !has_plural;
                self.add(if plain {
                    hint.with_fix(span, format!("\"{plural}\""))
                } else {
                    hint
                });
            } else if is_bare {
                let message = format!("expected an array for `{plural}`, found a string");
                let help = "rules see a list of it; wrap it in [ ]";
                self.add(self.hint(Code::TOLERATED_SPELLING, &base, message, help));
            }
        }
        found
    }

    fn address<T: FromStr>(&mut self, value: &Json, path: &[PathStep<'_>], what: &str) {
        self.parse::<T>(value, path, Code::INVALID_ADDRESS, what);
    }

    fn prefix<T: FromStr + Copy + Into<IpNet>>(
        &mut self,
        value: &Json,
        path: &[PathStep<'_>],
        what: &str,
    ) {
        let Some(prefix) = self.parse::<T>(value, path, Code::INVALID_PREFIX, what) else {
            return;
        };
        let prefix: IpNet = prefix.into();
        let network = prefix.trunc();
        if network != prefix {
            let message = format!("prefix `{prefix}` has host bits set");
            let help = format!("write {network}");
            let warning = self.warning(Code::PREFIX_NOT_CANONICAL, path, message, &help);
            self.add(self.with_fix(warning, path, &network.to_string()));
        }
        if matches!(prefix, IpNet::V4(_)) && prefix.prefix_len() != IPV4_LENGTH {
            let message = format!("expected a /{IPV4_LENGTH}, found `{prefix}`");
            self.add(self.warning(
                Code::PREFIX_LENGTH,
                path,
                message,
                "ECS assigns IPv4 prefixes of that length only",
            ));
        }
    }

    /// Parses the value; reports why it cannot.
    fn parse<T: FromStr>(
        &mut self,
        value: &Json,
        path: &[PathStep<'_>],
        code: Code,
        what: impl Display,
    ) -> Option<T> {
        if !self.has_room() {
            return None;
        }
        let text = self.text_of(value, path)?;
        match Parsed::of(&text, |text| text.trim().parse().ok()) {
            Parsed::Value(value) => Some(value),
            Parsed::Masked(_) => {
                self.add(self.masked_value(path, &text));
                None
            }
            Parsed::Invalid(_) | Parsed::Missing => {
                let message = format!("invalid {what} `{}`", shown(&text));
                self.add(self.warning(
                    code,
                    path,
                    message,
                    &format!("write an {what} in `{}`", named(&path[..2])),
                ));
                None
            }
        }
    }
}

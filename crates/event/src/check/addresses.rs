//! Addresses and prefixes in events about network interfaces.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::places::Step::{self, Index, Key};
use super::{Checked, at, named, shown};
use crate::Reading;
use crate::eni::LISTS;
use crate::json::Json;
use reflexarc_diagnostic::{Code, Diagnostic};

/// The length of an IPv4 prefix that ECS assigns.
const IPV4_LENGTH: u8 = 28;

impl<'a> Checked<'a> {
    pub(super) fn addresses(&mut self) {
        let name = at(self.native, &[Key("name")])
            .and_then(Json::as_str)
            .unwrap_or_default();
        if !name.starts_with("NetworkInterface:") {
            return;
        }
        let primary = [Key("content"), Key("primaryPrivateIp")];
        if let Some(value) = at(self.native, &primary) {
            self.address::<Ipv4Addr>(value, &primary, "an IPv4 address");
        }
        for (index, keys) in LISTS.into_iter().enumerate() {
            for (value, path) in self.elements(keys) {
                match index {
                    0 => self.address::<Ipv4Addr>(value, &path, "an IPv4 address"),
                    1 => self.prefix::<Ipv4Net>(value, &path, "an IPv4 prefix"),
                    2 => self.address::<Ipv6Addr>(value, &path, "an IPv6 address"),
                    _ => self.prefix::<Ipv6Net>(value, &path, "an IPv6 prefix"),
                }
            }
        }
    }

    /// The values of a list with their paths, spelt in any way that the reader takes; says so where it is not the documented
    /// way.
    fn elements(
        &mut self,
        (plural, singular): (&'static str, &'static str),
    ) -> Vec<(&'a Json, Vec<Step<'static>>)> {
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
                let message = format!("`{singular}` is read as `{plural}`");
                let span = self.places.key(&base);
                let hint = Diagnostic::hint(Code::TOLERATED_SPELLING, span.clone(), message)
                    .with_help("the documented key is the plural");
                let plain = self.places.is_plain(&base);
                self.add(if plain {
                    hint.with_fix(span, format!("\"{plural}\""))
                } else {
                    hint
                });
            } else if is_bare {
                let message = format!("`{plural}` is a string, read as a list of one");
                self.add(self.hint(Code::TOLERATED_SPELLING, &base, message, "write an array"));
            }
        }
        found
    }

    fn address<T: FromStr>(&mut self, value: &Json, path: &[Step<'_>], what: &str) {
        self.readable::<T>(value, path, Code::INVALID_ADDRESS, what);
    }

    fn prefix<T: FromStr + Copy + Into<IpNet>>(
        &mut self,
        value: &Json,
        path: &[Step<'_>],
        what: &str,
    ) {
        let Some(prefix) = self.readable::<T>(value, path, Code::INVALID_PREFIX, what) else {
            return;
        };
        let prefix: IpNet = prefix.into();
        let network = prefix.trunc();
        if network != prefix {
            let message = format!("`{prefix}` has bits set behind its length");
            let help = format!("the network is {network}");
            let warning = self.warning(Code::PREFIX_NOT_CANONICAL, path, message, &help);
            self.add(self.mended(warning, path, &network.to_string()));
        }
        if matches!(prefix, IpNet::V4(_)) && prefix.prefix_len() != IPV4_LENGTH {
            let message = format!("`{prefix}` is not a /{IPV4_LENGTH}");
            self.add(self.warning(
                Code::PREFIX_LENGTH,
                path,
                message,
                "ECS assigns IPv4 prefixes of that length only",
            ));
        }
    }

    /// What the value says, where it can be read; says why not otherwise.
    fn readable<T: FromStr>(
        &mut self,
        value: &Json,
        path: &[Step<'_>],
        code: Code,
        what: impl Display,
    ) -> Option<T> {
        if !self.wants_more() {
            return None;
        }
        let text = self.text_of(value, path)?;
        match Reading::of(&text, |text| text.trim().parse().ok()) {
            Reading::Clear(value) => Some(value),
            Reading::Masked(_) => {
                self.add(self.hidden(path, &text));
                None
            }
            Reading::Unknown(_) | Reading::Missing => {
                let message = format!("`{}` is not {what}", shown(&text));
                self.add(self.warning(
                    code,
                    path,
                    message,
                    &format!("`{}` holds {what}", named(&path[..2])),
                ));
                None
            }
        }
    }
}

//! Texts with secrets in them, which are exported as references only.

use std::collections::BTreeMap;

use reflexarc_diagnostic::toml::DeValue;

/// A text of which some pieces are secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SecretText(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Secret(SecretReference),
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SecretReference {
    /// In words: `environment variable X`.
    source: String,
    /// A name for it: `X`.
    name: String,
}

/// Words in the names of parameters whose values are secrets.
const SECRET_WORDS: [&str; 7] = ["token", "key", "secret", "sign", "sig", "pass", "auth"];

impl SecretText {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self(vec![Piece::Plain(text.into())])
    }

    /// The value of a key of the configuration: a text or a reference to a secret.
    pub(super) fn of_value(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Self::plain(text.as_ref())),
            DeValue::Table(table) => {
                let part = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
                let (source, name) = match (part("env"), part("file")) {
                    (Some(name), _) => (format!("environment variable {name}"), name),
                    (None, Some(path)) => (format!("file {path}"), path),
                    (None, None) => return None,
                };
                let name = name.to_owned();
                Some(Self(vec![Piece::Secret(SecretReference { source, name })]))
            }
            _ => None,
        }
    }

    /// A URL of the configuration, without the secrets that it has in the clear: a password before
    /// the host, and parameters whose names say so.
    pub(super) fn of_url(value: &DeValue<'_>, target: &str) -> Option<Self> {
        let text = match value {
            DeValue::String(text) => text.as_ref(),
            _ => return Self::of_value(value),
        };
        let hidden = |what: &str| {
            Piece::Secret(SecretReference {
                source: format!("{what} in the url of target {target}"),
                name: format!("{target}-{what}"),
            })
        };
        let mut pieces = Vec::new();
        let mut rest = text;
        if let Some((scheme, after)) = rest.split_once("://") {
            let authority = after.find(['/', '?', '#']).unwrap_or(after.len());
            pieces.push(Piece::Plain(format!("{scheme}://")));
            rest = match after[..authority].rfind('@') {
                Some(at) => {
                    pieces.push(hidden("userinfo"));
                    &after[at..]
                }
                None => after,
            };
        }
        if let Some((before, query)) = rest.split_once('?') {
            pieces.push(Piece::Plain(format!("{before}?")));
            for (at, pair) in query.split('&').enumerate() {
                let separator = if at == 0 { "" } else { "&" };
                match pair.split_once('=') {
                    Some((name, _)) if is_secret_name(name) => {
                        pieces.push(Piece::Plain(format!("{separator}{name}=")));
                        pieces.push(hidden(name));
                    }
                    _ => pieces.push(Piece::Plain(format!("{separator}{pair}"))),
                }
            }
        } else {
            pieces.push(Piece::Plain(rest.to_owned()));
        }
        Some(Self(pieces))
    }

    pub(super) fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The beginning up to the first secret.
    pub(super) fn start(&self) -> &str {
        match self.0.first() {
            Some(Piece::Plain(text)) => text,
            _ => "",
        }
    }

    /// The text with a placeholder for each secret.
    pub(super) fn with_placeholders(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Plain(text) => text.clone(),
            Piece::Secret(secret) => format!("<secret: {}>", secret.source),
        };
        self.0.iter().map(piece).collect()
    }

    /// The text as a template of Terraform, with a variable for each secret.
    pub(super) fn with_variables(&self, variables: &mut Variables) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Plain(text) => escaped(text),
            Piece::Secret(secret) => format!("${{var.{}}}", variables.name(secret)),
        };
        self.0.iter().map(piece).collect()
    }

    /// Where its secrets are.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Plain(_) => None,
            Piece::Secret(secret) => Some(secret.source.as_str()),
        })
    }
}

/// The variables of a Terraform document, by name, with the secrets that they hold.
#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, SecretReference>);

impl Variables {
    fn name(&mut self, secret: &SecretReference) -> String {
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        };
        let name: String = secret.name.chars().map(safe).collect();
        let name = format!("secret_{}", name.trim_matches('_'));
        let mut unique = name.clone();
        let mut number = 2;
        while self.0.get(&unique).is_some_and(|other| other != secret) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        self.0.insert(unique.clone(), secret.clone());
        unique
    }

    /// The blocks `variable`.
    pub(super) fn blocks(&self) -> serde_json::Map<String, serde_json::Value> {
        let block = |(name, secret): (&String, &SecretReference)| {
            let block = serde_json::json!({
                "type": "string",
                "sensitive": true,
                "description": escaped(&format!("Secret: {}", secret.source)),
            });
            (name.clone(), block)
        };
        self.0.iter().map(block).collect()
    }
}

/// A text that Terraform reads as it is: `${` and `%{` begin templates.
pub(super) fn escaped(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> SecretText {
        SecretText::of_url(&DeValue::String(text.into()), "hook").unwrap()
    }

    #[test]
    fn secrets_in_urls_are_not_shown() {
        for (text, shown) in [
            ("https://a.example/x?b=1&c", "https://a.example/x?b=1&c"),
            (
                "https://u:p@a.example/x",
                "https://<secret: userinfo in the url of target hook>@a.example/x",
            ),
            (
                "https://a.example/x?b=1&access_token=abc&d=2",
                "https://a.example/x?b=1&access_token=\
                 <secret: access_token in the url of target hook>&d=2",
            ),
        ] {
            assert_eq!(url(text).with_placeholders(), shown);
        }
        assert_eq!(url("https://u@a.example/x").secrets().count(), 1);
    }

    #[test]
    fn terraform_reads_texts_as_they_are() {
        let mut variables = Variables::default();
        let text = url("https://a.example/${x}/%{y}?token=abc").with_variables(&mut variables);
        let expected = "https://a.example/$${x}/%%{y}?token=${var.secret_hook_token}";
        assert_eq!(text, expected);
        assert_eq!(variables.blocks().len(), 1);
        assert!(!format!("{:?}", variables.blocks()).contains("abc"));
    }
}

//! Faults on purpose: what a rehearsal lets go wrong.

use reflexarc_event::{Json, Operation};

/// Lets the next accepted requests of one operation go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The operation.
    pub operation: Operation,
    /// Only for this interface; for any when absent. A creation has no interface to name.
    pub interface: Option<String>,
    /// How it goes wrong.
    pub outcome: FaultOutcome,
    /// How many requests it strikes.
    pub times: usize,
}

/// How an accepted request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultOutcome {
    /// It completes with `failed`: a creation in `CreateFailed`, an attachment back in Available, a detachment still in
    /// Detaching, a deletion still in Deleting.
    Fail,
    /// It never completes: the interface stays in the status on the way, and nobody is told.
    Hang,
}

/// As many faults wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} faults are waiting already")]
pub struct TooManyFaults(pub(crate) usize);

impl Fault {
    /// Reads `{"operation": …, "outcome": "fail" or "hang", "interface": an id or nothing, "times": a number or nothing}`.
    ///
    /// # Errors
    /// With what is wrong, in words.
    pub fn from_json(json: &Json) -> Result<Self, String> {
        let Json::Object(members) = json else {
            return Err("a fault is a JSON object".to_owned());
        };
        let (mut operation, mut outcome, mut interface, mut times) = (None, None, None, 1);
        for (key, value) in members {
            let text = || {
                value
                    .as_str()
                    .ok_or_else(|| format!("`{key}` must be a string"))
            };
            match key.as_str() {
                "operation" => {
                    operation = Some(word(
                        key,
                        text()?,
                        &Operation::ALL.map(|one| (one.as_str(), one)),
                    )?)
                }
                "outcome" => {
                    outcome = Some(word(
                        key,
                        text()?,
                        &FaultOutcome::ALL.map(|one| (one.name(), one)),
                    )?)
                }
                "interface" => interface = Some(text()?.to_owned()),
                "times" => {
                    let number = value
                        .as_i64()
                        .and_then(|number| usize::try_from(number).ok())
                        .filter(|times| *times > 0);
                    times = number
                        .ok_or_else(|| "`times` must be a whole number from 1 on".to_owned())?;
                }
                other => {
                    return Err(format!(
                        "a fault has no `{other}`; it has operation, outcome, interface and times"
                    ));
                }
            }
        }
        let missing = |key: &str| format!("a fault needs `{key}`");
        let operation = operation.ok_or_else(|| missing("operation"))?;
        Ok(Self {
            operation,
            interface,
            outcome: outcome.ok_or_else(|| missing("outcome"))?,
            times,
        })
    }

    /// The form that [`Fault::from_json`] reads.
    pub fn to_json(&self) -> Json {
        let interface = self
            .interface
            .as_ref()
            .map(|id| ("interface", Json::from(id.as_str())));
        let members = [
            ("operation", Json::from(self.operation.as_str())),
            ("outcome", Json::from(self.outcome.name())),
            (
                "times",
                Json::from(i64::try_from(self.times).unwrap_or(i64::MAX)),
            ),
        ];
        members
            .into_iter()
            .chain(interface)
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

impl FaultOutcome {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Fail, Self::Hang];

    /// The word for it in a scenario.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Hang => "hang",
        }
    }
}

fn word<T: Copy>(key: &str, text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    found.ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("`{key}` is one of {}", known.join(", "))
    })
}

/// Takes the first fault that strikes, and counts it down.
pub(crate) fn strike(
    faults: &mut Vec<Fault>,
    operation: Operation,
    interface: &str,
) -> Option<FaultOutcome> {
    let at = faults.iter().position(|fault| {
        fault.operation == operation && fault.interface.as_deref().is_none_or(|id| id == interface)
    })?;
    let outcome = faults[at].outcome;
    faults[at].times = faults[at].times.saturating_sub(1);
    if faults[at].times == 0 {
        faults.remove(at);
    }
    Some(outcome)
}

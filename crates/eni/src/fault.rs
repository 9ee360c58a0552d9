//! Injected faults: requests that are accepted and then go wrong.

use reflexarc_event::{Json, Operation};

/// Makes the next accepted requests for one operation go wrong.
///
/// ```
/// use reflexarc_eni::{Fault, FaultMode};
/// use reflexarc_event::Json;
///
/// let json = r#"{"operation": "DetachNetworkInterface", "outcome": "hang"}"#;
/// let fault = Fault::from_json(&Json::parse(json)?)?;
/// assert_eq!((fault.mode, fault.times), (FaultMode::Hang, 1));
/// let error = Fault::from_json(&Json::parse("{}")?).unwrap_err();
/// assert_eq!(error.to_string(), "missing key `operation`");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The operation.
    pub operation: Operation,
    /// The id of the interface; every interface when absent. A creation never matches an id,
    /// because its interface does not exist yet.
    pub interface: Option<String>,
    /// How requests go wrong.
    pub mode: FaultMode,
    /// The number of requests that go wrong.
    pub times: usize,
}

/// How an accepted request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultMode {
    /// It completes with `failed`: a creation in `CreateFailed`, an attachment back in Available, a
    /// detachment still in Detaching, a deletion still in Deleting.
    Fail,
    /// It never completes: the interface stays in its current status and there is no event.
    Hang,
}

/// The maximum number of faults is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} faults are active already, the maximum")]
pub struct TooManyFaults(pub(crate) usize);

/// Not a fault: what is wrong with its JSON form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFault(String);

impl Fault {
    /// Reads `{"operation": …, "outcome": "fail" or "hang", "interface": an id, "times": a
    /// number}`. `interface` and `times` (1) may be left out.
    ///
    /// # Errors
    /// When it is not such an object.
    pub fn from_json(json: &Json) -> Result<Self, InvalidFault> {
        Self::read(json).map_err(InvalidFault)
    }

    /// The form that [`Fault::from_json`] reads.
    pub fn to_json(&self) -> Json {
        let interface = self
            .interface
            .as_ref()
            .map(|id| ("interface", Json::from(id.as_str())));
        let times = i64::try_from(self.times).unwrap_or(i64::MAX);
        let members = [
            ("operation", Json::from(self.operation.as_str())),
            ("outcome", Json::from(self.mode.name())),
            ("times", Json::from(times)),
        ];
        members
            .into_iter()
            .chain(interface)
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }

    fn read(json: &Json) -> Result<Self, String> {
        let Json::Object(members) = json else {
            return Err("expected a JSON object".to_owned());
        };
        let (mut operation, mut mode, mut interface, mut times) = (None, None, None, 1);
        for (key, value) in members {
            let text = || {
                value
                    .as_str()
                    .ok_or_else(|| format!("`{key}` must be a string"))
            };
            match key.as_str() {
                "operation" => {
                    let operations = Operation::ALL.map(|one| (one.as_str(), one));
                    operation = Some(choice(key, text()?, &operations)?);
                }
                "outcome" => {
                    let modes = FaultMode::ALL.map(|one| (one.name(), one));
                    mode = Some(choice(key, text()?, &modes)?);
                }
                "interface" => interface = Some(text()?.to_owned()),
                "times" => {
                    let number = value
                        .as_i64()
                        .and_then(|number| usize::try_from(number).ok());
                    // A fault that applies 0 times would have no effect, which is never meant.
                    times = number
                        .filter(|times| *times > 0)
                        .ok_or("`times` must be an integer of at least 1")?;
                }
                other => {
                    let known = "operation, outcome, interface, times";
                    return Err(format!("unknown key `{other}`, expected one of {known}"));
                }
            }
        }
        Ok(Self {
            operation: operation.ok_or("missing key `operation`")?,
            interface,
            mode: mode.ok_or("missing key `outcome`")?,
            times,
        })
    }
}

impl FaultMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Fail, Self::Hang];

    /// The name that scenario files and `/faults` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Hang => "hang",
        }
    }
}

/// Finds the fault that applies to a request and uses it up once.
///
/// The oldest fault that matches applies, whether or not a later one is more specific, and it is
/// removed when it has applied `times` times. So a scenario can stack faults: `fail` once, then
/// `hang` once, makes the first detachment fail and the second one hang.
pub(crate) fn take_fault(
    faults: &mut Vec<Fault>,
    operation: Operation,
    interface: &str,
) -> Option<FaultMode> {
    let at = faults.iter().position(|fault| {
        fault.operation == operation && fault.interface.as_deref().is_none_or(|id| id == interface)
    })?;
    let mode = faults[at].mode;
    faults[at].times = faults[at].times.saturating_sub(1);
    if faults[at].times == 0 {
        faults.remove(at);
    }
    Some(mode)
}

fn choice<T: Copy>(key: &str, text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("invalid `{key}`: expected one of {}", names.join(", "))
    })
}

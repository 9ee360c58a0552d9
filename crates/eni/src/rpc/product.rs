//! The services that the endpoint answers for, by the version of their APIs.

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    Ecs,
    EventBridge,
    CloudMonitor,
}

impl Product {
    const ALL: [Self; 3] = [Self::Ecs, Self::EventBridge, Self::CloudMonitor];

    /// The version of its API.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Ecs => "2014-05-26",
            Self::EventBridge => "2020-04-01",
            Self::CloudMonitor => "2019-01-01",
        }
    }

    /// The service whose API has that version.
    pub(super) fn of_version(version: &str) -> Option<Self> {
        let mut known = Self::ALL.into_iter();
        known.find(|product| product.version() == version)
    }
}

//! The settings that take effect only at a restart.

use std::net::SocketAddr;
use std::time::Duration;

use reflexarc_delivery::config::ConfigDigest;

use crate::limits::Limits;
use crate::store::StoreOptions;
use crate::store_location::StoreLocation;
use crate::telemetry::{Collector, LogFormat};

/// The settings that take effect only at a restart: what is bound or opened once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartSettings {
    /// The address of the HTTP server.
    pub listen: SocketAddr,
    /// The address of the console, and the names by which it is addressed.
    pub console: (Option<SocketAddr>, Vec<String>),
    /// Where the store is, and how it is opened.
    pub store: (StoreLocation, StoreOptions),
    /// Resource limits for untrusted input.
    pub limits: Limits,
    /// Log filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The names of the sources, with digests of their settings.
    pub sources: Vec<(String, ConfigDigest)>,
    /// Where traces are sent.
    pub telemetry: Option<Collector>,
    /// Longest time for open requests, and then for running sends, to finish after a stop.
    pub shutdown_timeout: Duration,
}

impl RestartSettings {
    /// The names of the settings in which `self` and `other` differ.
    ///
    /// ```
    /// use reflexarc_service::Config;
    ///
    /// let running = Config::default().restart_settings();
    /// let edited = Config { log: "debug".into(), ..Config::default() };
    /// assert_eq!(running.differences(&edited.restart_settings()), ["log"]);
    /// ```
    pub fn differences(&self, other: &Self) -> Vec<String> {
        // The order of the documentation, and of `restart` in the response to a reload.
        let same = [
            ("http.listen", self.listen == other.listen),
            ("console", self.console == other.console),
            ("store", self.store == other.store),
            ("limits", self.limits == other.limits),
            ("log", self.log == other.log),
            ("log_format", self.log_format == other.log_format),
            ("sources", self.sources == other.sources),
            ("telemetry", self.telemetry == other.telemetry),
            (
                "shutdown_timeout",
                self.shutdown_timeout == other.shutdown_timeout,
            ),
        ];
        same.into_iter()
            .filter(|(_, same)| !same)
            .map(|(name, _)| name.to_owned())
            .collect()
    }
}

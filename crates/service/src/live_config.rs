//! The live configuration: the rules and settings that a reload replaces.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use reflexarc::RuleSet;

use crate::budgets::Budgets;
use crate::heartbeat::Heartbeat;
use crate::security::{AccessRules, EventBridge, TlsIdentity, Tokens};
use crate::store::Retention;

/// The rules and settings in effect now. Each field is replaced as a whole.
//
// Readers load a field for each request or event and keep what they got until its end: a request
// that began under the old tokens ends under them, the next one sees the new ones. With ArcSwap
// they never wait for a reload, nor a reload for them.
pub(crate) struct LiveConfig {
    /// The rules; intake shares this.
    pub(crate) rules: Arc<ArcSwap<RuleSet>>,
    /// Accepted bearer tokens.
    pub(crate) tokens: ArcSwap<Tokens>,
    /// Verifies requests signed by EventBridge.
    pub(crate) eventbridge: ArcSwapOption<EventBridge>,
    /// Names of the service and its proxies.
    pub(crate) access: ArcSwap<AccessRules>,
    /// Certificate and key for TLS clients.
    pub(crate) tls_identity: ArcSwapOption<TlsIdentity>,
    /// Where a sign of life is sent.
    pub(crate) heartbeat: ArcSwapOption<Heartbeat>,
    /// How long events are kept.
    pub(crate) retention: ArcSwap<Retention>,
    /// What the reactions of each rule may consume; intake shares this.
    pub(crate) budgets: Arc<ArcSwap<Budgets>>,
}

/// The settings of a [`LiveConfig`], as the configuration has them.
pub(crate) struct LiveSettings {
    pub(crate) tokens: Tokens,
    pub(crate) eventbridge: Option<EventBridge>,
    pub(crate) access: AccessRules,
    pub(crate) tls_identity: Option<TlsIdentity>,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) retention: Retention,
    pub(crate) budgets: Budgets,
}

impl LiveConfig {
    pub(crate) fn new(rules: RuleSet, settings: LiveSettings) -> Self {
        Self {
            rules: Arc::new(ArcSwap::from_pointee(rules)),
            tokens: ArcSwap::from_pointee(settings.tokens),
            eventbridge: ArcSwapOption::new(settings.eventbridge.map(Arc::new)),
            access: ArcSwap::from_pointee(settings.access),
            tls_identity: ArcSwapOption::new(settings.tls_identity.map(Arc::new)),
            heartbeat: ArcSwapOption::new(settings.heartbeat.map(Arc::new)),
            retention: ArcSwap::from_pointee(settings.retention),
            budgets: Arc::new(ArcSwap::from_pointee(settings.budgets)),
        }
    }
}

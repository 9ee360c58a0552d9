//! What the configuration says about a source.

use reflexarc_delivery::config::ConfigDigest;

/// One source as configured.
pub struct SourceConfig {
    /// Its name.
    pub name: String,
    /// A digest of its settings, secrets included.
    pub digest: ConfigDigest,
    #[cfg(feature = "cluster")]
    pub(crate) settings: JetStreamSettings,
}

/// The settings of a source of type `jetstream`.
#[cfg(feature = "cluster")]
pub(crate) struct JetStreamSettings {
    pub(crate) nats: reflexarc_delivery::nats::NatsSettings,
    /// The stream, which exists.
    pub(crate) stream: String,
    /// The durable consumer, which all nodes share.
    pub(crate) consumer: String,
    /// The subjects of the messages that are taken; all of the stream if there are none.
    pub(crate) subjects: Vec<String>,
    /// How many messages all nodes together may have without an acknowledgement.
    pub(crate) max_ack_pending: i64,
    /// When a message without an acknowledgement is sent again.
    pub(crate) ack_wait: std::time::Duration,
    /// How many messages this node may have at one time.
    pub(crate) batch: usize,
    /// Where messages are published that are no events.
    pub(crate) reject_subject: Option<String>,
}

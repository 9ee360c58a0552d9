//! `[sources]`: the tables of sources, one for each.

use reflexarc_delivery::config::ConfigTable;

#[cfg(feature = "cluster")]
mod jetstream;

use crate::sources::SourceConfig;

#[derive(Clone, Copy)]
enum SourceType {
    JetStream,
}

const SOURCE_TYPES: [(&str, SourceType); 1] = [("jetstream", SourceType::JetStream)];

/// Reads every source, and reports the errors of those that cannot be made.
pub(super) fn sources(root: &ConfigTable<'_>) -> Vec<SourceConfig> {
    let sources = root.named_tables("sources").into_iter();
    let sources = sources.filter_map(|(name, keys)| {
        let (digest, config) = keys.digest(|keys| source(name, keys));
        config.map(|config| SourceConfig { digest, ..config })
    });
    sources.collect()
}

fn source(name: String, keys: ConfigTable<'_>) -> Option<SourceConfig> {
    if !keys.has("type") {
        keys.missing("type", "type = \"jetstream\"");
    }
    // An unknown type ends the reading here: which other keys are known depends on it.
    match keys.choice("type", &SOURCE_TYPES)? {
        #[cfg(feature = "cluster")]
        SourceType::JetStream => {
            let settings = jetstream::jetstream(&keys);
            keys.finish();
            Some(SourceConfig {
                name,
                digest: [0; 32],
                settings: settings?,
            })
        }
        #[cfg(not(feature = "cluster"))]
        SourceType::JetStream => {
            drop(name);
            reflexarc_delivery::config::report_missing_feature(&keys, "type", "JetStream");
            None
        }
    }
}

//! `[console]`.

use std::net::SocketAddr;

use reflexarc_delivery::config::ConfigTable;
use reflexarc_diagnostic::Code;

use super::sections::{hosts, report_address};

/// What `[console]` configures.
pub(super) struct ConsoleSection {
    pub(super) listen: SocketAddr,
    pub(super) hosts: Vec<String>,
}

/// `[console]`; `None` if its address is missing or invalid, which is reported.
pub(super) fn console(table: ConfigTable<'_>, has_tokens: bool) -> Option<ConsoleSection> {
    let help = "the address of the console: listen = \"127.0.0.1:8326\"";
    let text = table.required_string("listen", help);
    let listen = text.and_then(|text| {
        let address = text.parse();
        if address.is_err() {
            report_address(&table, &text, 8326);
        }
        address.ok()
    });
    let reaches_others = listen.is_some_and(|listen: SocketAddr| !listen.ip().is_loopback());
    if reaches_others && !has_tokens {
        let message = "missing tokens: without them anyone who can reach this address may do \
                       everything";
        let help = "add [[http.tokens]], or listen on 127.0.0.1";
        table.fault("listen", Code::CONFIG_VALUE, message, help);
    }
    let hosts = hosts(&table);
    table.finish();
    Some(ConsoleSection {
        listen: listen?,
        hosts,
    })
}

//! Settings of an interface that have no effect on statuses and events: they are kept and shown.

/// What a request says about queues, checks and connection tracking; `None` where it says nothing.
///
/// ```
/// use reflexarc_eni::resources::InterfaceSettings;
///
/// let mut settings = InterfaceSettings { queue_number: Some(8), ..Default::default() };
/// settings.update(&InterfaceSettings { source_dest_check: Some(true), ..Default::default() });
/// assert_eq!((settings.queue_number, settings.source_dest_check), (Some(8), Some(true)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterfaceSettings {
    /// Queues of the interface.
    pub queue_number: Option<usize>,
    /// RDMA queues of the interface.
    pub queue_pair_number: Option<usize>,
    /// Whether source and destination of packets are checked; `false` by default.
    pub source_dest_check: Option<bool>,
    /// Whether the first IPv6 address is the primary one; `false` by default.
    pub primary_ipv6: Option<bool>,
    /// Seconds after which an idle established TCP connection is forgotten; 910 by default.
    pub tcp_established_timeout: Option<usize>,
    /// Seconds after which a closed TCP connection is forgotten; 3 by default.
    pub tcp_closed_timeout: Option<usize>,
    /// Seconds after which an idle UDP flow is forgotten; 30 by default.
    pub udp_timeout: Option<usize>,
}

impl InterfaceSettings {
    /// Replaces what `change` gives.
    pub fn update(&mut self, change: &Self) {
        // Every field is named, so that a new one cannot be forgotten here.
        let Self {
            queue_number,
            queue_pair_number,
            source_dest_check,
            primary_ipv6,
            tcp_established_timeout,
            tcp_closed_timeout,
            udp_timeout,
        } = change;
        replace(&mut self.queue_number, *queue_number);
        replace(&mut self.queue_pair_number, *queue_pair_number);
        replace(&mut self.source_dest_check, *source_dest_check);
        replace(&mut self.primary_ipv6, *primary_ipv6);
        replace(&mut self.tcp_established_timeout, *tcp_established_timeout);
        replace(&mut self.tcp_closed_timeout, *tcp_closed_timeout);
        replace(&mut self.udp_timeout, *udp_timeout);
    }
}

fn replace<T>(setting: &mut Option<T>, change: Option<T>) {
    if change.is_some() {
        *setting = change;
    }
}

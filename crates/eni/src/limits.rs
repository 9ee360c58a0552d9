//! What a caller may ask for.

/// The bounds on requests and on what they build, with the values that the service documents where it names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Security groups of one interface.
    pub security_groups: usize,
    /// Secondary addresses named in one creation.
    pub secondary_named: usize,
    /// Secondary addresses asked for by number in one creation.
    pub secondary_counted: usize,
    /// IPv6 addresses in one creation, named or counted.
    pub ipv6: usize,
    /// Prefixes of one family in one creation, named or counted.
    pub prefixes: usize,
    /// Tags of one interface.
    pub tags: usize,
    /// Secondary interfaces of one account; the default of a new account.
    pub interfaces_per_account: usize,
    /// Interface ids in one description.
    pub described_ids: usize,
    /// Largest page.
    pub page: usize,
    /// Requests that may be under way at one time in the whole cloud.
    pub pending: usize,
    /// Faults that may wait to strike.
    pub faults: usize,
    /// Notices and status changes kept for whoever takes them; the oldest go first.
    pub journal: usize,
}

impl Limits {
    /// 10 groups, 10 named or 49 counted addresses, 10 IPv6 addresses, 10 prefixes, 20 tags, 100 interfaces, 100 ids,
    /// pages of 500, 10,000 requests under way, 10,000 faults, 100,000 journal entries.
    pub const DEFAULT: Self = Self {
        security_groups: 10,
        secondary_named: 10,
        secondary_counted: 49,
        ipv6: 10,
        prefixes: 10,
        tags: 20,
        interfaces_per_account: 100,
        described_ids: 100,
        page: 500,
        pending: 10_000,
        faults: 10_000,
        journal: 100_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

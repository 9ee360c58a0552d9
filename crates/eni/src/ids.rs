//! Identifiers that are derived from a seed.

/// A generator of identifiers. The same seed gives the same sequence, so a scenario has the same
/// ids in every run.
///
/// The numbers come from splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014; constants as in the reference implementation). It is five lines, has 64 bits
/// of state, and is good enough for ids that only have to differ; a random number crate could
/// change its sequence between versions, and with it every recorded timeline.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    state: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A GUID in upper case, as the service writes the ids of requests and events.
    pub(crate) fn guid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let hex = format!("{high:016X}{low:016X}");
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }

    /// The id of a resource, such as `eni-bp1ynpkbgqc6tf6owy58`: the kind, `bp1` as in the ids of
    /// the region cn-hangzhou, and 17 digits of base 36.
    pub(crate) fn resource(&mut self, kind: &str) -> String {
        const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut id = format!("{kind}-bp1");
        // 17 digits of base 36 hold 88 bits, so one 64-bit number is not enough.
        let mut rest = u128::from(self.next()) << 64 | u128::from(self.next());
        for _ in 0..17 {
            let digit = usize::try_from(rest % 36).expect("a remainder of 36 fits");
            id.push(char::from(DIGITS[digit]));
            rest /= 36;
        }
        id
    }

    /// A MAC address with the prefix `00:16`, as the service's interfaces have.
    pub(crate) fn mac(&mut self) -> String {
        let [_, _, _, _, a, b, c, d] = self.next().to_be_bytes();
        format!("00:16:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_sequence() {
        let draw = |seed| {
            let mut ids = Ids::new(seed);
            (ids.guid(), ids.resource("eni"), ids.mac())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let (guid, id, mac) = draw(7);
        assert_eq!((guid.len(), id.len(), mac.len()), (36, 24, 17));
        assert!(id.starts_with("eni-bp1"));
    }
}

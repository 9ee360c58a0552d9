use proptest::prelude::*;

use super::scenario::Scenario;

proptest! {
    #[test]
    fn rule_sets_in_time_equal_the_naive_twin(
        bytes in prop::collection::vec(any::<u8>(), 2..98),
    ) {
        let scenario = Scenario::from_bytes(&bytes);
        let (actual, expected) = scenario.happened();
        prop_assert_eq!(actual, expected, "{:?}", scenario);
    }
}

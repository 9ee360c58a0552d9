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

    #[test]
    fn setting_the_clock_moves_deadlines_and_nothing_else(
        bytes in prop::collection::vec(any::<u8>(), 2..98),
        before in 0_usize..24,
        offset in prop_oneof![-10_000_i64..10_000, Just(-3 * 3_600), Just(31 * 86_400)],
    ) {
        let scenario = Scenario::from_bytes(&bytes);
        let (set, plain) = scenario.clone().happened_under_clocks(before, offset);
        prop_assert_eq!(set, plain, "{:?}", scenario);
    }
}

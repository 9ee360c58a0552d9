//! Operations that change nothing, and what is known of those of ECS.

/// The product that has a version and an `allow` of its own.
pub const ECS: &str = "ecs";
/// The version of the API of ECS.
pub const ECS_VERSION: &str = "2014-05-26";
/// What a target of ECS allows unless it says otherwise: operations that only read.
pub const ECS_READS: [&str; 2] = ["Describe*", "ListTagResources"];

/// Operations of ECS that need no parameters.
pub(super) const ECS_TESTS: [&str; 3] = [
    "DescribeNetworkInterfaces",
    "DescribeInstances",
    "DescribeRegions",
];
/// What the names of operations that change nothing begin with.
const READ_PREFIXES: [&str; 6] = ["Describe", "Get", "List", "Lookup", "Query", "Search"];

/// Whether an operation changes nothing, by its name: `ListTagResources`, but not `ListenPort`.
pub fn is_read(operation: &str) -> bool {
    READ_PREFIXES.iter().any(|prefix| {
        let rest = operation.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_uppercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_known_by_the_first_word() {
        for read in [
            "DescribeInstances",
            "ListTagResources",
            "GetInstance",
            "QueryBill",
        ] {
            assert!(is_read(read), "{read}");
        }
        for change in [
            "Describe",
            "ListenPort",
            "GetawayCreate",
            "DeleteNetworkInterface",
            "RunInstances",
            "describeInstances",
        ] {
            assert!(!is_read(change), "{change}");
        }
    }
}

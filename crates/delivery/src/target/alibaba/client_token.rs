//! Which operations of ECS take a `ClientToken`: a request that is repeated with the same token is
//! executed once.

/// The operations of ECS 2014-05-26 that take a `ClientToken`, one a line, sorted: the table is
/// that of the official SDK's models, which a test of the Python package compares it with.
///
/// None of `AttachNetworkInterface`, `DetachNetworkInterface` and `DeleteNetworkInterface` is among
/// them: after an unknown outcome a rule has to look.
const OPERATIONS: &str = include_str!("client_token_operations.txt");

/// Whether an operation of ECS takes a `ClientToken`.
pub(super) fn takes_client_token(operation: &str) -> bool {
    OPERATIONS.lines().any(|known| known == operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_that_take_a_client_token_are_known() {
        assert!(takes_client_token("CreateNetworkInterface"));
        assert!(takes_client_token("AssignPrivateIpAddresses"));
        for operation in [
            "AttachNetworkInterface",
            "DetachNetworkInterface",
            "DeleteNetworkInterface",
            "ModifyNetworkInterfaceAttribute",
            "UnassignPrivateIpAddresses",
            "Create",
            "",
        ] {
            assert!(!takes_client_token(operation), "{operation}");
        }
        assert!(OPERATIONS.lines().is_sorted());
    }
}

//! Faults in scenarios, at the names of interfaces.

use reflexarc_eni::scenario::{Scenario, Simulation, TimelineEvent};

/// A creation that is refused, because its vSwitch does not exist, then a fault for it.
const REFUSED: &str = r#"
    [[account]]
    name = "tenant"
    id = "1690704567890130"

    [[step]]
    at = "0s"
    as = "tenant"
    do = "CreateNetworkInterface"
    name = "web"
    with = { VSwitchId = "vsw-none", SecurityGroupId = "sg-none" }
    expect = "InvalidVSwitchId.NotFound"

    [[step]]
    at = "1s"
    fault = { operation = "AttachNetworkInterface", interface = "$web", outcome = "fail" }
"#;

#[test]
fn a_fault_of_a_refused_interface_applies_to_no_other() {
    let mut simulation = Simulation::new(REFUSED.parse::<Scenario>().unwrap());
    let mut notes = Vec::new();
    while let Some(event) = simulation.advance() {
        if let TimelineEvent::Note { text, .. } = event {
            notes.push(text);
        }
    }
    assert_eq!(notes, ["no fault for web: it was not created"]);
    assert!(simulation.world().cloud.faults().is_empty());
}

//! What the services allow, from their documentation.

/// The limits of exported rules.
pub(super) struct ServiceLimits {
    /// Rules that one rule may become.
    pub(super) parts: usize,
    /// Characters of the name of an EventBridge rule. It begins with a letter or digit, and has
    /// letters, digits and `-`.
    // help.aliyun.com/document_detail/163289.html (Limits of EventBridge), as the next three.
    pub(super) eventbridge_name: usize,
    /// A beginning that the name of an EventBridge rule must not have.
    pub(super) eventbridge_reserved: &'static str,
    /// Targets of an EventBridge rule.
    pub(super) eventbridge_targets: usize,
    /// Characters of the value, and of the template, of a target's parameter.
    pub(super) eventbridge_template: usize,
    /// Products, names, levels and types of one pattern of a Cloud Monitor rule, and its patterns.
    // alibabacloud.com/help/en/cms/developer-reference/api-cms-2019-01-01-puteventrule: "Valid
    // values of N: 1 to 50".
    pub(super) cloudmonitor_values: usize,
    /// Targets of one kind of a Cloud Monitor rule.
    // …-puteventruletargets: "Valid values of N: 1 to 5".
    pub(super) cloudmonitor_targets: usize,
    /// Characters of the name of an AWS rule: letters, digits, `.`, `-` and `_`.
    // docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html, as the next.
    pub(super) aws_name: usize,
    /// Characters of the description of an AWS rule.
    pub(super) aws_description: usize,
}

pub(super) const LIMITS: ServiceLimits = ServiceLimits {
    // More rules for one filter are not what anybody wants to maintain, and a bus has 50.
    parts: 20,
    eventbridge_name: 127,
    eventbridge_reserved: "eventbridge-reserved-",
    eventbridge_targets: 5,
    eventbridge_template: 10_240,
    cloudmonitor_values: 50,
    cloudmonitor_targets: 5,
    aws_name: 64,
    aws_description: 512,
};

variable "severity" {
  type    = number
  default = 7
}

locals {
  sources = ["aws.guardduty"]
}

resource "aws_cloudwatch_event_rule" "findings" {
  name        = "guardduty-findings"
  description = "Findings of high severity"
  event_pattern = jsonencode({
    source      = local.sources
    detail-type = ["GuardDuty Finding"]
    detail      = { severity = [{ numeric = [">=", var.severity] }] }
  })
}

resource "aws_cloudwatch_event_target" "topic" {
  rule      = aws_cloudwatch_event_rule.findings.name
  target_id = "alerts"
  arn       = aws_sns_topic.alerts.arn
}

resource "alicloud_event_bridge_rule" "eni_failed" {
  event_bus_name = "default"
  rule_name      = "eni-failed-in-code"
  filter_pattern = <<-EOT
    {
      "source": ["acs.ecs"],
      "type": ["ecs:NetworkInterface:NetworkInterfaceOperateCompleted"],
      "data": {"result": ["failed"]}
    }
  EOT
  targets {
    target_id = "pager"
    type      = "https"
    endpoint  = "https://hooks.example.com/pager"
    param_list {
      resource_key = "Body"
      form         = "ORIGINAL"
    }
  }
}

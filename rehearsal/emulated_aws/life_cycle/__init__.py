"""The life of an Auto Scaling group's instances: rules of Amazon EC2 Auto Scaling as a state machine, without moto.

Time is an argument everywhere, and what happens to machines goes through `Compute`. A rule's docstring names the page
it follows: `x.html` is https://docs.aws.amazon.com/autoscaling/ec2/userguide/x.html, an `API_` page is in the API
reference beside it.

Left out: EventBridge, SNS and SQS notifications, checkpoints, bake time and rollback of a refresh, hibernation,
weighted capacity, rebalancing between zones after a zone is well again (AZRebalance), the retaining instance lifecycle
policy, and the "closest to the next billing hour" step of the default termination policy (machines are billed by the
second, so that step only breaks ties).
"""

"""Alarms and scaling policies: rules of Amazon CloudWatch and EC2 Auto Scaling as arithmetic, without moto.

Time is an argument everywhere. A rule's docstring names the page that it follows: `x.html` is
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/x.html, or, where "EC2 Auto Scaling" is said,
https://docs.aws.amazon.com/autoscaling/ec2/userguide/x.html; an `API_` page is in the service's API reference.

The modules `metric_math`, `metric_math_parser`, `statistics`, `evaluation`, `target_tracking`, `step_scaling` and
`schedules` are pure; the others put them behind the calls of the emulated AWS.

Left out: composite alarms, anomaly detection, Metrics Insights, predictive scaling, and of metric math everything but
arithmetic, comparison, IF, FILL, MAX, MIN, AVG, SUM, ABS, CEIL, FLOOR, PERIOD and METRICS.
"""

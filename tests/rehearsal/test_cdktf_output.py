"""Progress, from lines as cdktf 0.21.0 with Terraform 1.11.4 printed them."""

from __future__ import annotations

from rehearsal.cdktf_output import Counts, Progress

DEPLOY = """\
logs  Initializing the backend...
network  Initializing the backend...
logs  - Installed hashicorp/aws v5.100.0 (unauthenticated)
      Terraform has created a lock file .terraform.lock.hcl to record the provider
network  Terraform used the selected providers to generate the following execution plan.
         Plan: 2 to add, 0 to change, 0 to destroy.
network  \x1b[0m\x1b[1maws_vpc.v: Creating...\x1b[0m\x1b[0m
logs  No changes. Your infrastructure matches the configuration.
network  aws_vpc.v: Creation complete after 0s [id=vpc-d]
         aws_subnet.s: Creating...
"""
END = """\
network  aws_subnet.s: Creation complete after 0s [id=subnet-f]
network  \x1b[1m\x1b[32m
         Apply complete! Resources: 2 added, 1 changed, 0 destroyed.
"""
DESTROY = """\
network  Plan: 0 to add, 0 to change, 2 to destroy.
network  aws_subnet.s: Destroying... [id=subnet-f]
network  aws_subnet.s: Destruction complete after 0s
network  Destroy complete! Resources: 2 destroyed.
"""


def read(text: str, *names: str) -> Progress:
    progress = Progress.of(names)
    for line in text.splitlines():
        progress.read(line)
    return progress


def test_each_stack_is_followed_through_a_deploy() -> None:
    progress = read(DEPLOY, "logs", "network", "router")
    network = progress.stacks["network"]
    assert (network.planned, network.finished, network.doing) == (2, 1, "creating aws_subnet.s")
    assert progress.stacks["logs"].counts == Counts()
    assert progress.stacks["router"].doing == "waiting"
    assert progress.unfinished == ("network", "router")


def test_a_continuation_line_belongs_to_the_stack_above_it() -> None:
    progress = read(DEPLOY + END, "logs", "network")
    assert progress.stacks["network"].counts == Counts(added=2, changed=1)
    assert progress.unfinished == ()


def test_a_destroy_is_counted() -> None:
    progress = read(DESTROY, "network")
    assert progress.stacks["network"].counts == Counts(destroyed=2)
    assert progress.stacks["network"].finished == 1


def test_lines_of_no_stack_are_ignored() -> None:
    assert read("Done  with it\n\nother  text\n", "network").stacks["network"].doing == "waiting"

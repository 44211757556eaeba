# One machine image, of the router or of a worker: a temporary instance is launched, provisioned over SSH, stopped and
# imaged. Written in what Packer 1.6.6 (Debian's) and current Packer both understand.

locals {
  # The key pair's name ends the line in authorized_keys, by which 90-validate.sh knows this bake's key. Packer 1.6 cannot
  # tag a key pair, so the name is also how one that was left behind is found.
  key_pair = "sglang-fleet-bake-${var.run_tags["sglang-fleet:bake"]}"

  # In the order of their numbers; a router's bake leaves these out.
  worker_scripts = ["20-nvidia.sh", "50-engine.sh", "60-model-volume.sh", "65-model.sh"]
  scripts = [
    for name in sort(fileset("${var.staging}/provision", "*.sh")) : "${var.staging}/provision/${name}"
    if var.role == "worker" || contains(local.worker_scripts, name) == false
  ]
  environment = merge(var.environment, { BAKE_KEY_PAIR = local.key_pair })

  # `sudo env` and not `sudo -E`: HOME must become root's, or pip leaves files of root in the login user's home.
  as_root = var.ssh_username == "root" ? "env {{ .Vars }} bash {{ .Path }}" : "sudo -H env {{ .Vars }} bash {{ .Path }}"
}

source "amazon-ebs" "image" {
  region              = var.region
  custom_endpoint_ec2 = var.endpoint_ec2
  # Checks that ask AWS itself (STS, the metadata service of this computer), whatever the EC2 endpoint is.
  skip_credential_validation = var.endpoint_ec2 != ""
  skip_metadata_api_check    = var.endpoint_ec2 != ""

  # The bake host. It has no instance profile: whoever gets at its metadata service finds no credentials there. That is
  # why a missing `metadata_options { http_tokens = "required" }` can be borne. Packer 1.6 does not know the block, and
  # not even a `dynamic` one may name it; IMDSv2 alone is then answered where the base image (its attribute imds-support)
  # or the account's default asks for it. The hosts of the image get it from their launch template.
  source_ami                  = var.base_image
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  associate_public_ip_address = var.subnet_id == "" ? null : var.ssh_interface == "public_ip"
  # A host that shuts itself down is gone, and does not stay behind as a stopped one. Packer stops it through the API.
  shutdown_behavior = "terminate"

  # Encrypted when they are made, so that the snapshots are, too. `encrypt_boot` would come to the same by copying the
  # finished image once more, all of its gigabytes. Packer 1.6 wants gp3's numbers spelled out; 500 MiB/s is what 3000
  # IOPS carry at 170 KiB a piece, and a model is downloaded faster than gp3's 125 MiB/s.
  launch_block_device_mappings {
    device_name           = "/dev/sda1"
    volume_type           = "gp3"
    volume_size           = var.root_volume_gib
    iops                  = 3000
    throughput            = 500
    encrypted             = true
    delete_on_termination = true
  }

  dynamic "launch_block_device_mappings" {
    for_each = var.model_volume_gib > 0 ? ["/dev/sdf"] : []

    content {
      device_name           = launch_block_device_mappings.value
      volume_type           = "gp3"
      volume_size           = var.model_volume_gib
      iops                  = 3000
      throughput            = 500
      encrypted             = true
      delete_on_termination = true
    }
  }

  temporary_security_group_source_cidrs = var.ssh_cidrs

  communicator            = "ssh"
  ssh_username            = var.ssh_username
  ssh_interface           = var.ssh_interface
  ssh_port                = var.ssh_port
  temporary_key_pair_name = local.key_pair
  # Packer 1.6 always asks for an RSA key, which Ubuntu takes because Debian's build signs with SHA-2.
  temporary_key_pair_type   = "ed25519"
  ssh_clear_authorized_keys = true
  ssh_timeout               = "10m"
  # A cut line ends the bake, and not its three hours: the keep-alive of every 5 s counts as traffic.
  ssh_read_write_timeout = "5m"

  # Two hours: the first snapshot of a full volume takes long (Packer's own limit is half an hour).
  aws_polling {
    delay_seconds = var.poll_seconds
    max_attempts  = ceil(7200 / var.poll_seconds)
  }

  ami_name        = var.ami_name
  ami_description = "sglang-fleet ${var.role}, ${var.architecture}"
  tags            = var.tags
  snapshot_tags   = var.tags
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags
}

build {
  sources = ["source.amazon-ebs.image"]

  # Packer copies a folder's content into a folder that is there. 0700: nobody else on the host reads or swaps a file.
  provisioner "shell" {
    inline = ["mkdir -p -m 0700 ${var.environment["BAKE_DIR"]}"]
  }

  provisioner "file" {
    source      = "${var.staging}/"
    destination = "${var.environment["BAKE_DIR"]}/"
  }

  provisioner "file" {
    except      = var.token_file == "" ? ["amazon-ebs.image"] : []
    source      = var.token_file
    destination = "/dev/shm/hub-token"
  }

  provisioner "shell" {
    scripts          = local.scripts
    environment_vars = [for name, value in local.environment : "${name}=${value}"]
    execute_command  = local.as_root
    timeout          = "3h"
  }

  provisioner "file" {
    direction   = "download"
    source      = "/opt/sglang-fleet/sbom.cdx.json"
    destination = "${var.output}/sbom.cdx.json"
  }

  post-processor "manifest" {
    output     = "${var.output}/packer-manifest.json"
    strip_path = true

    custom_data = {
      role         = var.role
      architecture = var.architecture
      base_image   = var.base_image
    }
  }
}

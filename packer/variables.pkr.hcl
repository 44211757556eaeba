# What one bake is given. `fleet bake` writes a file with a value for each of these from the settings; the checks here
# are the last ones before money is spent. The texts are literals, because Packer 1.6 takes no expression there.

variable "region" {
  type        = string
  description = "AWS region that the image is made in."

  validation {
    condition     = var.region != "" && regex_replace(var.region, "^[a-z]{2}(-[a-z]+)+-[0-9]+$", "") == ""
    error_message = "The region must be the code of an AWS region, for example \"eu-central-1\"; correct region in the settings."
  }
}

variable "role" {
  type        = string
  description = "What hosts of the image do: \"router\" or \"worker\"."

  validation {
    condition     = contains(["router", "worker"], var.role)
    error_message = "The role must be \"router\" or \"worker\"; run \"fleet bake\", which writes it."
  }
}

variable "architecture" {
  type        = string
  description = "Processor architecture of the base image, and so of the image: \"x86_64\" or \"arm64\"."

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture must be \"x86_64\" or \"arm64\", as EC2 spells them; run \"fleet bake\", which writes it."
  }
}

variable "ami_name" {
  type        = string
  description = "Name of the image. It must be new in the account and region: Packer refuses one that is taken."

  validation {
    condition     = length(var.ami_name) >= 3 && length(var.ami_name) <= 128 && regex_replace(var.ami_name, "^[-A-Za-z0-9()\\[\\] ./'@_]+$", "") == ""
    error_message = "The ami_name must have 3 to 128 characters, each a letter, digit, space or one of ()[]./-'@_; run \"fleet bake\", which makes one."
  }
}

variable "base_image" {
  type        = string
  description = "Id of the image to start from: Ubuntu 24.04 for the router, AWS's Deep Learning image of it for workers."

  validation {
    condition     = var.base_image != "" && regex_replace(var.base_image, "^ami-[0-9a-f]{8,17}$", "") == ""
    error_message = "The base_image must be an image id, for example \"ami-0123456789abcdef0\"; correct what bake.router_base_parameter or bake.worker_base_parameter names."
  }
}

variable "instance_type" {
  type        = string
  description = "Instance type of the bake host. It needs no GPU, but the architecture of the image."

  validation {
    condition     = var.instance_type != "" && regex_replace(var.instance_type, "^[a-z0-9-]+[.][a-z0-9-]+$", "") == ""
    error_message = "The instance_type must be an EC2 instance type, for example \"c7i.2xlarge\"; correct bake.router_instance_type or bake.worker_instance_type."
  }
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "Subnet of the bake host; it needs a way to the Internet. Empty: a subnet of the default VPC."

  validation {
    condition     = regex_replace(var.subnet_id, "^subnet-[0-9a-f]{8,17}$", "") == ""
    error_message = "The subnet_id must be a subnet's id, for example \"subnet-0123456789abcdef0\", or empty for the default VPC; correct bake.subnet_id."
  }
}

variable "ssh_interface" {
  type        = string
  default     = "public_ip"
  description = "Address of the bake host that Packer connects to: \"public_ip\" or \"private_ip\"."

  validation {
    condition     = contains(["public_ip", "private_ip"], var.ssh_interface)
    error_message = "The ssh_interface must be \"public_ip\", or \"private_ip\" where this computer reaches the subnet; correct bake.ssh_interface."
  }
}

variable "ssh_username" {
  type        = string
  default     = "ubuntu"
  description = "User to log in as; any but root must be allowed to use sudo without a password."

  validation {
    condition     = var.ssh_username != "" && regex_replace(var.ssh_username, "^[a-z_][a-z0-9_-]*$", "") == ""
    error_message = "The ssh_username must be a user of the base image, for example \"ubuntu\"; run \"fleet bake\", which writes it."
  }
}

variable "ssh_port" {
  type        = number
  default     = 22
  description = "Port of the bake host's SSH server."

  validation {
    condition     = var.ssh_port >= 1 && var.ssh_port <= 65535 && floor(var.ssh_port) == var.ssh_port
    error_message = "The ssh_port must be a whole number from 1 to 65535; the SSH server of an Ubuntu image listens on 22."
  }
}

variable "ssh_cidrs" {
  type        = list(string)
  description = "Blocks that the temporary security group lets in on ssh_port. Packer's own default would be the whole Internet."

  validation {
    condition     = length(var.ssh_cidrs) > 0 && length([for block in var.ssh_cidrs : block if can(cidrnetmask(block)) == false]) == 0
    error_message = "The ssh_cidrs must be a list of at least one IPv4 block, for example [\"192.0.2.7/32\"]; set bake.ssh_cidrs to the address that this computer has on the Internet."
  }
}

variable "root_volume_gib" {
  type        = number
  description = "Size of the root volume, in GiB."

  validation {
    condition     = var.root_volume_gib >= 8 && var.root_volume_gib <= 16384 && floor(var.root_volume_gib) == var.root_volume_gib
    error_message = "The root_volume_gib must be a whole number from 8 to 16384; correct volume.size_gib of the pool or of the router."
  }
}

variable "model_volume_gib" {
  type        = number
  default     = 0
  description = "Size of the volume that takes the model's files, in GiB; 0 for none."

  validation {
    condition     = var.model_volume_gib >= 0 && var.model_volume_gib <= 65536 && floor(var.model_volume_gib) == var.model_volume_gib
    error_message = "The model_volume_gib must be a whole number from 1 to 65536, or 0 for no such volume; correct model_volume.size_gib of the pool."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of the image and of its snapshots."

  validation {
    condition     = contains(keys(var.tags), "Name") && length(var.tags) <= 50
    error_message = "The tags must hold Name and at most 50 entries; run \"fleet bake\", which writes them."
  }
}

variable "run_tags" {
  type        = map(string)
  description = "Tags of everything that lives only as long as the bake. sglang-fleet:bake names the bake, for who cleans up."

  validation {
    condition     = contains(keys(var.run_tags), "sglang-fleet:bake") && length(var.run_tags) <= 50
    error_message = "The run_tags must hold sglang-fleet:bake and at most 50 entries; run \"fleet bake\", which writes them."
  }
}

variable "environment" {
  type        = map(string)
  description = "Environment of every provision script."

  validation {
    condition = length([
      for name in [
        "BAKE_DIR", "BAKE_ROLE", "BAKE_ARCHITECTURE", "MODEL_DEVICE", "CLOUDWATCH_AGENT_URL", "CLOUDWATCH_AGENT_KEY_URL",
        "CLOUDWATCH_AGENT_KEY_FINGERPRINT", "GPU_DRIVER_CHECK", "HF_ENDPOINT", "ENGINE_INSTALL", "DEBIAN_FRONTEND",
      ] : name if contains(keys(var.environment), name) == false
    ]) == 0
    error_message = "The environment must hold BAKE_DIR, BAKE_ROLE, BAKE_ARCHITECTURE, MODEL_DEVICE, CLOUDWATCH_AGENT_URL, CLOUDWATCH_AGENT_KEY_URL, CLOUDWATCH_AGENT_KEY_FINGERPRINT, GPU_DRIVER_CHECK, HF_ENDPOINT, ENGINE_INSTALL and DEBIAN_FRONTEND, which the provision scripts read; run \"fleet bake\", which writes them."
  }
}

variable "staging" {
  type        = string
  description = "Folder on this computer that is uploaded to the bake host (to BAKE_DIR)."

  validation {
    condition     = try(fileexists("${var.staging}/bake.json"), false)
    error_message = "The staging folder must hold bake.json; run \"fleet bake\", which makes it."
  }
}

variable "token_file" {
  type        = string
  default     = ""
  description = "File with the model hub's token; it goes to the bake host's memory (/dev/shm), never to its disk. Empty: no token."

  validation {
    condition     = var.token_file == "" || try(fileexists(var.token_file), false)
    error_message = "The token_file does not exist; run \"fleet bake\", which fetches the token from the SSM parameter bake.hub_token_parameter."
  }
}

variable "output" {
  type        = string
  description = "Folder on this computer for packer-manifest.json and the image's SBOM."

  validation {
    condition     = var.output != ""
    error_message = "The output folder must be named; run \"fleet bake\", which makes it."
  }
}

variable "endpoint_ec2" {
  type        = string
  default     = ""
  description = "Address of another EC2 API than AWS's, for a rehearsal. Empty: AWS."

  validation {
    condition     = regex_replace(var.endpoint_ec2, "^https?://[^ ]+$", "") == ""
    error_message = "The endpoint_ec2 must begin with http:// or https://, or be empty for AWS; correct or unset AWS_ENDPOINT_URL_EC2."
  }
}

variable "poll_seconds" {
  type        = number
  default     = 15
  description = "Time from one look at EC2 to the next while Packer waits for an instance or an image."

  validation {
    condition     = var.poll_seconds >= 1 && var.poll_seconds <= 60
    error_message = "The poll_seconds must be from 1 to 60; unset PKR_VAR_poll_seconds for the default of 15."
  }
}

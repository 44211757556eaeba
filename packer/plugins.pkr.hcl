# Where current Packer finds its EC2 builder (`packer init` installs it). Packer before 1.7 has the builder built in and
# does not know this block: `fleet bake` leaves this file out for it.
packer {
  required_version = ">= 1.7.0"

  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = "~> 1.8"
    }
  }
}

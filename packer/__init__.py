"""The operator's side of machine images: what to bake, whether it is there already, and one Packer run per image."""

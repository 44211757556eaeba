"""What a bake needs of the emulated cloud: build hosts that answer SSH, images made of them, a model hub."""

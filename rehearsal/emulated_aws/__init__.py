"""The emulated AWS: moto's server with what moto lacks. One module per change; each says what moto does without it."""

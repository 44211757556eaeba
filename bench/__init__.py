"""`fleet bench`: load on an OpenAI-compatible endpoint, made and measured by AIPerf, read into our own result."""

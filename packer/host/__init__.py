"""What runs on the bake host: `python3 -m host.NAME` from the uploaded folder, with the standard library only.

The one exception is `fetch`, which runs in an environment that holds the model hub's client.
"""

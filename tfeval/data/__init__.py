"""Facts in files: read them with `importlib.resources.files('tfeval.data')`."""

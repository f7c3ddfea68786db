"""Results as pages: what they hold, and how it becomes HTML, a frame or a figure."""

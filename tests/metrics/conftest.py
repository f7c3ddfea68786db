"""The same examples every time, whatever the machine's load."""

import hypothesis

hypothesis.settings.register_profile(
  'steady', derandomize=True, deadline=None, database=None
)
hypothesis.settings.load_profile('steady')

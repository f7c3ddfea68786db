"""What every test of preprocessing wants of cv2."""

import cv2
import pytest


@pytest.fixture(autouse=True)
def reference_without_ipp():
  """IPP computes with float coefficients: another reference."""
  used = cv2.ipp.useIPP()
  cv2.ipp.setUseIPP(False)
  yield
  cv2.ipp.setUseIPP(used)

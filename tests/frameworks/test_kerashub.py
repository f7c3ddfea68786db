"""Presets of KerasHub, against what their own `predict` says."""

import frameworks
import keras
import numpy as np
import pytest

from tfeval.models import loading
from tfeval.utils.errors import UserError

pytestmark = frameworks.needs('keras_hub')


@pytest.fixture(scope='module')
def preset(tmp_path_factory):
  import keras_hub

  keras.utils.set_random_seed(0)
  model = keras_hub.models.ResNetImageClassifier(
    keras_hub.models.ResNetBackbone(
      input_conv_filters=[64],
      input_conv_kernel_sizes=[3],
      stackwise_num_filters=[64, 64],
      stackwise_num_blocks=[1, 1],
      stackwise_num_strides=[1, 2],
      block_type='basic_block',
      image_shape=(32, 32, 3),
    ),
    num_classes=5,
    preprocessor=keras_hub.models.ResNetImageClassifierPreprocessor(
      keras_hub.layers.ResNetImageConverter(
        image_size=(32, 32), scale=1 / 100, offset=-1.0
      )
    ),
  )
  directory = tmp_path_factory.mktemp('preset') / 'small'
  model.save_to_preset(str(directory))
  pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
  return directory, pixels, model.predict(pixels, verbose=0)


def test_a_folder_is_fed_as_its_predict_feeds_it(preset):
  directory, pixels, expected = preset
  model = loading.load_model(f'kerashub:{directory}')
  assert model.input_size == 32
  np.testing.assert_allclose(model(pixels), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    (
      'kerashub:resnet_50_imagenot',
      'unknown preset of KerasHub .*did you mean resnet_50',
    ),
    ('kerashub:{empty}', 'cannot be loaded: .*a folder that save_to_preset'),
    (
      'kerashub:resnet_50_imagenet',
      'cannot be loaded: .*download kaggle://keras/.*resnet_50.*give kerashub:FOLDER',
    ),
  ],
)
def test_what_is_not_there_is_told_in_a_line(name, words, tmp_path):
  with pytest.raises(UserError, match=words) as caught:
    loading.load_model(name.format(empty=tmp_path))
  assert '\n' not in str(caught.value)

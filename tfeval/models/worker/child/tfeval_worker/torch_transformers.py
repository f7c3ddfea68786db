"""Image classifiers of Hugging Face's transformers."""

import os

from tfeval_worker import common, processors, recipes, torch_timm

# What `from_pretrained` is told; all else would change the model, or run foreign code.
_OPTIONS = ('revision', 'subfolder', 'variant', 'attn_implementation')
_OF_FILES = ('revision', 'subfolder')


def load(torch, message, options):
  transformers = common.library('transformers', 'torch')
  common.only({'options': options}, _OPTIONS)
  name = message['target']
  of_files = {k: v for k, v in options.items() if k in _OF_FILES}
  of_files['trust_remote_code'] = bool(message['trust'])
  try:
    module = _module(transformers, message, {**options, **of_files})
    told = _of_processor(transformers, name, module, of_files)
  except (OSError, ValueError) as error:
    if 'trust_remote_code' in str(error):
      raise common.Refused(
        'it brings code of its author: give `trust_model` if you trust it'
      ) from error
    if os.path.isdir(name) or isinstance(error, ValueError):
      raise common.Refused(
        f'transformers cannot load it as an image classifier: {recipes.line(error)}'
      ) from error
    raise common.Refused(
      f'{name} is neither a folder nor can it be downloaded: download it elsewhere and '
      f'give the folder ({recipes.line(error)})'
    ) from error
  return module, {
    'libraries': {'transformers': transformers},
    **told,
    **_classes(module.config),
    'output': 'logits',
  }


def _module(transformers, message, options):
  """Returns the model, with all of its values."""
  auto = transformers.AutoModelForImageClassification
  name = message['target']
  if message['weights'] != 'imagenet':  # None, or a state dict that is loaded then.
    of_files = {
      k: v for k, v in options.items() if k in (*_OF_FILES, 'trust_remote_code')
    }
    config = transformers.AutoConfig.from_pretrained(name, **of_files)
    return auto.from_config(config, trust_remote_code=options['trust_remote_code'])
  module, found = auto.from_pretrained(name, output_loading_info=True, **options)
  lacking = sorted(found['missing_keys']) + sorted(
    str(one[0] if isinstance(one, tuple) else one) for one in found['mismatched_keys']
  )
  if lacking:
    raise common.Refused(
      f'its files have no values for {common.listed(lacking)}, which '
      'would be random: give a model that was trained to classify'
    )
  return module


def _of_processor(transformers, name, module, of_files):
  """Returns what its processor tells: that which computes as Pillow and NumPy do."""
  if int(transformers.__version__.split('.')[0]) >= 5:
    of_files = {**of_files, 'backend': 'pil'}
  else:
    of_files = {**of_files, 'use_fast': False}
  try:
    processor = transformers.AutoImageProcessor.from_pretrained(name, **of_files)
  except (OSError, ValueError) as error:
    if 'trust_remote_code' in str(error):
      raise
    side = getattr(module.config, 'image_size', None)
    why = f'it has no processor that transformers can load ({recipes.line(error)})'
    return {
      'input_size': side if isinstance(side, int) else None,
      'no_preprocess': why,
      'no_protocol': why,
    }
  if hasattr(processor, 'data_config'):  # It wraps a model of timm.
    return torch_timm.told_by_config(processor.data_config)
  return processors.told_by(processor)


def _classes(config):
  """Returns the classes of its outputs, if these are called something."""
  names = [str(config.id2label.get(i, '')) for i in range(config.num_labels)]
  if names == [f'LABEL_{i}' for i in range(len(names))]:  # As they are by default.
    return {}
  return {'classes': names}

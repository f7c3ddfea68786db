"""Models of timm, with what their configs tell."""

from tfeval_worker import common, recipes


def load(torch, message, options):
  timm = common.library('timm', 'torch')
  name = message['target']
  pretrained = message['weights'] == 'imagenet' and not message.get('state')
  try:
    module = timm.create_model(name, pretrained=pretrained, **options)
  except RuntimeError as error:
    if 'Unknown model' not in str(error):
      raise
    near = recipes.near(name, timm.list_models())
    raise common.Refused(f'timm has no model {name}: such as {near}') from error
  except Exception as error:
    if not pretrained:
      raise
    config = timm.get_pretrained_cfg(name)
    source = f'huggingface.co/{config.hf_hub_id}' if config.hf_hub_id else config.url
    raise common.Refused(
      f'the weights of {name} cannot be downloaded ({type(error).__name__}): download '
      f'{source} elsewhere and give the file as `weights`'
    ) from error
  config = module.pretrained_cfg
  told = told_by_timm(timm, config)
  if message.get('state') and '.' not in name:
    told = _of_all_tags(timm, name) or told
  names = config.get('label_names')
  if pretrained and names and 'num_classes' not in options:
    told['classes'] = [str(one) for one in names]
  return module, {'libraries': {'timm': timm}, **told, 'output': 'logits'}


def told_by_timm(timm, given):
  """Returns the recipe of weights, as validate.py of timm takes it from their config.

  The size is that of the model; the protocol is at the size of tests, where that is
  another.

  Raises:
    Refused: its images are no squares.
  """
  config = timm.data.resolve_data_config({}, pretrained_cfg=given)
  _, height, width = config['input_size']
  if height != width:
    raise common.Refused(f'it takes images of {height} x {width}, expected a square')
  told = {'input_size': width, 'preprocess': recipes.values(*_numbers(config))}
  test = timm.data.resolve_data_config({}, pretrained_cfg=given, use_test_size=True)
  return {**told, **_protocol(test, width)}


def told_by_config(config):
  """Returns the recipe of a config that timm has resolved, at its size."""
  side = config['input_size'][-1]
  told = {'input_size': side, 'preprocess': recipes.values(*_numbers(config))}
  return {**told, **_protocol(config, side)}


def _numbers(config):
  return config['mean'], config['std']


def _protocol(config, size):
  """Returns `protocol` of a config, or `no_protocol`, why there is none."""
  kernel, (_, height, width) = config['interpolation'], config['input_size']
  if kernel not in recipes.KERNELS:
    known = ', '.join(recipes.KERNELS)
    return {
      'no_protocol': f'its recipe resizes by {kernel}, tfeval as Pillow by {known}'
    }
  if height != width:
    return {'no_protocol': f'its recipe makes images of {height} x {width}, no squares'}
  more = []
  if config['crop_mode'] == 'squash':
    more = ['resize=squash']
  elif config['crop_mode'] == 'border':
    # The mean colour, as timm's transforms_imagenet_eval rounds it.
    colour = ''.join(f'{round(255 * one):02x}' for one in config['mean'])
    more = ['resize=long_side', f'fill=#{colour}']
  found = recipes.protocol(recipes.KERNELS[kernel], float(config['crop_pct']), *more)
  if height != size:
    found = found.replace('pil:', f'pil:size={height},')
  return {'protocol': found}


def _of_all_tags(timm, name):
  """Returns what the configs of all weights of an architecture have in common."""
  names = timm.list_pretrained(f'{name}.*')
  configs = [timm.get_pretrained_cfg(one).to_dict() for one in names]
  if not names:
    return None
  found = [told_by_timm(timm, one) for one in configs]
  return recipes.one_of(found, [f'timm:{one}' for one in names], name)

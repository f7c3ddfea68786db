"""Classifiers of torchvision, with the recipes of their weights."""

import hashlib
import os
import re

from tfeval_worker import common, recipes

# The beginning of its SHA-256 stands in the name of a file of weights.
_HASH = re.compile(r'-([0-9a-f]{8,})\.')


def load(torch, message, options):
  torchvision = common.library('torchvision', 'torch')
  name = message['target']
  known = torchvision.models.list_models(module=torchvision.models)
  if name not in known:
    raise common.Refused(
      f'torchvision has no classifier {name}: such as {recipes.near(name, known)}'
    )
  enum = torchvision.models.get_model_weights(name)
  given = options.pop('weights', None)
  member = 'DEFAULT' if given is None else given
  if member not in enum.__members__:
    raise common.Refused(
      f'{name} has no weights {member}: it has {common.listed(enum.__members__)}'
    )
  weights = enum[member]
  if not weights.meta['categories']:
    raise common.Refused(f'the weights {member} of {name} have no classifier')
  from_hub = message['weights'] == 'imagenet' and not message.get('state')
  asked = dict(options)
  if not from_hub:  # What torchvision sets where it loads the weights itself.
    if name in ('googlenet', 'inception_v3'):
      options.setdefault('transform_input', True)
    if name.startswith('vit_'):
      options.setdefault('image_size', weights.transforms().crop_size[0])
  module = _module(torch, torchvision, name, weights if from_hub else None, options)
  told = _recipe(weights)
  if message.get('state') and given is None:
    told = recipes.one_of(
      [_recipe(one) for one in enum if one.meta['categories']],
      [f'torchvision:{name}:weights={one.name}' for one in enum],
      name,
    )
  side = options.get('image_size')
  if side is not None and told.get('input_size') != side:
    why = f'the recipe of its weights is not of {side} pixels'
    told = {
      **{k: v for k, v in told.items() if k in ('preprocess', 'no_preprocess')},
      'input_size': side,
      'no_protocol': told.get('no_protocol', why),
    }
  if from_hub and 'num_classes' not in asked:
    told['classes'] = list(weights.meta['categories'])
  return module, {'libraries': {'torchvision': torchvision}, **told, 'output': 'logits'}


def _module(torch, torchvision, name, weights, options):
  if weights is None:
    return torchvision.models.get_model(name, weights=None, **options)
  where = os.path.join(
    torch.hub.get_dir(), 'checkpoints', os.path.basename(weights.url)
  )
  if os.path.exists(where):  # torchvision checks what it downloads, and that alone.
    _check_hash(where)
  try:
    return torchvision.models.get_model(name, weights=weights, **options)
  except (OSError, RuntimeError) as error:
    if os.path.exists(where):
      raise
    raise common.Refused(
      f'the weights {weights.name} cannot be downloaded ({type(error).__name__}): put '
      f'{weights.url} into {where}'
    ) from error


def _check_hash(path):
  """Checks that a file of weights is what its name says.

  Raises:
    Refused: it is not.
  """
  named = _HASH.search(os.path.basename(path))
  if named is None:
    return
  sha256 = hashlib.sha256()
  with open(path, 'rb') as file:
    while part := file.read(1 << 20):
      sha256.update(part)
  found = sha256.hexdigest()
  if not found.startswith(named[1]):
    raise common.Refused(
      f'{path} is not what its name says, its SHA-256 begins with {found[:8]}: delete '
      'it, or give it as `weights`'
    )


def _recipe(weights):
  """Returns the recipe of weights as `weights.transforms()` has it."""
  recipe = weights.transforms()
  (resize,), (crop,) = recipe.resize_size, recipe.crop_size
  found = {
    'input_size': crop,
    'preprocess': recipes.values(recipe.mean, recipe.std),
  }
  kernel = recipe.interpolation.value
  if kernel in recipes.KERNELS:
    found['protocol'] = recipes.protocol(recipes.KERNELS[kernel], crop / resize)
  else:
    found['no_protocol'] = f'its recipe resizes by {kernel}'
  return found

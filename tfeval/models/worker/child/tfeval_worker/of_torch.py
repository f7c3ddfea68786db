"""PyTorch: modules, torchvision, timm, transformers, TorchScript and torch.export."""

import difflib
import hashlib
import os

from tfeval_worker import common

_DTYPES = ('float32', 'bfloat16', 'float16')
_KERNELS = {'bicubic': 'cubic', 'bilinear': 'bilinear', 'nearest': 'nearest'}
_MISSING = 10  # Keys of a state dict that are named.


def load(message):
  torch = common.library('torch', 'torch')
  maker = {
    'torchvision': _torchvision,
    'timm': _timm,
    'transformers': _transformers,
    'torch': _own,
    'file': _file,
  }[message['source']]
  options = dict(message['options'])
  run_options = {
    k: options.pop(k, None) for k in ('autocast', 'compile', 'channels_last')
  }
  if run_options['autocast'] not in (None, *_DTYPES):
    raise common.Refused(
      f'autocast={run_options["autocast"]}: expected one of {", ".join(_DTYPES)}'
    )
  module, told = maker(torch, message, options)
  if message.get('state'):
    _load_state(torch, module, message['state'])
  return Torch(torch, module, told, run_options)


class Torch:
  """A module in evaluation mode, on the GPU where there is one."""

  def __init__(self, torch, module, told, options):
    self._torch, self._told = torch, told
    self._device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    if hasattr(module, 'eval') and not told.get('is_exported'):
      module = module.eval()
    if hasattr(module, 'to'):
      module = module.to(self._device)
    self._module = module
    self._layout = (
      torch.channels_last if options['channels_last'] else torch.contiguous_format
    )
    if options['channels_last']:
      module.to(memory_format=torch.channels_last)
    self._autocast = options['autocast']
    self._call = torch.compile(module) if options['compile'] else module
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

  def describe(self):
    told, torch = self._told, self._torch
    parameters = state_sha256 = None
    if hasattr(self._module, 'state_dict'):
      state = self._module.state_dict()
      parameters = sum(one.numel() for one in self._module.parameters())
      # Buffers that no file keeps count too.
      state_sha256 = _sha256(
        torch, self._module, {**dict(self._module.named_buffers()), **state}
      )
    device = str(self._device)
    if self._device.type == 'cuda':
      device = torch.cuda.get_device_name(self._device)
    return {
      'versions': common.versions(torch=torch, **told.pop('libraries', {})),
      'devices': [device],
      'hardware': {'kind': 'GPU', 'name': device, 'cuda': torch.version.cuda}
      if self._device.type == 'cuda'
      else {'kind': 'CPU'},
      'parameters': parameters,
      'sha256': state_sha256,
      'input': [None, None, None, 3],
      'dtype': self._autocast or 'float32',
      **{k: v for k, v in told.items() if k != 'is_exported'},
    }

  def run(self, images):
    torch = self._torch
    with torch.inference_mode():
      batch = torch.from_numpy(images)
      batch = batch.permute(0, 3, 1, 2).to(self._device)
      batch = batch.contiguous(memory_format=self._layout)
      if self._autocast in (None, 'float32'):
        outputs = self._call(batch)
      else:
        dtype = getattr(torch, self._autocast)
        with torch.autocast(self._device.type, dtype):
          outputs = self._call(batch)
      outputs = getattr(outputs, 'logits', outputs)
      return [
        (name, (one if one.is_complex() else one.float()).cpu().numpy())
        for name, one in common.named(outputs)
        if hasattr(one, 'cpu')
      ]


def _torchvision(torch, message, options):
  torchvision = common.library('torchvision', 'torch')
  name = message['target']
  known = torchvision.models.list_models(module=torchvision.models)
  if name not in known:
    raise common.Refused(
      f'torchvision has no classifier {name}: such as {_near(name, known)}'
    )
  enum = torchvision.models.get_model_weights(name)
  member = options.pop('weights', 'DEFAULT')
  if member not in enum.__members__:
    raise common.Refused(
      f'{name} has no weights {member}: it has {", ".join(enum.__members__)}'
    )
  weights = enum[member]
  from_hub = message['weights'] == 'imagenet' and not message.get('state')
  recipe = weights.transforms()
  if not from_hub:  # What torchvision sets where it loads the weights itself.
    if name in ('googlenet', 'inception_v3'):
      options.setdefault('transform_input', True)
    if name.startswith('vit_'):
      options.setdefault('image_size', recipe.crop_size[0])
  try:
    module = torchvision.models.get_model(
      name, weights=weights if from_hub else None, **options
    )
  except (OSError, RuntimeError) as error:
    if not from_hub:
      raise
    where = os.path.join(
      torch.hub.get_dir(), 'checkpoints', os.path.basename(weights.url)
    )
    raise common.Refused(
      f'the weights {member} cannot be downloaded ({type(error).__name__}): put '
      f'{weights.url} into {where}'
    ) from error
  kernel = recipe.interpolation.value
  (resize,), (crop,) = recipe.resize_size, recipe.crop_size
  return module, {
    'libraries': {'torchvision': torchvision},
    'input_size': crop,
    'preprocess': _values(recipe.mean, recipe.std),
    'protocol': f'pil:kernel={"cubic" if kernel == "bicubic" else kernel},'
    f'crop_fraction={crop / resize!r}',
    'output': 'logits',
    'classes': list(weights.meta['categories']),
  }


def _timm(torch, message, options):
  timm = common.library('timm', 'torch')
  name = message['target']
  pretrained = message['weights'] == 'imagenet' and not message.get('state')
  try:
    module = timm.create_model(name, pretrained=pretrained, **options)
  except RuntimeError as error:
    if 'Unknown model' not in str(error):
      raise
    raise common.Refused(
      f'timm has no model {name}: such as {_near(name, timm.list_models())}'
    ) from error
  except Exception as error:
    if not pretrained:
      raise
    config = timm.get_pretrained_cfg(name)
    source = f'huggingface.co/{config.hf_hub_id}' if config.hf_hub_id else config.url
    raise common.Refused(
      f'the weights of {name} cannot be downloaded ({type(error).__name__}): download '
      f'{source} elsewhere and give the file as weights'
    ) from error
  return module, {
    'libraries': {'timm': timm},
    **told_by_timm(timm, module.pretrained_cfg),
    'output': 'logits',
  }


def told_by_timm(timm, given):
  """Returns the recipe of weights, as validate.py of timm takes it from their config.

  The size is that of the model; the protocol is at the size of tests, where that is
  another.
  """
  size = timm.data.resolve_data_config({}, pretrained_cfg=given)['input_size'][-1]
  config = timm.data.resolve_data_config({}, pretrained_cfg=given, use_test_size=True)
  told = {
    'input_size': size,
    'preprocess': _values(config['mean'], config['std']),
  }
  kernel, (_, height, width) = config['interpolation'], config['input_size']
  if kernel not in _KERNELS or height != width:
    return told
  parts = [f'kernel={_KERNELS[kernel]}', f'crop_fraction={float(config["crop_pct"])!r}']
  if height != size:
    parts.insert(0, f'size={height}')
  if config['crop_mode'] == 'squash':
    parts.append('resize=squash')
  elif config['crop_mode'] == 'border':
    # The mean colour, as timm's transforms_imagenet_eval rounds it.
    colour = ''.join(f'{round(255 * one):02x}' for one in config['mean'])
    parts += ['resize=long_side', f'fill=#{colour}']
  return {**told, 'protocol': 'pil:' + ','.join(parts)}


def _transformers(torch, message, options):
  transformers = common.library('transformers', 'torch')
  name = message['target']
  try:
    module = transformers.AutoModelForImageClassification.from_pretrained(
      name, **options
    )
    processor = transformers.AutoImageProcessor.from_pretrained(name)
  except OSError as error:
    raise common.Refused(
      f'{name} is neither a folder nor can it be downloaded: download it elsewhere and '
      f'give the folder ({_line(error)})'
    ) from error
  size = processor.size
  side = (
    size.get('height') or size.get('shortest_edge') if isinstance(size, dict) else size
  )
  crop = getattr(processor, 'crop_size', None) or {}
  found = {
    'libraries': {'transformers': transformers},
    'input_size': crop.get('height')
    if getattr(processor, 'do_center_crop', False)
    else side,
    'output': 'logits',
    'classes': [module.config.id2label[i] for i in range(module.config.num_labels)],
  }
  scale = getattr(processor, 'rescale_factor', 1 / 255)
  if getattr(processor, 'do_normalize', False) and abs(scale * 255 - 1) < 1e-6:
    found['preprocess'] = _values(processor.image_mean, processor.image_std)
  elif abs(scale * 255 - 1) < 1e-6:
    found['preprocess'] = 'unit'
  return module, found


def _own(torch, message, options):
  build = common.user_function(message['target'])
  returned = build(**options)
  told = {}
  if isinstance(returned, dict):
    told = {k: v for k, v in returned.items() if k != 'model'}
    if 'model' not in returned:
      raise common.Refused(
        f'{message["target"]} returned a dict with {", ".join(returned)}: expected '
        'model, and perhaps preprocess, input_size, output'
      )
    returned = returned['model']
  if not isinstance(returned, torch.nn.Module):
    raise common.Refused(
      f'{message["target"]} returned a {type(returned).__name__}, expected an nn.Module'
    )
  for key in ('preprocess', 'input_size', 'output'):
    attribute = getattr(returned, key, None)
    if key not in told and isinstance(attribute, (str, int)):
      told[key] = attribute
  return returned, {'own': told}


def _file(torch, message, options):
  """TorchScript and torch.export hold code: only what is trusted is loaded."""
  path = message['target']
  common.only({'options': options})
  if not message['trust']:
    raise common.Refused(
      'such a file holds code of its author: give trust_model if you trust it'
    )
  try:
    if path.endswith('.pt2'):
      return torch.export.load(path).module(), {'is_exported': True}
    return torch.jit.load(path, map_location='cpu'), {}
  except Exception as error:
    raise common.Refused(
      f'it is neither TorchScript nor of torch.export ({_line(error)}): give a state '
      'dict as weights of a module, torch:MODULE:FUNCTION'
    ) from error


def _load_state(torch, module, path):
  """Loads a state dict: tensors alone, nothing that a pickle may call."""
  try:
    if path.endswith('.safetensors'):
      state = common.library('safetensors.torch', 'torch').load_file(path)
    else:
      state = torch.load(path, map_location='cpu', weights_only=True)
  except Exception as error:
    raise common.Refused(
      f'weights {os.path.basename(path)} are no state dict of tensors alone, and '
      f'nothing else of it is run ({_line(error)})'
    ) from error
  for key in ('state_dict', 'model', 'model_state_dict'):
    if isinstance(state, dict) and isinstance(state.get(key), dict):
      state = state[key]
  own = module.state_dict()
  for what, keys in (
    ('lack', [k for k in own if k not in state]),
    ('have unexpected', [k for k in state if k not in own]),
    (
      'have other shapes of',
      [k for k in own if k in state and own[k].shape != state[k].shape],
    ),
  ):
    if keys:
      more = f' and {len(keys) - _MISSING} more' if len(keys) > _MISSING else ''
      raise common.Refused(
        f'weights {os.path.basename(path)} {what} {", ".join(keys[:_MISSING])}{more}: '
        'give those of this module'
      )
  module.load_state_dict(state)


def _values(mean, std):
  mean, std = (','.join(repr(float(one)) for one in values) for values in (mean, std))
  return f'mean={mean}:std={std}'


def _line(error):
  return ' '.join(str(error).split())[:150]


def _near(name, known):
  return ', '.join(difflib.get_close_matches(name, known, 3, 0.3) or sorted(known)[:3])


def _sha256(torch, module, state):
  """Returns the hash of all values, and of how the module is written out."""
  sha256 = hashlib.sha256(str(module).encode())
  for key, value in state.items():
    sha256.update(f'{key} {value.dtype} {tuple(value.shape)}'.encode())
    if value.dtype == torch.bfloat16:
      value = value.view(torch.int16)
    sha256.update(value.detach().cpu().contiguous().numpy().tobytes())
  return sha256.hexdigest()

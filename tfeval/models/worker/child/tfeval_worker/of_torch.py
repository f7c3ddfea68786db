"""PyTorch: modules, torchvision, timm, transformers, TorchScript and torch.export."""

import hashlib
import os
import re

from tfeval_worker import (
  common,
  recipes,
  tensors,
  torch_timm,
  torch_torchvision,
  torch_transformers,
)

# Options of everything that is PyTorch's.
_OF_RUN = ('autocast', 'compile', 'channels_last')
_DTYPES = ('float32', 'bfloat16', 'float16')
# What a factory or its module may tell.
_TOLD = ('preprocess', 'input_size', 'output', 'classes')
# How `torch.load` names what of a pickle it does not read.
_NO_TENSOR = re.compile(
  r'(unsupported (?:global|operand|class)\b.*?)(?:\.?\s*\n|\. |$)', re.IGNORECASE
)
_COUNTED = '.num_batches_tracked'


def load(message):
  torch = common.library('torch', 'torch')
  maker = {
    'torchvision': torch_torchvision.load,
    'timm': torch_timm.load,
    'transformers': torch_transformers.load,
    'torch': _own,
    'file': _file,
  }[message['source']]
  options = dict(message['options'])
  run_options = {k: options.pop(k, None) for k in _OF_RUN}
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
      'activations': _activations(self._module),
      **{k: v for k, v in told.items() if k not in ('is_exported', 'batch')},
    }

  def run(self, images):
    size = self._told.get('batch')
    if size is None:
      return self._computed(images)
    parts = [self._computed(part) for part in tensors.batches(images, size)]
    names = [name for name, _ in parts[0]]
    return tensors.outputs(names, [[one for _, one in p] for p in parts], len(images))

  def _computed(self, images):
    """Returns (name, output) of a batch."""
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


def _activations(module):
  """Returns the softmax or sigmoid that a chain of modules ends in, by its output."""

  def name_of(one):  # Of TorchScript the class is another.
    return getattr(one, 'original_name', type(one).__name__)

  while name_of(module) == 'Sequential' and (inside := list(module.children())):
    module = inside[-1]
  name = name_of(module).lower()
  return {'output': name} if name in ('softmax', 'sigmoid') else {}


def _own(torch, message, options):
  build = common.user_function(message['target'])
  is_there = isinstance(build, torch.nn.Module) and not options
  returned = build if is_there else build(**options)
  told = {}
  if isinstance(returned, dict):
    told = {k: v for k, v in returned.items() if k != 'model'}
    if 'model' not in returned:
      raise common.Refused(
        f'{message["target"]} returned a dict with {common.listed(returned)}: expected '
        f'model, and perhaps {", ".join(_TOLD)}'
      )
    returned = returned['model']
  if not isinstance(returned, torch.nn.Module):
    raise common.Refused(
      f'{message["target"]} returned a {type(returned).__name__}, expected an nn.Module'
    )
  for key in _TOLD:
    attribute = getattr(returned, key, None)
    is_told = isinstance(attribute, (list, tuple) if key == 'classes' else (str, int))
    if key not in told and is_told:
      told[key] = attribute
  return returned, {'own': told}


def _file(torch, message, options):
  """TorchScript and torch.export hold code: only what is trusted is loaded."""
  path = message['target']
  common.only({'options': options}, _OF_RUN)
  if not message['trust']:
    raise common.Refused(
      'such a file holds code of its author: give `trust_model` if you trust it'
    )
  try:
    if path.endswith('.pt2'):
      exported = torch.export.load(path)
      return exported.module(), {'is_exported': True, **_fixed(exported)}
    return torch.jit.load(path, map_location='cpu'), {}
  except Exception as error:
    raise common.Refused(
      f'it is neither TorchScript nor of torch.export ({recipes.line(error)}): give a '
      'state dict as `weights` of a module, torch:MODULE:FUNCTION'
    ) from error


def _fixed(exported):
  """Returns the batch and the input of an export, as far as they are fixed."""
  names = exported.graph_signature.user_inputs
  shapes = [
    node.meta['val'].shape
    for node in exported.graph.nodes
    if node.op == 'placeholder' and node.name in names
  ]
  if len(shapes) != 1:
    raise common.Refused(f'it has {len(shapes)} inputs: expected one, of images')
  sides = [side if isinstance(side, int) else None for side in shapes[0]]
  if len(sides) != 4:
    raise common.Refused(f'it takes {sides}: expected images, [n, 3, height, width]')
  batch, channels, *size = sides
  return {'batch': batch, 'input': [None, *size, channels or 3]}


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
      f'nothing else of it is run ({_why_unread(error)})'
    ) from error
  for key in ('state_dict', 'model', 'model_state_dict'):
    if isinstance(state, dict) and isinstance(state.get(key), dict):
      state = state[key]
  if not isinstance(state, dict):
    raise common.Refused(
      f'weights {os.path.basename(path)} hold a {type(state).__name__}: expected a '
      'state dict, tensors by name'
    )
  own = module.state_dict()
  state = _without_wrapper(state, own)
  found = {
    # Of files before PyTorch 0.4.1; nothing is computed with it.
    'lack': [k for k in own if k not in state and not k.endswith(_COUNTED)],
    'have unexpected': [k for k in state if k not in own],
    'have other shapes of': [
      k for k in own if k in state and own[k].shape != getattr(state[k], 'shape', None)
    ],
  }
  wrong = [f'{what} {common.listed(keys)}' for what, keys in found.items() if keys]
  if wrong:
    raise common.Refused(
      f'weights {os.path.basename(path)} {" and ".join(wrong)}: give those of this '
      'module'
    )
  module.load_state_dict(state, strict=False)


def _without_wrapper(state, own):
  """Returns a state dict without what DataParallel or torch.compile put before keys."""
  for prefix in ('module.', '_orig_mod.'):
    is_wrapped = state and all(str(key).startswith(prefix) for key in state)
    if is_wrapped and not any(key.startswith(prefix) for key in own):
      plain = {key.removeprefix(prefix): value for key, value in state.items()}
      return _without_wrapper(plain, own)
  return state


def _why_unread(error):
  """Returns what of a pickle is no tensor, or else the first words of an error."""
  found = _NO_TENSOR.search(str(error))
  words = found[1] if found else str(error)
  return ' '.join(re.sub('\x1b\\[[0-9;]*m', '', words).split())[:200]


def _sha256(torch, module, state):
  """Returns the hash of all values, and of how the module is written out."""
  sha256 = hashlib.sha256(str(module).encode())
  for key, value in state.items():
    sha256.update(f'{key} {value.dtype} {tuple(value.shape)}'.encode())
    if value.dtype == torch.bfloat16:
      value = value.view(torch.int16)
    sha256.update(value.detach().cpu().contiguous().numpy().tobytes())
  return sha256.hexdigest()

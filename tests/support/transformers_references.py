"""Classifiers of transformers in folders, and what their processors make of photos.

python transformers_references.py make DIR
python transformers_references.py pixels DIR OUT.npz PHOTO...
python transformers_references.py headless FOLDER OUT_DIR
python transformers_references.py wrapped DIR OUT.npz PHOTO...
"""

import json
import pathlib
import random
import sys

import numpy as np
import torch_references

IMAGENET = {'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225]}
HALF = {'image_mean': [0.5, 0.5, 0.5], 'image_std': [0.5, 0.5, 0.5]}
SQUARE = {'size': {'height': 64, 'width': 64}}
# Smaller images than the published ones have, of which the fields are these: what
# config, of it, what processor, of that.
FOLDERS = {
  'resnet': (
    'ResNetConfig',
    {'embedding_size': 8, 'hidden_sizes': [8, 8], 'depths': [1, 1]},
    'ConvNextImageProcessor',
    {'size': {'shortest_edge': 224}, 'crop_pct': 0.875, 'resample': 3, **IMAGENET},
  ),
  'vit': ('ViTConfig', {}, 'ViTImageProcessor', {**SQUARE, 'resample': 2, **HALF}),
  'convnext': (
    'ConvNextConfig',
    {'hidden_sizes': [8, 8, 8, 8], 'depths': [1, 1, 1, 1]},
    'ConvNextImageProcessor',
    {'size': {'shortest_edge': 160}, 'crop_pct': 0.95, 'resample': 3, **IMAGENET},
  ),
  'convnext_384': (
    'ConvNextConfig',
    {'hidden_sizes': [8, 8, 8, 8], 'depths': [1, 1, 1, 1]},
    'ConvNextImageProcessor',
    {'size': {'shortest_edge': 384}, 'crop_pct': 1.0, 'resample': 3, **IMAGENET},
  ),
  'mobilevit': (
    'MobileViTConfig',
    {'hidden_sizes': [16, 16, 16], 'neck_hidden_sizes': [8] * 7, 'image_size': 96},
    'MobileViTImageProcessor',
    {
      'size': {'shortest_edge': 108},
      'crop_size': {'height': 96, 'width': 96},
      'resample': 2,
    },
  ),
  'efficientnet': (
    'EfficientNetConfig',
    {'width_coefficient': 0.25, 'depth_coefficient': 0.25, 'hidden_dim': 320},
    'EfficientNetImageProcessor',
    {
      **SQUARE,
      'resample': 0,
      'image_mean': [0.485, 0.456, 0.406],
      'image_std': [0.47853944, 0.4732864, 0.47434163],
    },
  ),
  'efficientnet_offset': (
    'EfficientNetConfig',
    {'width_coefficient': 0.25, 'depth_coefficient': 0.25, 'hidden_dim': 320},
    'EfficientNetImageProcessor',
    {
      **SQUARE,
      'resample': 3,
      'rescale_factor': 1 / 127.5,
      'rescale_offset': True,
      'do_normalize': False,
      'include_top': False,
    },
  ),
  'beit': ('BeitConfig', {}, 'BeitImageProcessor', {**SQUARE, 'resample': 3, **HALF}),
  'deit': (
    'DeiTConfig',
    {},
    'DeiTImageProcessor',
    {
      'size': {'height': 73, 'width': 73},
      'crop_size': {'height': 64, 'width': 64},
      'resample': 3,
      **IMAGENET,
    },
  ),
  'swin': (
    'SwinConfig',
    {
      'embed_dim': 8,
      'depths': [1, 1],
      'num_heads': [1, 1],
      'window_size': 4,
      'image_size': 64,
    },
    'ViTImageProcessor',
    {**SQUARE, 'resample': 3, **IMAGENET},
  ),
  'clip_crop': (
    'ViTConfig',
    {},
    'CLIPImageProcessor',
    {
      'size': {'shortest_edge': 64},
      'crop_size': {'height': 64, 'width': 64},
      'resample': 3,
    },
  ),
  'levit_crop': (
    'ViTConfig',
    {},
    'LevitImageProcessor',
    {
      'size': {'shortest_edge': 64},
      'crop_size': {'height': 64, 'width': 64},
      'resample': 3,
      **IMAGENET,
    },
  ),
  'poolformer_crop': (
    'ViTConfig',
    {},
    'PoolFormerImageProcessor',
    {
      'size': {'shortest_edge': 64},
      'crop_size': {'height': 64, 'width': 64},
      'crop_pct': 0.9,
      'resample': 3,
      **IMAGENET,
    },
  ),
  'padded': (
    'ResNetConfig',
    {'embedding_size': 8, 'hidden_sizes': [8, 8], 'depths': [1, 1]},
    'CLIPImageProcessor',
    {
      'size': {'shortest_edge': 57},
      'crop_size': {'height': 64, 'width': 64},
      'resample': 3,
    },
  ),
  'values_255': (
    'ViTConfig',
    {},
    'ViTImageProcessor',
    {
      **SQUARE,
      'resample': 2,
      'do_rescale': False,
      'image_mean': [123.0, 116.5, 103.0],
      'image_std': [58.0, 57.0, 57.5],
    },
  ),
  'plain': (
    'ViTConfig',
    {},
    'ViTImageProcessor',
    {**SQUARE, 'resample': 2, 'do_rescale': False, 'do_normalize': False},
  ),
  'lanczos': ('ViTConfig', {}, 'ViTImageProcessor', {**SQUARE, 'resample': 1, **HALF}),
  'scaled': (
    'ViTConfig',
    {},
    'ViTImageProcessor',
    {**SQUARE, 'resample': 2, 'rescale_factor': 0.01, **HALF},
  ),
  'oblong': (
    'ViTConfig',
    {},
    'ViTImageProcessor',
    {'size': {'height': 64, 'width': 80}, 'resample': 2, **HALF},
  ),
  'perceiver_crop': (
    'ViTConfig',
    {},
    'PerceiverImageProcessor',
    {**SQUARE, 'crop_size': {'height': 73, 'width': 73}, **HALF},
  ),
}
# Of a transformer, as small as it works.
SMALL = {
  'hidden_size': 16,
  'num_hidden_layers': 1,
  'num_attention_heads': 2,
  'intermediate_size': 16,
  'image_size': 64,
  'patch_size': 16,
}


def make(directory):
  """Saves a model and a processor of each, and a file with the names of its classes."""
  import torch
  import transformers

  words = [
    'tench',
    'goldfish',
    'great white shark',
    'tiger shark',
    'hammerhead',
    'cock',
  ]
  for number, (name, parts) in enumerate(FOLDERS.items()):
    config_name, fields, processor_name, values = parts
    if config_name in ('ViTConfig', 'DeiTConfig', 'BeitConfig'):
      fields = {**SMALL, **fields}
    order = random.Random(number).sample(words, len(words))
    config = getattr(transformers, config_name)(
      **fields,
      id2label=dict(enumerate(order)),
      label2id={k: i for i, k in enumerate(order)},
    )
    torch.manual_seed(number)
    kind = config_name.replace('Config', 'ForImageClassification')
    model = getattr(transformers, kind)(config)
    model.save_pretrained(f'{directory}/{name}')
    getattr(transformers, f'{processor_name}Pil')(**values).save_pretrained(
      f'{directory}/{name}'
    )
  pathlib.Path(directory, 'words.json').write_text(json.dumps(words))


def pixels(directory, out, photos):
  """Writes what each processor makes of photos, and what its model says of that."""
  import torch
  import transformers
  from PIL import Image

  images = [Image.open(path).convert('RGB') for path in photos]
  sys.path.insert(0, torch_references.CHILD)
  from tfeval_worker import processors

  found, told = {}, {}
  for name in FOLDERS:
    folder = f'{directory}/{name}'
    for backend in ('pil', 'torchvision'):
      processor = transformers.AutoImageProcessor.from_pretrained(
        folder, backend=backend
      )
      made = processor(images=images, return_tensors='pt')['pixel_values'].float()
      found[f'{name}:{backend}'] = made.numpy().transpose(0, 2, 3, 1)
      if backend == 'pil':
        told[name] = processors.told_by(processor)
      if backend == 'pil' and name != 'oblong':
        model = transformers.AutoModelForImageClassification.from_pretrained(folder)
        with torch.inference_mode():
          found[f'{name}:logits'] = model.eval()(made).logits.numpy()
  np.savez(out, told=np.array(json.dumps(told)), **found)


def headless(folder, out):
  """Saves a model without its classifier, as many are published."""
  import transformers
  from safetensors.torch import load_file, save_file

  state = load_file(f'{folder}/model.safetensors')
  kept = {k: v for k, v in state.items() if not k.startswith('classifier')}
  transformers.AutoConfig.from_pretrained(folder).save_pretrained(out)
  save_file(kept, f'{out}/model.safetensors', {'format': 'pt'})
  transformers.AutoImageProcessor.from_pretrained(folder).save_pretrained(out)


def wrapped(directory, out, photos):
  """Saves a model of timm as transformers wraps it; writes what it makes of photos."""
  import timm
  import torch
  import transformers
  from PIL import Image

  names = dict(enumerate(('cat', 'dog', 'hen')))
  config = transformers.TimmWrapperConfig(
    architecture='resnet18',
    pretrained_cfg=timm.get_pretrained_cfg('resnet18.a1_in1k').to_dict(),
    num_labels=3,
    id2label=names,
    label2id={name: i for i, name in names.items()},
  )
  torch.manual_seed(0)
  model = transformers.TimmWrapperForImageClassification(config).eval()
  model.save_pretrained(directory)
  processor = transformers.AutoImageProcessor.from_pretrained(directory)
  images = [Image.open(path).convert('RGB') for path in photos]
  made = processor(images)['pixel_values']
  with torch.inference_mode():
    logits = model(made).logits.numpy()
  np.savez(out, made=made.numpy().transpose(0, 2, 3, 1), logits=logits)


if __name__ == '__main__':
  if sys.argv[1] == 'make':
    make(sys.argv[2])
  elif sys.argv[1] == 'headless':
    headless(*sys.argv[2:])
  elif sys.argv[1] == 'wrapped':
    wrapped(sys.argv[2], sys.argv[3], sys.argv[4:])
  else:
    pixels(sys.argv[2], sys.argv[3], sys.argv[4:])

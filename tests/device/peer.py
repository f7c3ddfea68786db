"""The peer of check.py: timm's model and a DataLoader of Pillow, as validate.py has it.

python tests/device/peer.py FOLDER MODEL BATCH_SIZE
"""

import os
import pathlib
import sys
import time

import timm
import torch
from PIL import Image
from torchvision import transforms


class Photos(torch.utils.data.Dataset):
  """Photos as uint8, resized and cropped by Pillow."""

  def __init__(self, folder: str):
    self._paths = sorted(pathlib.Path(folder).glob('*/*.JPEG'))
    self._transform = transforms.Compose(
      [
        transforms.Resize(256, transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(224),
        transforms.PILToTensor(),
      ]
    )

  def __len__(self):
    return len(self._paths)

  def __getitem__(self, index):
    return self._transform(Image.open(self._paths[index]).convert('RGB'))


def main() -> None:
  folder, name, batch_size = sys.argv[1], sys.argv[2], int(sys.argv[3])
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  model = timm.create_model(name, pretrained=False).eval().to(device)
  model = model.to(memory_format=torch.channels_last)
  mean = torch.tensor([123.675, 116.28, 103.53], device=device).view(1, 3, 1, 1)
  std = torch.tensor([58.395, 57.12, 57.375], device=device).view(1, 3, 1, 1)
  loader = torch.utils.data.DataLoader(
    Photos(folder),
    batch_size=batch_size,
    num_workers=len(os.sched_getaffinity(0)),
    pin_memory=device == 'cuda',
    prefetch_factor=4,
  )
  half = torch.autocast(device, torch.bfloat16, enabled=device == 'cuda')
  done, first = 0, None
  with torch.inference_mode(), half:
    for images in loader:
      images = images.to(device, non_blocking=True)
      images = images.to(memory_format=torch.channels_last)
      outputs = model(images.float().sub_(mean).div_(std))
      outputs.float().topk(5, 1)[1].cpu()
      done += len(images)
      first = first or (time.monotonic(), done)
  seconds = time.monotonic() - first[0]
  rate = (done - first[1]) / seconds if seconds else 0
  print(f'({rate:,.0f} images/s after the first batch)')


if __name__ == '__main__':
  main()

"""Modules of PyTorch that say something of themselves; imported by the worker alone."""

import os

import numpy as np
import torch

FED = {'preprocess': 'unit', 'input_size': 32, 'output': 'logits'}


class Brightness(torch.nn.Module):
  def __init__(self, by=1.0):
    super().__init__()
    self.linear = torch.nn.Linear(3, 1000)
    torch.nn.init.constant_(self.linear.weight, 0.5)
    torch.nn.init.constant_(self.linear.bias, 0.25)
    self.register_buffer('by', torch.tensor(by), persistent=False)

  def forward(self, images):
    return self.linear(images.mean((2, 3))) * self.by


class Complex(Brightness):
  def forward(self, images):
    return super().forward(images) * 1j


def of_numpy():
  return {'model': Brightness(), **FED, 'input_size': np.int64(32)}


def of_environment():
  return {'model': Brightness(float(os.environ['BY'])), **FED}


def versioned():
  return {'model': Brightness(), **FED, 'version': os.environ['BY']}


def typo():
  return {'model': Brightness(), 'preproces': 'unit'}


def unknown_output():
  return {'model': Brightness(), **FED, 'output': 'softmax'}


def complex_():
  return {'model': Complex(), **FED}


def no_room():
  raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')


softmax = torch.nn.Sequential(
  torch.nn.Flatten(),
  torch.nn.Sequential(torch.nn.Linear(3 * 32 * 32, 10), torch.nn.Softmax(1)),
)
softmax.preprocess, softmax.input_size = 'unit', 32

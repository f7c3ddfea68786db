"""Recipes of preprocessing in the words of tfeval, for the modules of PyTorch."""

import difflib
import math

# Kernels of Pillow that `pil` has, by the names that PyTorch's libraries give them.
KERNELS = {'bicubic': 'cubic', 'bilinear': 'bilinear', 'nearest': 'nearest'}


def values(mean, std):
  """Returns (x / 255 - mean) / std as `preprocess` takes it."""
  mean, std = (','.join(repr(float(one)) for one in both) for both in (mean, std))
  return f'mean={mean}:std={std}'


def fraction(crop, resize):
  """Returns the crop fraction of which the side before the crop is `resize`."""
  found = crop / resize
  while math.floor(crop / found) < resize:
    found = math.nextafter(found, 0)
  return found


def protocol(kernel, crop_fraction, *more):
  """Returns a recipe of images as Pillow resizes them."""
  parts = [f'kernel={kernel}', f'crop_fraction={crop_fraction!r}', *more]
  return 'pil:' + ','.join(parts)


def one_of(recipes, names, whose):
  """Returns what several recipes have in common, for weights of which none is named.

  Args:
    recipes: what would be told of each of the published weights.
    names: how each of these is given.
    whose: for messages.
  """
  first = recipes[0]
  found = {k: v for k, v in first.items() if all(one.get(k) == v for one in recipes)}
  for key in first.keys() - found.keys():
    found[f'no_{key.removeprefix("no_")}'] = (
      f'the published weights of {whose} differ in their recipes, and a file says not '
      f'which it has: name them, as {", ".join(names[:3])}' + ', ...' * (len(names) > 3)
    )
  return found


def line(error):
  return ' '.join(str(error).split())[:150]


def near(name, known):
  return ', '.join(difflib.get_close_matches(name, known, 3, 0.3) or sorted(known)[:3])

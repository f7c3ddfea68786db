"""Label spaces and maps to them."""

import dataclasses

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelMap, LabelSpace


def test_the_space_of_imagenet():
  space = imagenet.label_space()
  assert len(space) == len(set(space.class_ids)) == len(space.class_names) == 1000
  assert list(space.class_ids) == sorted(space.class_ids)
  assert space.index_of_id['n01440764'] == 0


def test_the_digest_is_of_the_ids_in_their_order():
  space = LabelSpace('pets', ('cat', 'dog'), ('a cat', 'a dog'))
  renamed = dataclasses.replace(space, name='other', class_names=('c', 'd'))
  turned = dataclasses.replace(space, class_ids=('dog', 'cat'))
  assert space.digest == renamed.digest != turned.digest


def test_a_map_says_where_the_output_of_each_class_is():
  space = LabelSpace('pets', ('cat', 'dog'), ('a cat', 'a dog'))
  scores = np.array([[0.1, 0.7, 0.2]])
  found = LabelMap(3, space, ((2,), (1,)))
  assert scores[:, found.indices].tolist() == [[0.2, 0.7]]

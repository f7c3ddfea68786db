"""A training with Keras' `fit`, evaluated by tfeval as it goes.

    python fit.py --train=folder:PHOTOS --output=training

It trains the network of `build` and evaluates it at the end of every epoch. Keras keeps
the best one, stops when nothing gets better, and writes every figure into a CSV file;
tfeval keeps the run of the best one, with each of its predictions:

    tfeval score training/evaluations/step-*/*

The figures go to TensorBoard as well: `tensorboard --logdir=training/tensorboard`.
In your code, replace `build` and `images_of`; `callbacks` is how it is done.
"""

import argparse
import pathlib

import keras
import tensorflow as tf

import tfeval

SIZE = 32


def build() -> keras.Model:
  """Returns a small network, which rescales its images by itself."""
  return keras.Sequential(
    [
      keras.Input((SIZE, SIZE, 3)),
      keras.layers.Rescaling(1 / 127.5, -1),
      keras.layers.Conv2D(32, 3, strides=2, activation='relu'),
      keras.layers.Conv2D(64, 3, strides=2, activation='relu'),
      keras.layers.Flatten(),
      keras.layers.Dense(1000),
    ],
    name='network',
  )


def images_of(dataset: str, data_dir: str | None, batch_size: int) -> tf.data.Dataset:
  """Returns the images to train on; yours are shuffled and augmented."""
  # Padding weighs nothing, nor do images without a label.
  return tfeval.build_dataset(
    dataset,
    data_dir=data_dir,
    input_size=SIZE,
    batch_size=batch_size,
    label_mode='int',
  )


def callbacks(arguments: argparse.Namespace) -> list[keras.callbacks.Callback]:
  """Returns tfeval's callback, and behind it those that see what it finds."""
  output = arguments.output
  return [
    tfeval.keras.EvaluateCallback(
      arguments.evaluate or arguments.train,
      data_dir=arguments.data_dir,
      preprocess='identity',
      output='logits',
      output_dir=output / 'evaluations',
      log_dir=output / 'tensorboard',
    ),
    keras.callbacks.ModelCheckpoint(
      output / 'best.keras', monitor='val_top1', mode='max', save_best_only=True
    ),
    keras.callbacks.EarlyStopping(monitor='val_top1', mode='max', patience=5),
    keras.callbacks.CSVLogger(output / 'history.csv'),
  ]


def main() -> None:
  arguments = parse()
  arguments.output.mkdir(parents=True, exist_ok=True)
  keras.utils.set_random_seed(0)
  with tf.distribute.MirroredStrategy().scope():  # All GPUs, else the CPU.
    model = build()
    model.compile('adam', keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  model.fit(
    images_of(arguments.train, arguments.data_dir, arguments.batch_size),
    epochs=arguments.epochs,
    verbose=2,
    callbacks=callbacks(arguments),
  )


def parse() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--train', required=True, help='a TFDS name or folder:DIR')
  parser.add_argument('--evaluate', help='another one to evaluate on')
  parser.add_argument('--data_dir', help='where prepared TFDS datasets lie')
  parser.add_argument(
    '--output',
    type=pathlib.Path,
    required=True,
    help='for the best model, its run and figures',
  )
  parser.add_argument('--epochs', type=int, default=20)
  parser.add_argument('--batch_size', type=int, default=16, help='of all replicas')
  return parser.parse_args()


if __name__ == '__main__':
  main()

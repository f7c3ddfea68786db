"""A training loop of one's own, on one host or several, evaluated by tfeval.

    python custom_loop.py --train=folder:PHOTOS --output=training

It trains the network of `build` with `strategy.run`, evaluates it after every
--evaluate_every epochs and writes a checkpoint of each of these. In your code, replace
`build` and `images_of`; `train_step`, `evaluate` and `manager_of` are how it is done.

Several workers: start the same command on each of them, with TF_CONFIG as
`tf.distribute.MultiWorkerMirroredStrategy` documents it and --output on a disk that all
see. Every worker has to evaluate: each takes its share and gets the counts of all.

Or evaluate elsewhere, so that training does not wait: give --evaluate_every=0, and

    tfeval watch training/checkpoints --model=custom_loop:build --dataset=folder:PHOTOS

on another machine. It imports this file from where it is started.
"""

import argparse
import os
import pathlib
import tempfile

import keras
import tensorflow as tf

import tfeval

SIZE = 32


def build() -> dict:
  """Returns a small network and what `tfeval watch --model` has to know of it."""
  model = keras.Sequential(
    [
      keras.Input((SIZE, SIZE, 3)),
      keras.layers.Conv2D(32, 3, strides=2, activation='relu'),
      keras.layers.Conv2D(64, 3, strides=2, activation='relu'),
      keras.layers.Flatten(),
      keras.layers.Dense(1000),
    ],
    name='network',
  )
  return {'model': model, 'preprocess': 'tf', 'output': 'logits'}


def images_of(
  dataset: str, data_dir: str | None, batch_size: int, strategy: tf.distribute.Strategy
) -> tf.distribute.DistributedDataset:
  """Returns the images to train on; yours are shuffled and augmented."""
  return tfeval.build_dataset(
    dataset,
    data_dir=data_dir,
    input_size=SIZE,
    batch_size=batch_size,
    strategy=strategy,
  )


def main() -> None:
  arguments = parse()
  # First: a worker that has run anything before cannot join.
  strategy = (
    tf.distribute.MultiWorkerMirroredStrategy()
    if 'TF_CONFIG' in os.environ
    else tf.distribute.MirroredStrategy()
  )
  with strategy.scope():
    keras.utils.set_random_seed(0)
    model = build()['model']
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    epochs = tf.Variable(0, dtype=tf.int64)
  checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, epochs=epochs)
  manager = manager_of(checkpoint, strategy, arguments.output / 'checkpoints')
  images = images_of(
    arguments.train, arguments.data_dir, arguments.batch_size, strategy
  )
  step = train_step(strategy, model, optimizer, arguments.batch_size)
  every, done = arguments.evaluate_every, int(epochs.numpy())
  evaluator = (
    tfeval.Evaluator(
      model,
      arguments.evaluate or arguments.train,
      data_dir=arguments.data_dir,
      preprocess='tf',
      output='logits',
      preflight='off',
      batch_size=arguments.batch_size,
    )
    if every
    else None
  )
  if every and done and not is_evaluated(arguments.output, done):
    evaluate(evaluator, arguments.output, done)  # It was ended in the middle.
  for epoch in range(done + 1, arguments.epochs + 1):
    loss = sum(float(step(batch)) for batch in images)
    epochs.assign(epoch)
    print(f'epoch {epoch}: loss {loss:.3f}', flush=True)
    if epoch % (every or 1) == 0:
      # Before it is evaluated: what goes on has the same values then. On all workers:
      # they take part.
      manager.save(checkpoint_number=epoch)
    if every and epoch % every == 0:
      evaluate(evaluator, arguments.output, epoch)


def train_step(
  strategy: tf.distribute.Strategy,
  model: keras.Model,
  optimizer: keras.optimizers.Optimizer,
  batch_size: int,
):
  """Returns a function that trains on a batch of all replicas, to its loss."""
  preprocess = keras.applications.mobilenet.preprocess_input  # build's 'tf'.

  def replica_step(batch):
    images = preprocess(tf.cast(batch['pixels'], tf.float32))
    with tf.GradientTape() as tape:
      losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.maximum(batch['label'], 0), model(images, training=True)
      )
      # Of the global batch, so that the sum over replicas is its mean.
      loss = tf.reduce_sum(tf.where(batch['mask'], losses, 0)) / batch_size
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss

  @tf.function
  def step(batch):
    losses = strategy.run(replica_step, (batch,))
    return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

  return step


def evaluate(evaluator: tfeval.Evaluator, output: pathlib.Path, epoch: int) -> None:
  """Evaluates the model on all workers, each of which gets all counts."""
  run = evaluator.evaluate(evaluations_of(output, epoch))
  print(
    '  '.join(
      f'{metric["labels"]} {metric["name"]} {metric["correct"]}/{metric["count"]}'
      for metric in run.metrics
    ),
    flush=True,
  )


def is_evaluated(output: pathlib.Path, epoch: int) -> bool:
  return any(evaluations_of(output, epoch).glob('*/result.json'))


def evaluations_of(output: pathlib.Path, epoch: int) -> pathlib.Path:
  return output / 'evaluations' / f'epoch-{epoch:04d}'


def manager_of(
  checkpoint: tf.train.Checkpoint,
  strategy: tf.distribute.Strategy,
  directory: pathlib.Path,
) -> tf.train.CheckpointManager:
  """Goes on after the last checkpoint; returns what writes `ckpt-EPOCH`."""
  latest = tf.train.latest_checkpoint(directory)
  if latest:
    checkpoint.restore(latest).assert_existing_objects_matched()
  resolver = strategy.cluster_resolver
  if resolver is not None and resolver.task_id:
    # Of several workers that of the first is kept.
    directory = tempfile.mkdtemp(prefix='custom_loop-')
  return tf.train.CheckpointManager(checkpoint, directory, max_to_keep=None)


def parse() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--train', required=True, help='a TFDS name or folder:DIR')
  parser.add_argument('--evaluate', help='another one to evaluate on')
  parser.add_argument('--data_dir', help='where prepared TFDS datasets lie')
  parser.add_argument(
    '--output', type=pathlib.Path, required=True, help='for checkpoints and evaluations'
  )
  parser.add_argument('--epochs', type=int, default=20)
  parser.add_argument('--evaluate_every', type=int, default=5, metavar='EPOCHS')
  parser.add_argument('--batch_size', type=int, default=16, help='of all replicas')
  return parser.parse_args()


if __name__ == '__main__':
  main()

"""Run with TF_USE_LEGACY_KERAS=1: a training with `tf.keras` on two replicas."""

import numpy as np
import tensorflow as tf

import tfeval

CPUS = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
  CPUS[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
random = np.random.default_rng(0)
images = random.integers(0, 256, (22, 8, 8, 3)).astype(np.float32)
labels = np.arange(22) % 6
dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
dataset.class_names = list('abcdef')
assert tf.keras.Model.__module__.startswith('tf_keras.')

tf.keras.utils.set_random_seed(0)
with tf.distribute.MirroredStrategy(['cpu:0', 'cpu:1']).scope():
  model = tf.keras.Sequential(
    [
      tf.keras.layers.Input((8, 8, 3)),
      tf.keras.layers.Rescaling(1 / 255),
      tf.keras.layers.Flatten(),
      tf.keras.layers.Dropout(0.5),
      tf.keras.layers.Dense(6),
    ]
  )
  model.compile(
    tf.keras.optimizers.SGD(0.05),
    tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[tfeval.keras.TopK(1)],
  )
evaluate = tfeval.keras.EvaluateCallback(dataset)
model.fit(dataset, epochs=2, callbacks=[evaluate], verbose=0)

right = int((model.predict(images, verbose=0).argmax(1) == labels).sum())
assert evaluate.history[-1]['counts']['val_top1'] == [right, 22], evaluate.history
assert tfeval.evaluate(model, dataset).metrics[0]['correct'] == right
assert abs(model.evaluate(dataset, verbose=0)[1] - right / 22) < 1e-6

"""Models that `fit` builds, and models beside the one in training."""

import copy

import colours
import keras
import numpy as np
import pytest
import tensorflow as tf
from colours import Subclass, callback, fit, hits, layers, loss

import tfeval
from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return colours.write_folder(tmp_path_factory.mktemp('colours'))


def compiled(model, **how):
  model.compile(keras.optimizers.Adam(0.05), loss(), **how)
  return model


class Distiller(keras.Model):
  """As of the guides of Keras: its `train_step` calls student and teacher."""

  def __init__(self, student, teacher):
    super().__init__(name='distiller')
    self.student, self.teacher = student, teacher

  def train_step(self, data):
    images, labels = data
    soft = tf.nn.softmax(self.teacher(images, training=False))
    with tf.GradientTape() as tape:
      outputs = self.student(images, training=True)
      distance = keras.losses.categorical_crossentropy(soft, outputs, from_logits=True)
      value = self.loss(labels, outputs) + tf.reduce_mean(distance)
    weights = self.student.trainable_variables
    self.optimizer.apply_gradients(
      zip(tape.gradient(value, weights), weights, strict=True)
    )
    return {'loss': value}


class Counted(keras.callbacks.Callback):
  """Counts what `predict` of a model gets right at the end of each epoch."""

  def __init__(self, folder, of):
    super().__init__()
    self.folder, self.of, self.counts = folder, of, []

  def on_epoch_end(self, epoch, logs=None):
    self.counts.append(hits(self.of(self.model), self.folder))


def counts(found):
  return [entry['counts']['val_top1'] for entry in found.history]


@pytest.mark.parametrize(
  'make', [Subclass, lambda: keras.Sequential(layers(), name='sequential')]
)
def test_a_model_that_its_first_batch_builds(folder, tmp_path, make):
  keras.utils.set_random_seed(0)
  model, found = make(), callback(folder, output_dir=tmp_path, every_steps=2)
  counted = Counted(folder, lambda model: model)
  assert not model.built
  fit(compiled(model), found, counted)
  assert [entry['step'] for entry in found.history] == [2, 4, 6, 8]
  assert counts(found)[1::2] == counted.counts and counted.counts[-1][0] > 10
  assert found._evaluator._forward._step._call.experimental_get_tracing_count() == 1
  assert tfeval.load_run(found.best.path).result['model']['input_size'] == 32


def test_training_is_the_same_with_a_callback(folder):
  found = []
  for callbacks in ([], [callback(folder, every_steps=1)]):
    keras.utils.set_random_seed(1)
    model = compiled(Subclass())
    fit(model, *callbacks)
    optimizer = [one.numpy() for one in model.optimizer.variables]
    found.append([*model.get_weights(), *optimizer, keras.random.normal((2,))])
  assert all(map(np.array_equal, *found))


def test_what_a_model_that_is_not_built_lacks_is_told_before_the_fit(folder):
  for arguments, words in (
    ({'preprocess': None}, 'give `preprocess='),
    ({'output': None}, 'logits or probabilities cannot be known: give `output'),
  ):
    model = compiled(Subclass())
    with pytest.raises(UserError, match=words):
      fit(model, callback(folder, **arguments))
    assert not model.built
  # Of a layer that tells it afterwards.
  model = compiled(keras.Sequential(layers()))
  assert 'val_top1' in fit(model, callback(folder, output=None), epochs=1)


def test_the_student_of_a_distiller(folder, tmp_path):
  keras.utils.set_random_seed(0)
  teacher = compiled(Subclass('teacher'))
  fit(teacher, epochs=1)
  student = keras.Sequential(layers(), name='student')
  distiller = Distiller(student, teacher)
  compiled(distiller)
  with pytest.raises(UserError, match='distiller has no call, .*model=student'):
    fit(distiller, callback(folder))
  assert not student.built
  found = callback(folder, model=student, output_dir=tmp_path)
  other = callback(folder, model=lambda model: model.teacher, prefix='val_teacher_')
  best = keras.callbacks.EarlyStopping('val_top1', patience=9, mode='max')
  counted = Counted(folder, lambda model: model.student)
  with pytest.raises(UserError, match='monitors val_top1 and stands before'):
    fit(distiller, best, found)
  fit(distiller, found, other, best, counted, epochs=3)
  assert counts(found) == counted.counts and counted.counts[-1][0] > 12
  assert {tuple(*entry['counts'].values()) for entry in other.history} == {
    tuple(hits(teacher, folder))
  }
  assert best.best == max(hits for hits, _ in counted.counts) / 24
  assert found.best.result['model']['name'] == 'student'
  # Another fit goes on in the history.
  again = callback(folder, model=student, output_dir=tmp_path)
  fit(distiller, again, epochs=1)
  assert [entry['step'] for entry in again.history] == [4, 8, 12, 16]


class Encoded(keras.Model):
  """An encoder, trained beside a probe on what it returns."""

  def __init__(self):
    super().__init__(name='encoded')
    self.encoder = keras.Sequential(layers()[:-1])
    self.probe = layers()[-1]

  def call(self, images):
    return self.probe(self.encoder(images))


def test_a_function_is_traced_once_where_its_layers_stay(folder):
  keras.utils.set_random_seed(0)
  model = compiled(Encoded())
  found = callback(
    folder,
    model=lambda model: keras.Sequential([model.encoder, model.probe], name='probed'),
  )
  counted = Counted(folder, lambda model: model)
  fit(model, found, counted, epochs=4)
  assert counts(found) == counted.counts
  assert found._evaluator._forward._step._call.experimental_get_tracing_count() == 1


def test_a_function_that_copies_averages(folder):
  keras.utils.set_random_seed(0)
  model = keras.Sequential([keras.Input((32, 32, 3)), *layers()], name='trained')
  copy = keras.models.clone_model(model)
  model.compile(keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5), loss())

  def averaged(model):
    pairs = zip(
      copy.trainable_variables,
      model.optimizer._model_variables_moving_average,
      strict=True,
    )
    for weight, average in pairs:
      weight.assign(average)
    return copy

  found = callback(folder, model=averaged, metrics=['top1', 'nll'])
  built_in = callback(folder, ema=True, prefix='val_ema_', metrics=['top1', 'nll'])
  fit(model, found, built_in, epochs=3)
  values = [[*entry['metrics'].values()] for entry in found.history]
  assert values == [[*entry['metrics'].values()] for entry in built_in.history]
  assert len({nll for _, nll in values}) == 3


@pytest.mark.parametrize(
  'model, words',
  [
    ('student', "model is 'student', expected a keras.Model"),
    (keras.Model, 'expected a keras.Model, or a function'),
    (lambda model: model.layers, 'returned .*expected a keras.Model'),
  ],
)
def test_what_is_no_model(folder, model, words):
  trained = compiled(keras.Sequential([keras.Input((32, 32, 3)), *layers()]))
  before = trained.get_weights()
  with pytest.raises(UserError, match=words) as caught:
    fit(trained, callback(folder, model=model))
  assert '\n' not in str(caught.value)
  assert all(map(np.array_equal, before, trained.get_weights()))


def test_a_function_that_fails(folder):
  trained = compiled(keras.Sequential([keras.Input((32, 32, 3)), *layers()]))
  with pytest.raises(UserError, match='model=.*lambda.* failed: .*nothing'):
    fit(trained, callback(folder, model=lambda model: model.nothing))


def test_a_model_of_a_cell_that_was_run_again(folder, caplog):
  old, new = (
    keras.Sequential([keras.Input((32, 32, 3)), *layers()], name='student')
    for _ in range(2)
  )
  fit(compiled(new), callback(folder, model=old), epochs=3)
  assert caplog.text.count('student has the same weights at steps 4 and 8') == 1
  caplog.clear()
  fit(compiled(new), callback(folder, model=new))
  assert 'same weights' not in caplog.text


def test_a_callback_for_another_model_begins_again(folder):
  found = callback(folder)
  for classes in (colours.CLASSES, 7):
    model = keras.Sequential([*layers()[:-1], keras.layers.Dense(classes)])
    if classes == 7:
      with pytest.raises(UserError, match='returns .None, 7., expected .*4'):
        fit(compiled(model), found)
    else:
      fit(compiled(model), found)
  model = compiled(Subclass())
  fit(model, found)
  assert [entry['step'] for entry in found.history] == [4, 8]
  assert counts(found)[-1] == hits(model, folder)


def test_a_dataset_of_the_users_and_a_model_that_is_not_built():
  keras.utils.set_random_seed(0)
  images, labels = colours.pixels(6, 1)
  data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(5)
  model = compiled(keras.Sequential(layers()))
  told, untold = (
    tfeval.keras.EvaluateCallback(data, classes=classes, prefix=prefix)
    for classes, prefix in ((colours.CLASSES, 'told_'), (None, 'val_'))
  )
  history = fit(model, told, untold)
  scores = model.predict(images.astype(np.float32), verbose=0)
  hits = [int((scores.argmax(1) == labels).sum()), 24]
  assert told.history[-1]['counts'] == {'told_top1': hits}
  # Of four classes, as the model tells at its first evaluation, there is no top-5.
  assert untold.history[-1]['counts'] == {'val_top1': hits}
  assert {'told_top1', 'val_top1'} == {name for name in history if 'top' in name}


def test_a_copy_is_a_callback_of_its_own_on_the_same_data():
  images, labels = colours.pixels(6, 1)
  data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(5)
  first = tfeval.keras.EvaluateCallback(data, classes=colours.CLASSES)
  other = copy.deepcopy(first)  # As KerasTuner does.
  for one in (first, other):
    keras.utils.set_random_seed(0)
    fit(compiled(keras.Sequential(layers())), one)
  assert first.history == other.history and first.history is not other.history

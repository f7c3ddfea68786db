"""Flags of evaluations in pieces: how they are cut, and which engine does them."""

from collections.abc import Container
from typing import Any

from tfeval.api import piece_options, pieces
from tfeval.cli import input_flags
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.pieces.options import PieceConfig
from tfeval.utils import options
from tfeval.utils.errors import UserError

_NAMES = {
  field.name
  for config in (EvaluationConfig, PieceConfig)
  for field in options.fields(config)
}


def define(definer, only: Container[str] | None = None, without: Container[str] = ()):
  """Defines the flags of `PieceConfig`, or some of them."""
  for field in options.fields(PieceConfig):
    if field.name not in without and (only is None or field.name in only):
      input_flags.define_option(definer, field, _NAMES)


def read(flags) -> PieceConfig:
  """Returns what the flags of a command say that evaluates here or on an engine.

  Raises:
    UserError: an option of another engine, or pieces and no engine.
  """
  found, _ = piece_options.taken(given(flags, PieceConfig))
  if found.runner is None and found != PieceConfig():
    raise UserError('--piece_images is of --runner: give both or none')
  return found


def define_of_machine(definer) -> None:
  """Defines what a worker may be told of its machine; nothing is what the plan says."""
  for field in options.fields(EvaluationConfig):
    if field.name in pieces.OF_MACHINE:
      input_flags.define_option(definer, field, _NAMES)


def given(flags, *configs: type) -> dict[str, Any]:
  """Returns the options of configs that are given, and are not what they are anyway."""
  found = {}
  for config in configs:
    for field in options.fields(config):
      if field.name in flags and flags[field.name].present:
        found[field.name] = flags[field.name].value
  return found


def of_machine(flags) -> dict[str, Any]:
  """Returns what a command's flags say of this machine and of the engine."""
  known = [field.name for field in options.fields(PieceConfig)]
  return {
    name: value
    for name, value in given(flags, EvaluationConfig, PieceConfig).items()
    if name in (*pieces.OF_MACHINE, *known)
  }

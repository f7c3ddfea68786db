"""Flips against the CPU, the self-test, and speeds beside a peer: see check.sh."""

import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import tfeval

HERE = pathlib.Path(__file__).parent
# Beside float32 on the same device: flags, and whether answers may flip.
VARIANTS = {
  'float32': ([], False),
  'ranked on the device': (['--rank_on=device'], False),
  'resized on the device': (['--resize_on=device'], False),
  'XLA': (['--jit'], False),
  'TF32': (['--tf32'], True),
  'bfloat16': (['--dtype=mixed_bfloat16'], True),
}
CPU_ALONE = {'CUDA_VISIBLE_DEVICES': '-1'}


def has_gpu() -> bool:
  return any(pathlib.Path('/dev').glob('nvidia[0-9]*'))


def run(
  arguments: list[str], environment: dict[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], float]:
  """Runs a command; returns it and its seconds."""
  started = time.monotonic()
  done = subprocess.run(
    arguments,
    env={**os.environ, **(environment or {})},
    capture_output=True,
    text=True,
    check=False,
  )
  return done, time.monotonic() - started


def evaluate(
  args: argparse.Namespace, folder: pathlib.Path, out: pathlib.Path, flags: list[str]
) -> tuple[tfeval.Run | str, float]:
  """Evaluates in a process of its own; returns the run, or why there is none."""
  environment = CPU_ALONE if out.name == 'cpu' else None
  command = [
    *(sys.executable, '-m', 'tfeval', 'evaluate', '--preflight=off'),
    *(f'--model={args.model}', f'--dataset=folder:{folder}', f'--output_dir={out}'),
    *(f'--batch_size={args.batch_size}', *flags),
  ]
  done, seconds = run(command, environment)
  if done.returncode:
    return done.stderr.strip().splitlines()[-1], seconds
  (directory,) = out.iterdir()
  return tfeval.load_run(directory), seconds


def first_classes(run: tfeval.Run) -> dict[str, int]:
  table = run.to_arrow(['id', 'classes'])
  firsts = [classes[0] for classes in table['classes'].to_pylist()]
  return dict(zip(table['id'].to_pylist(), firsts, strict=True))


def check_flips(args: argparse.Namespace, folder: pathlib.Path, out: pathlib.Path):
  """Prints how many answers of each variant are others than those of the CPU."""
  reference, _ = evaluate(args, folder, out / 'cpu', [])
  if isinstance(reference, str):
    sys.exit(f'the CPU gives no answers: {reference}')
  expected = first_classes(reference)
  print(f'{args.model}, {len(expected)} photos, against {hardware(reference)}')
  wrong = 0
  for name, (flags, may_flip) in VARIANTS.items():
    found, _ = evaluate(args, folder, out / name.replace(' ', '_'), flags)
    if isinstance(found, str):
      print(f'  {name:22} not run: {found}')
      continue
    answers = first_classes(found)
    flips = sum(answers[one] != expected[one] for one in expected)
    steady = found.result['timing'].get('steady_images_per_second')
    speed = f', {steady:,.0f} images/s' if steady else ''
    print(
      f'  {name:22} {flips} of {len(expected)} flip, {hardware(found)}{speed}',
      flush=True,
    )
    wrong += bool(flips) and not may_flip
    tested = found.result['compute'].get('self_test')
    if tested:
      print(f'  self-test: {tested["off"]} of {tested["values"]:,} values differ')
  return wrong


def hardware(run: tfeval.Run) -> str:
  found = run.result['hardware']
  versions = [
    f'{name} {found[name]}' for name in ('driver', 'cuda', 'cudnn') if name in found
  ]
  return ', '.join([found['name'], *versions])


def check_speed(args: argparse.Namespace, folder: pathlib.Path, out: pathlib.Path):
  """Prints the speed of whole commands, in turns with a peer, and of the stages."""
  flags = [
    f'--model={args.speed_model}',
    '--weights=none',
    f'--dataset=folder:{folder}',
    f'--batch_size={args.batch_size}',
    *(['--dtype=mixed_bfloat16'] if has_gpu() else []),
  ]
  tf_eval = [sys.executable, '-m', 'tfeval']
  peer = [sys.executable, str(HERE / 'peer.py'), str(folder)]
  peer += [args.speed_model.lower(), str(args.batch_size)]
  for turn in range(args.turns):
    store = ['--preflight=off', f'--output_dir={out}/speed{turn}']
    done, seconds = run([*tf_eval, 'evaluate', *flags, *store])
    print(f'  tfeval evaluate  {told(done, args.count, seconds)}', flush=True)
    if importlib.util.find_spec('timm') and importlib.util.find_spec('torch'):
      done, seconds = run(peer)
      print(f'  PyTorch + timm   {told(done, args.count, seconds)}', flush=True)
    elif not turn:
      print('  PyTorch + timm   not installed: no peer')
  done, _ = run([*tf_eval, 'benchmark', *flags, '--json', f'--images={args.count}'])
  if done.returncode:
    print(f'  benchmark: {done.stderr.strip().splitlines()[-1]}')
    return
  report = json.loads(done.stdout)
  for stage in report['stages']:
    print(f'  {stage["name"]:22} {stage["images_per_second"]:10,.0f} images/s')
  print(
    f'  {100 * report["reached"]:.0f} % of the smaller limit is reached: input '
    f'{report["input_limit"]:,.0f}, forward pass {report["forward_limit"]:,.0f}; '
    f'bottleneck: {report["bottleneck"]}'
  )


def told(done: subprocess.CompletedProcess[str], count: int, seconds: float) -> str:
  if done.returncode:
    return f'failed: {done.stderr.strip().splitlines()[-1]}'
  last = done.stdout.strip().splitlines()[-1] if 'images/s' in done.stdout else ''
  return f'{seconds:6.1f} s, whole command {count / seconds:,.0f} images/s  {last}'


def repeated(photos: pathlib.Path, count: int, out: pathlib.Path) -> pathlib.Path:
  """Links photos again and again, in folders of their classes, up to a count."""
  files = sorted([*photos.glob('*/*.JPEG'), *photos.glob('n*_*.JPEG')])
  if not files:
    sys.exit(f'{photos} has no *.JPEG in folders of classes')
  for number in range(count):
    photo = files[number % len(files)]
    flat = photo.parent == photos
    folder = out / (photo.name.split('_')[0] if flat else photo.parent.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{number:06d}.JPEG').symlink_to(photo.resolve())
  return out


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  few = not has_gpu()
  parser.add_argument('--photos', type=pathlib.Path, required=True)
  parser.add_argument('--model', default='MobileNet:alpha=0.25')
  parser.add_argument('--speed_model', default='MobileNetV2' if few else 'ResNet50')
  parser.add_argument('--count', type=int, default=64 if few else 8192)
  parser.add_argument('--flip_count', type=int, default=32 if few else 294)
  parser.add_argument('--batch_size', type=int, default=16 if few else 256)
  parser.add_argument('--turns', type=int, default=1 if few else 2)
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    out = pathlib.Path(name)
    wrong = check_flips(
      args, repeated(args.photos, args.flip_count, out / 'few'), out / 'flips'
    )
    print(f'{args.speed_model}, {args.count} photos, batch {args.batch_size}')
    check_speed(args, repeated(args.photos, args.count, out / 'many'), out / 'speed')
  sys.exit(bool(wrong))


if __name__ == '__main__':
  main()

"""The protocol `thumbnail`: fields are those of tfeval.preprocess.protocol.Protocol."""

PROTOCOL = {
  'summary': 'The whole image straight to size, Pillow bilinear.',
  'explanation': 'What a thumbnail shows.',
  'source': 'an example',
  'library': 'pillow',
  'kernel': 'bilinear',
  'antialias': True,
  'resize': 'squash',
  'crop': 'none',
}

'use strict';
// Sorts and filters tables. Without it everything is there, in the order it was written.
document.documentElement.classList.add('js');

function keyOf(cell) {
  return cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
}

function compare(a, b, down) {
  // What is not known comes last, whichever way.
  const unknown = (key) => key === '-' || key === '' || Number.isNaN(key);
  if (unknown(a) || unknown(b)) return unknown(a) - unknown(b);
  const order = typeof a === 'number' && typeof b === 'number'
    ? a - b
    : String(a).localeCompare(String(b), undefined, {numeric: true});
  return down ? -order : order;
}

function sort(table, column) {
  const heads = table.tHead.rows[0].cells;
  const head = heads[column];
  const before = head.getAttribute('aria-sort');
  // Of numbers the highest first: they are what one looks for.
  const numeric = head.classList.contains('number');
  const down = before === null ? numeric : before === 'ascending';
  for (const other of heads) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row, place) => ({row, place, key: keyOf(row.cells[column])}));
  rows.sort((one, other) => compare(one.key, other.key, down) || one.place - other.place);
  body.append(...rows.map((one) => one.row));
  refresh(table.closest('.table'));
}

// Which rows are seen: those that the filter keeps, the first of them unless all are asked for.
function refresh(box) {
  const shown = Number(box.dataset.shown || Infinity);
  const field = box.querySelector('input');
  const words = field ? field.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
  const everything = box.classList.contains('everything');
  let kept = 0;
  const rows = box.querySelector('table').tBodies[0].rows;
  for (const row of rows) {
    const text = words.length ? row.textContent.toLowerCase() : '';
    row.hidden = !words.every((word) => text.includes(word));
    if (!row.hidden) kept += 1;
    row.classList.toggle('later', !row.hidden && kept > shown);
  }
  const status = box.querySelector('.status');
  status.textContent = words.length ? `${kept.toLocaleString('en')} of ${rows.length.toLocaleString('en')} rows match` : '';
  const button = box.querySelector('.all');
  if (button) {
    button.hidden = everything || kept <= shown;
    button.textContent = `Show all ${kept.toLocaleString('en')} rows`;
  }
}

for (const box of document.querySelectorAll('.table')) {
  const table = box.querySelector('table');
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    head.querySelector('button').addEventListener('click', () => sort(table, column));
  });
  const field = box.querySelector('input');
  if (field) field.addEventListener('input', () => refresh(box));
  const button = box.querySelector('.all');
  if (button) {
    button.hidden = false;
    button.addEventListener('click', () => {
      box.classList.add('everything');
      refresh(box);
      table.tBodies[0].rows[Number(box.dataset.shown)].cells[0].scrollIntoView({block: 'nearest'});
    });
  }
}

import { printable } from './format.js';

type Cell = string | number | null | undefined;

/** For each upper-case heading, the function that gets the cell of a row. */
type Columns<Row> = Readonly<Record<string, (row: Row) => Cell>>;

/** Rows below their headings, columns aligned. Columns that are empty in every row are left out; no rows, no lines. */
export function table<Row>(rows: readonly Row[], columns: Columns<Row>): string[] {
  if (rows.length === 0) return [];
  const used = Object.entries(columns)
    .map(([heading, cellOf]) => ({ heading, cells: rows.map((row) => printable(String(cellOf(row) ?? ''))) }))
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
    .map(({ heading, cells }) => padded([heading, ...cells]));
  return [undefined, ...rows].map((_row, line) =>
    used
      .map((column) => column[line])
      .join('  ')
      .trimEnd(),
  );
}

/** `name value` lines, values aligned. Facts without a value are left out. */
export function facts(named: Readonly<Record<string, Cell>>): string[] {
  const known = Object.entries(named).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const names = padded(known.map(([name]) => name));
  return known.map(([, value], index) => `${names[index]}  ${value}`);
}

function padded(texts: readonly string[]): string[] {
  const width = Math.max(0, ...texts.map((text) => text.length));
  return texts.map((text) => text.padEnd(width));
}

import type { Command } from 'commander';

/** Options that every verb has. */
export interface Globals {
  readonly json?: true;
  readonly url?: string;
  readonly tokenFile?: string;
}

export const globalsOf = (command: Command): Globals => command.optsWithGlobals<Globals>();

/**
 * A text with what a terminal would act on made visible: anybody may write into a message's fields. Line breaks count as
 * such, too: nobody's text begins a line of ours.
 */
export const printable = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** The beginning of a text that has no end in sight. */
export const cut = (text: string, atMost: number): string =>
  text.length <= atMost ? text : `${text.slice(0, atMost - 1)}…`;

/** Prints what a command found: with --json the document, otherwise the lines. */
export function show(command: Command, document: object, lines: readonly string[]): void {
  const text = globalsOf(command).json ? JSON.stringify(document) : lines.map(printable).join('\n');
  if (text) process.stdout.write(`${text}\n`);
}

/** A word about what is going on, not part of the answer: on stderr, and only for a person. */
export function remark(command: Command, line: string): void {
  if (!globalsOf(command).json) process.stderr.write(`${line}\n`);
}

/**
 * Rows under their headings, columns aligned. Columns that are empty in every row are left out.
 * @param headings upper-case words. @param rows cells as text; a missing one is empty.
 */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const used = headings.map((_heading, column) => rows.some((row) => row[column]));
  const all = [headings, ...rows].map((row) => row.filter((_cell, column) => used[column]).map(printable));
  const widths = (all[0] ?? []).map((_heading, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `name value` lines, values aligned; entries without a value are left out. */
export function facts(entries: readonly (readonly [string, string | number | null | undefined])[]): string[] {
  const told = entries.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const width = Math.max(0, ...told.map(([name]) => name.length));
  return told.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

/** How long ago or how long it took: `3 s`, `4 min`, `2 h`, `5 d`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** A short time to the millisecond, a longer one as `duration` has it. */
export const elapsed = (ms: number): string => (ms < 1000 ? `${Math.max(0, Math.round(ms))} ms` : duration(ms));

export const counted = (amount: number, noun: string): string => `${amount} ${noun}${amount === 1 ? '' : 's'}`;

export const ago = (time: string | null): string =>
  time === null ? '' : `${duration(Date.now() - Date.parse(time))} ago`;

export const amounts = (named: Readonly<Record<string, string | number>>): string =>
  Object.entries(named)
    .map(([name, amount]) => `${name}=${amount}`)
    .join(' ');

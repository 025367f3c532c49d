import type { Command } from 'commander';
import { printable } from './format.js';

/** Options that every command has. */
export interface GlobalOptions {
  readonly json?: true;
  readonly url?: string;
  readonly tokenFile?: string;
}

export const globalOptions = (command: Command): GlobalOptions => command.optsWithGlobals<GlobalOptions>();

/** The result of a command. */
export interface Output {
  /** Printed with --json. */
  readonly document: object;
  /** Printed without it. */
  readonly lines: readonly string[];
}

export function print(command: Command, { document, lines }: Output): void {
  const text = globalOptions(command).json ? JSON.stringify(document) : lines.map(printable).join('\n');
  if (text) process.stdout.write(`${text}\n`);
}

/** Prints progress or advice on stderr; nothing with --json. */
export function note(command: Command, line: string): void {
  if (!globalOptions(command).json) process.stderr.write(`${line}\n`);
}

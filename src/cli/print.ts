import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { HttpClient } from '../client/http-client.js';
import { connect, globalOptions } from './connect.js';
import { printable } from './format.js';

/** The result of a command. */
export interface Output {
  /** Printed with --json. */
  readonly document: object;
  /** Printed without it. */
  readonly lines: readonly string[];
}

export function print(command: CommandUnknownOpts, { document, lines }: Output): void {
  const text = globalOptions(command).json ? JSON.stringify(document) : lines.map(printable).join('\n');
  if (text) process.stdout.write(`${text}\n`);
}

/** Prints progress or advice on stderr; nothing with --json. */
export function note(command: CommandUnknownOpts, line: string): void {
  if (!globalOptions(command).json) process.stderr.write(`${line}\n`);
}

/**
 * The action of a command that prints its result.
 * @param run gets a function that connects to the API, then the command's arguments, its options and the command.
 */
export const printing =
  <Args extends unknown[]>(run: (api: () => HttpClient, ...args: Args) => Promise<Output> | Output) =>
  async (...args: Args): Promise<void> => {
    const command = args.at(-1) as CommandUnknownOpts;
    print(command, await run(() => connect(command), ...args));
  };

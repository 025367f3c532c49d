import { CommanderError } from 'commander';
import { errorTable, ManagerError, type ErrorCode, type Problem } from '../contracts/errors.js';
import { printable } from './format.js';

interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly problems: readonly Problem[];
}

/** Prints the error on stderr, as one JSON document or as lines, and sets the exit code that errorTable has for it. */
export function reportError(error: unknown, json: boolean): void {
  const failure = failureOf(error);
  process.exitCode = errorTable[failure.code].exit;
  process.stderr.write(`${json ? JSON.stringify({ error: failure }) : linesOf(failure).join('\n')}\n`);
}

function failureOf(error: unknown): Failure {
  if (error instanceof ManagerError) return { code: error.code, message: error.message, problems: error.problems };
  if (error instanceof CommanderError) return { code: 'invalid_request', message: usageMessage(error), problems: [] };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'internal', message, problems: [] };
}

/** Commander's message without its prefix. For a missing subcommand commander has the help text instead of a message. */
function usageMessage({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'A command is missing; --help lists them';
  return `${message.replace(/^error: /, '')}${/[.?)]$/.test(message) ? '' : '; --help lists what is allowed'}`;
}

function linesOf({ code, message, problems }: Failure): string[] {
  const unmentioned = problems.filter((problem) => !message.includes(problem.message));
  // An internal error is a stack of several lines.
  const [first = '', ...rest] = code === 'internal' ? message.split('\n') : [`${message} [${code}]`];
  return [
    `cluster-manager: ${first}`,
    ...rest,
    ...unmentioned.map((problem) => `  ${problem.path}: ${problem.message}`),
  ].map(printable);
}

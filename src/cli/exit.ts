import { CommanderError } from 'commander';
import { errorTable, ManagerError, type ErrorCode, type Problem } from '../contracts/errors.js';
import { printable } from './output.js';

interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly problems: readonly Problem[];
}

/** Says what went wrong on stderr, as one JSON document or a line or two, and sets the exit code of errorTable. */
export function exitWith(error: unknown, json: boolean): void {
  const failure = failureOf(error);
  process.exitCode = errorTable[failure.code].exit;
  process.stderr.write(`${json ? JSON.stringify({ error: failure }) : linesOf(failure).join('\n')}\n`);
}

function failureOf(error: unknown): Failure {
  if (error instanceof ManagerError) return { code: error.code, message: error.message, problems: error.problems };
  if (error instanceof CommanderError) {
    return { code: 'invalid_request', message: usageMessage(error), problems: [] };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'internal', message, problems: [] };
}

/** Commander's own words without their prefix; where it had the help text to show instead, what is missing. */
function usageMessage({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'A command is missing; --help lists them';
  return `${message.replace(/^error: /, '')}${/[.?)]$/.test(message) ? '' : '; --help lists what is allowed'}`;
}

function linesOf({ code, message, problems }: Failure): string[] {
  const untold = problems.filter((problem) => !message.includes(problem.message));
  return [
    // The lines of a stack are its own.
    ...(code === 'internal' ? message.split('\n') : [`${message} [${code}]`]).map((line, index) =>
      printable(index === 0 ? `cluster-manager: ${line}` : line),
    ),
    ...untold.map(({ path, message: what }) => printable(`  ${path}: ${what}`)),
  ];
}

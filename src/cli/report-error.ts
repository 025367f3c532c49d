import { CommanderError } from '@commander-js/extra-typings';
import { errorTable, isErrorCode, ManagerError, type Problem } from '../contracts/errors.js';
import { printable } from './format.js';

type Failure = Pick<ManagerError, 'code' | 'message' | 'problems'>;

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

/** The error that a response describes. A code that this version does not know becomes `internal`. */
export const responseError = ({
  code,
  detail,
  problems = [],
}: {
  readonly code: string;
  readonly detail: string;
  readonly problems?: readonly Problem[] | undefined;
}): ManagerError => new ManagerError(isErrorCode(code) ? code : 'internal', detail, { problems });

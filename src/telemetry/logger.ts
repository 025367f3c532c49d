import { type DestinationStream, type Level, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { redactLine } from './redact.js';

export type { Logger };

/**
 * The logger of one process: JSON lines on stdout, readable lines where stdout is a terminal. Messages are constant
 * texts; facts go into fields: `logger.info({ clusterId, step }, 'step completed')`. Secrets are taken out of both.
 * @param name of the process, `server` or `worker`; in every line.
 * @param level the least that is written.
 * @param destination where lines go instead of stdout.
 */
export function createLogger(name: string, level: Level | 'silent' = 'info', destination?: DestinationStream): Logger {
  const options = {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: redactLine },
  };
  const stream = destination ?? (process.stdout.isTTY ? terminal() : undefined);
  return stream ? pino(options, stream) : pino(options);
}

const terminal = (): DestinationStream =>
  pretty({
    sync: true,
    ignore: 'pid,hostname',
    // A line end in a message, which may quote an agent, would let it write a line of its own.
    messageFormat: (log, key) => String(log[key] ?? '').replace(/\s*\n\s*/g, ' '),
  });

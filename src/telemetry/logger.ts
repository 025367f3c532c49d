import { type DestinationStream, type Level, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { redactLine } from './redact.js';

export type { Logger };

/**
 * The logger of one process: JSON lines on stdout, readable lines where stdout is a terminal. Messages are
 * constant; facts are fields: `logger.info({ clusterId, step }, 'step completed')`. Secrets are redacted in both.
 * @param name the process, `server` or `worker`, in every line.
 * @param level the lowest level that is written.
 * @param destination receives the lines instead of stdout.
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
    // A message may quote an agent: without this, a line end in it would forge a log line.
    messageFormat: (log, key) => String(log[key] ?? '').replace(/\s*\n\s*/g, ' '),
  });

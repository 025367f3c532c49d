import type { Log } from './report.js';

const logIntervalMs = 15_000;

/**
 * Shows how far a long task is: on a terminal one line that is rewritten every second, else a log line every 15 seconds.
 * @param describe the present progress, without the elapsed time.
 * @returns a function that stops it.
 */
export const showProgress = (log: Log, describe: () => string): (() => void) => {
  const startedMs = performance.now();
  const line = (): string => {
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} ${describe()}`;
  };
  if (!process.stderr.isTTY) {
    const timer = setInterval(() => log(line()), logIntervalMs);
    return () => clearInterval(timer);
  }
  const clearLine = '\r\u001b[2K';
  const timer = setInterval(() => process.stderr.write(`${clearLine}  ${line()}`), 1_000);
  return () => {
    clearInterval(timer);
    process.stderr.write(clearLine);
  };
};

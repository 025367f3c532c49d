import type { reporterFor } from './report.js';

/** A person gets a line this often while something long goes on. */
const intervalMs = 15_000;

/**
 * Tells at intervals how far a long task is.
 * @param describe the words for now, without the elapsed time.
 * @returns a function that ends it.
 */
export const showProgress = (say: ReturnType<typeof reporterFor>, describe: () => string): (() => void) => {
  const startedMs = performance.now();
  const elapsed = (): string => {
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  };
  // On a terminal one line is rewritten every second; a log gets a whole line now and then.
  const rewrites = process.stderr.isTTY === true;
  const timer = setInterval(
    () =>
      rewrites ? process.stderr.write(`\r\u001b[2K  ${elapsed()} ${describe()}`) : say(`${elapsed()} ${describe()}`),
    rewrites ? 1_000 : intervalMs,
  );
  return () => {
    clearInterval(timer);
    if (rewrites) process.stderr.write('\r\u001b[2K');
  };
};

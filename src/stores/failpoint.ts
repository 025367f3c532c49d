import { readFileSync, writeFileSync } from 'node:fs';

const signals = ['SIGKILL', 'SIGSTOP'] as const;

/**
 * A place where a fault test may stop this process. `CLUSTER_MANAGER_FAILPOINTS` names a file with one armed point a line:
 * `defineCluster:before-commit` kills the process there, `defineCluster:before SIGSTOP` suspends it. A point fires once, in
 * the first process that reaches it, whose pid is then in `<file>.<point>.fired`. Without the variable, as in production, a
 * call is one comparison.
 */
export function failpoint(name: string): void {
  const file = process.env['CLUSTER_MANAGER_FAILPOINTS'];
  if (!file) return;
  const armed = linesOf(file).find((line) => line.split(' ')[0] === name);
  if (armed === undefined || !isFirst(`${file}.${name}.fired`)) return;
  process.kill(process.pid, signals.find((signal) => armed.endsWith(` ${signal}`)) ?? 'SIGKILL');
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** Exclusive creation decides between processes that reach the point at the same time. */
function isFirst(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

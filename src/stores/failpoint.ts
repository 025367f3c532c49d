import { appendFileSync, readFileSync } from 'node:fs';

/**
 * A place where a fault test may stop this process. `CLUSTER_MANAGER_FAILPOINTS` names a file that lists armed points,
 * one a line (`defineCluster:before-commit`); a point fires once, by SIGKILL to this very process, and is then
 * written to `<file>.fired`. Unset, as in production, a call is one comparison and does nothing.
 */
export function failpoint(name: string): void {
  const file = process.env['CLUSTER_MANAGER_FAILPOINTS'];
  if (!file) return;
  if (!linesOf(file).includes(name) || linesOf(`${file}.fired`).includes(name)) return;
  appendFileSync(`${file}.fired`, `${name}\n`);
  process.kill(process.pid, 'SIGKILL');
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

import { readFileSync } from 'node:fs';
import { absolute, type Figure } from '../figure.js';
import { withStack } from '../stack.js';

/** Resident memory of a process in MB, or undefined where /proc is not there. */
function residentMb(pid: number): number | undefined {
  try {
    const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kb === undefined ? undefined : Number(kb) / 1024;
  } catch {
    return undefined;
  }
}

/** (e) from nothing running to everything ready, on an empty state folder, with all binaries there; memory after it. */
export async function startUp(_quick: boolean): Promise<Figure[]> {
  const at = performance.now();
  return withStack({ services: 'all' }, async (stack) => {
    const seconds = (performance.now() - at) / 1000;
    return [
      absolute('start.ready', seconds, 's', { text: '<= 15 s', isMet: (value) => value <= 15 }),
      ...stack.processes().flatMap(({ name, pid }) => {
        const mb = residentMb(pid);
        return mb === undefined ? [] : [absolute(`start.memory.${name}`, mb, 'MB')];
      }),
    ];
  });
}

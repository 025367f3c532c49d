import { absolute, type Figure } from '../figure.js';
import { residentMb } from '../memory.js';
import { withStack } from '../stack.js';

/** (e) The time from no process to all ready, on an empty state folder with installed binaries, and the memory then. */
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

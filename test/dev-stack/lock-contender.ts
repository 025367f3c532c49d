// One of several that want the same state folder at the same moment; holds it until its input is closed.
import { existsSync } from 'node:fs';
import { lockStateFolder } from '../../src/dev-stack/state/owner-lock.js';

const [stateDir = '', starter = ''] = process.argv.slice(2);
process.stdout.write('waiting\n');
// Spins on purpose: a timer would spread the contenders over milliseconds.
while (!existsSync(starter));
try {
  lockStateFolder(stateDir);
  process.stdout.write('owner\n');
} catch (error) {
  process.stdout.write(`${error instanceof Error && error.message.includes('in use') ? 'busy' : String(error)}\n`);
}
process.stdin.resume();

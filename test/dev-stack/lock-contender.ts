// One of several processes that lock the same state folder at the same moment; holds the lock until its input is closed.
import { existsSync } from 'node:fs';
import { lockStateFolder } from '../../src/dev-stack/state/state-folder.js';

const [stateDir = '', starter = ''] = process.argv.slice(2);
process.stdout.write('waiting\n');
// A busy loop on purpose: with a timer the processes would start milliseconds apart.
while (!existsSync(starter));
try {
  lockStateFolder(stateDir);
  process.stdout.write('owner\n');
} catch (error) {
  process.stdout.write(`${error instanceof Error && error.message.includes('in use') ? 'busy' : String(error)}\n`);
}
process.stdin.resume();

// A manager of its own, for tests that end it: starts a stack, says so on one line, and waits for its end.
import { startStack } from '../../src/dev-stack/stack.js';

const [stateDir = '', ending] = process.argv.slice(2);
const stack = await startStack({ stateDir, ports: 'free', services: 'data', durable: false });
process.stdout.write(`${JSON.stringify(stack.processes().map(({ pid }) => pid))}\n`);
if (ending === 'exit') process.exit(0);
if (ending === 'throw') throw new Error('a fault that nobody catches');

// A manager in its own process, for tests that end it: starts a stack, prints the pids on one line and runs until it is ended.
import { startStack } from '../../src/dev-stack/stack.js';

const [stateDir = '', ending] = process.argv.slice(2);
const stack = await startStack({ stateDir, ports: 'free', services: 'data', durable: false });
process.stdout.write(`${JSON.stringify(stack.processes().map(({ pid }) => pid))}\n`);
if (ending === 'exit') process.exit(0);
if (ending === 'throw') throw new Error('an error that is not caught');

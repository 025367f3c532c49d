import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { workerOptions } from '../../src/worker-options.js';

/** Runs as a separate process, like the product's worker. Arguments: address, namespace, task queue. */
const [address = '', namespace = '', taskQueue = ''] = process.argv.slice(2);
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: ['SIGTERM', 'SIGINT'] });
const connection = await NativeConnection.connect({ address });
const workflowsPath = fileURLToPath(new URL('./bare-workflows.ts', import.meta.url));
const nothing = (): Promise<void> => Promise.resolve();
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue,
  workflowsPath,
  bundlerOptions: { preloadModules: [workflowsPath] },
  activities: { first: nothing, second: nothing, third: nothing, fourth: nothing },
  ...workerOptions,
});
process.stdout.write('ready\n');
await worker.run();
await connection.close();

import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';

/**
 * Sends the logs of Temporal's native library and of workers in this process to the console: vitest shows what a test
 * printed there only when the test fails, so expected warnings do not fill the output.
 */
Runtime.install({
  logger: new DefaultLogger('WARN', ({ level, message, meta }) => console.warn(level, message, meta ?? '')),
  telemetryOptions: { logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN' }) } },
});

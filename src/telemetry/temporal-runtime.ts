import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Logger } from './logger.js';

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
const severities = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const;

/**
 * Writes Temporal's logs to our logger and, with a port, serves its metrics at `http://127.0.0.1:<port>/metrics`. Call it
 * before any connection to Temporal; a second call in a process returns the first runtime.
 */
export function installTemporalRuntime(logger: Logger, metricsPort?: number): Runtime {
  if (Runtime._instance) return Runtime._instance;
  // Temporal logs at DEBUG for each task of each workflow and activity; entries below our level are not even created.
  const lowest = severities.find((severity) => logger.isLevelEnabled(levels[severity])) ?? 'ERROR';
  return Runtime.install({
    logger: new DefaultLogger(lowest, ({ level, message, meta }) => logger[levels[level]]({ ...meta }, message)),
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'WARN' }) },
      ...(metricsPort !== undefined && {
        metrics: {
          prometheus: {
            bindAddress: `127.0.0.1:${metricsPort}`,
            useSecondsForDurations: true,
            countersTotalSuffix: true,
          },
        },
      }),
    },
    shutdownSignals: ['SIGINT', 'SIGTERM'],
  });
}

import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Logger } from './logger.js';

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;
const severities = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const;

/**
 * Puts Temporal's logs into ours and, with a port, its metrics on `http://127.0.0.1:<port>/metrics`. Once a process and
 * before any connection to Temporal; a second call returns the runtime that is there.
 */
export function installTemporalRuntime(logger: Logger, options: { readonly metricsPort?: number } = {}): Runtime {
  if (Runtime._instance) return Runtime._instance;
  // Temporal says something at DEBUG at each turn of each workflow and activity: what is not wanted is not even made.
  const least = severities.find((severity) => logger.isLevelEnabled(levels[severity])) ?? 'ERROR';
  return Runtime.install({
    logger: new DefaultLogger(least, ({ level, message, meta }) => logger[levels[level]]({ ...meta }, message)),
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'WARN' }) },
      ...(options.metricsPort !== undefined && {
        metrics: {
          prometheus: {
            bindAddress: `127.0.0.1:${options.metricsPort}`,
            useSecondsForDurations: true,
            countersTotalSuffix: true,
          },
        },
      }),
    },
    shutdownSignals: ['SIGINT', 'SIGTERM'],
  });
}

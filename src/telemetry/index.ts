// temporal-runtime.ts is imported by its own path: it loads Temporal's native worker, which the server does without.
export { createLogger, type Logger } from './logger.js';
export { createMetrics, type Metrics } from './metrics.js';

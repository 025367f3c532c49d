// temporal-runtime.ts is imported by its own path: it loads Temporal's native worker library, which the server must not load.
export { createLogger, type Logger } from './logger.js';
export { createMetrics, type Metrics } from './metrics.js';

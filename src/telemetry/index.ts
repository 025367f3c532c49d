export { createLogger, type Logger } from './logger.js';
export { createMetrics, type Metrics } from './metrics.js';
export { installTemporalRuntime } from './temporal-runtime.js';

export type { DatabaseUrls } from './databases.js';
export {
  type Environment,
  environmentVariables,
  type LogLevel,
  type RawEnvironment,
  readEnvironment,
} from './environment.js';
export { type Interval, loadConfig, type ManagerConfig } from './load.js';

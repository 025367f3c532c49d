export type { DatabaseUrls } from './databases.js';
export { environmentVariables, readEnvironment } from './environment.js';
export { loadConfig, type ManagerConfig } from './load.js';

export type { DatabaseUrls } from './databases.js';
export { environmentVariables, readEnvironment } from './environment.js';
export { loadConfig, type CommunicationSettings, type ManagerConfig } from './load.js';

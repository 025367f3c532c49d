export { environmentVariables, readEnvironment } from './environment.js';
export { loadConfig, type CommunicationSettings, type ManagerConfig, type ScalingSettings } from './load.js';

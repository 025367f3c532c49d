export { loadConfig, type CommunicationSettings, type ManagerConfig } from './load.js';

export { loadConfig, type CommunicationSettings, type ManagerConfig, type ScalingSettings } from './load.js';

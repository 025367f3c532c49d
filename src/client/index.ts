export { connectClusterManager, createClusterManagerClient } from './client.js';
export type { ClientOptions, ClusterManagerClient, Started } from './client.js';
export type { Interval } from './schedules.js';

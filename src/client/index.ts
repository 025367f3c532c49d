export { connectClusterManager, createClusterManagerClient } from './client.js';
export type { ClientOptions, ClusterManagerClient } from './client.js';
export type { Started } from './start-workflows.js';
export { createHttpClient } from './http-client.js';
export type { HttpClient, HttpClientOptions } from './http-client.js';
export type { Interval } from './schedules.js';

import { agentsAndClusters } from './0001-agents-and-clusters.js';

/** In order, forward only, never edited after a release. */
export const clustersMigrations = {
  '0001-agents-and-clusters': agentsAndClusters,
};

import { agentsAndClusters } from './0001-agents-and-clusters.js';
import { fewerQuestions } from './0002-fewer-questions.js';
import { scaling } from './0003-scaling.js';

/** In order, forward only, never edited after a release. */
export const clustersMigrations = {
  '0001-agents-and-clusters': agentsAndClusters,
  '0002-fewer-questions': fewerQuestions,
  '0003-scaling': scaling,
};

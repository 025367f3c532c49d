import { stabilityScore } from '../../domain/stability/score.js';
import type { ClusterRow } from '../../stores/clusters/index.js';
import { saveScores } from '../../stores/resources/index.js';
import type { ActivityDeps } from '../deps.js';
import { readStability } from './read-facts.js';

/** Computes and stores the current stability score of a cluster. @returns null when it is unknown. */
export async function takeScore(deps: ActivityDeps, cluster: ClusterRow): Promise<number | null> {
  const atMs = Date.now();
  const { stability } = await readStability(deps, [cluster]);
  const score = stabilityScore(stability(cluster));
  await saveScores(deps.resources, [{ clusterId: cluster.id, atMs, ...score, parts: { ...score.parts } }]);
  return score.score;
}

import type { Figure } from '../figure.js';
import { heartbeats } from './heartbeats.js';
import { identify } from './identify.js';
import { startUp } from './start-up.js';
import { throughput } from './throughput.js';

/** The bench of formation; docs/benches.md explains its figures. */
export async function formation(quick: boolean): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const part of [startUp, identify, heartbeats, throughput]) figures.push(...(await part(quick)));
  return figures;
}

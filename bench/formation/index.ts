import type { Figure } from '../figure.js';
import { throughput } from './throughput.js';

/** Formation against its limits; see docs/benches.md. */
export async function formation(quick: boolean): Promise<Figure[]> {
  const parts = [throughput];
  const figures: Figure[] = [];
  for (const part of parts) figures.push(...(await part(quick)));
  return figures;
}

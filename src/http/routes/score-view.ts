import type { ScoreView } from '../../contracts/decisions.js';
import type { ScoreRow } from '../../stores/resources/index.js';

export const scoreViewOf = ({ atMs, score, parts, caps, assumed, unknown }: ScoreRow): ScoreView => ({
  at: new Date(atMs).toISOString(),
  score,
  parts: { ...parts },
  caps: [...caps],
  assumed: [...assumed],
  unknown,
});

import type { Command } from 'commander';
import type { ScoreView } from '../../contracts/decisions.js';
import { apiAction } from '../api-action.js';
import { ago } from '../format.js';
import { wholeNumber } from '../option-parsers.js';
import { table } from '../table.js';

export function define(command: Command): void {
  command
    .argument('<cluster>', "the cluster's id")
    .option('--count <count>', 'the number of latest scores', wholeNumber(1, 1000), 10)
    .action(show);
}

const formula =
  'score = 0.30 available + 0.25 membership + 0.20 latency + 0.15 delivery + 0.10 balance, at most its bounds';

const show = apiAction(async (api, cluster: string, { count }: { readonly count: number }) => {
  const document = await api.scores(cluster, count);
  const { clusterId, scores } = document;
  const part = (name: string) => (one: ScoreView) => scoreText(one.parts[name] ?? null);
  const lines = [
    ...table(scores, {
      TAKEN: ({ at }) => ago(at),
      SCORE: ({ score }) => scoreText(score),
      AVAILABLE: part('a'),
      MEMBERSHIP: part('m'),
      LATENCY: part('l'),
      DELIVERY: part('d'),
      BALANCE: part('b'),
      REMARK: remark,
    }),
    '',
    formula,
  ];
  return { document, lines: scores.length === 0 ? [`No score of ${clusterId} yet: it is unknown.`] : lines };
});

const scoreText = (value: number | null): string => (value === null ? 'unknown' : value.toFixed(3));

const remark = ({ unknown, caps, assumed }: ScoreView): string =>
  [
    unknown ?? '',
    caps.length > 0 ? `bounded: ${caps.join(', ')}` : '',
    assumed.length > 0 && unknown === null ? `assumed perfect: ${assumed.join(', ')}` : '',
  ]
    .filter((text) => text !== '')
    .join('; ');

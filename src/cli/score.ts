import type { Command } from 'commander';
import type { ScoreView } from '../contracts/decisions.js';
import { wholeNumber } from './arguments.js';
import { connect } from './connection.js';
import { ago, show, table } from './output.js';

export function define(command: Command): void {
  command
    .argument('<cluster>', "the cluster's id")
    .option('--count <count>', 'how many of the last scores', wholeNumber(1, 1000), 10)
    .action(showScores);
}

const headings = ['TAKEN', 'SCORE', 'AVAILABLE', 'MEMBERSHIP', 'LATENCY', 'DELIVERY', 'BALANCE', 'REMARK'];

async function showScores(cluster: string, { count }: { readonly count: number }, command: Command): Promise<void> {
  const { clusterId, scores } = await connect(command).scores(cluster, count);
  const rows = scores.map((one) => [
    ago(one.at),
    number(one.score),
    ...['a', 'm', 'l', 'd', 'b'].map((part) => number(one.parts[part] ?? null)),
    remarkOf(one),
  ]);
  const lines = rows.length === 0 ? [`No score of ${clusterId} was taken yet: it is unknown.`] : table(headings, rows);
  const sum = [
    '',
    'score = 0.30 available + 0.25 membership + 0.20 latency + 0.15 delivery + 0.10 balance, then bounds',
  ];
  show(command, { clusterId, scores }, rows.length === 0 ? lines : [...lines, ...sum]);
}

const number = (value: number | null): string => (value === null ? 'unknown' : value.toFixed(3));

const remarkOf = ({ unknown, caps, assumed }: ScoreView): string =>
  [
    unknown ?? '',
    caps.length > 0 ? `bounded: ${caps.join(', ')}` : '',
    assumed.length > 0 && unknown === null ? `assumed perfect: ${assumed.join(', ')}` : '',
  ]
    .filter((text) => text !== '')
    .join('; ');

import type { Stack } from '../../src/dev-stack/stack.js';
import { absolute, compared, quantile, type Figure } from '../figure.js';
import { openBossQueue } from './boss-queue.js';
import { openOurQueue } from './our-queue.js';
import { openPlainQueue } from './plain-queue.js';
import { batchSize, endToEnd, type Queue } from './queue.js';

/** One round of a load over the three, in turns, so that all meet the same noise. Messages a second. */
interface Round {
  readonly plain: number;
  readonly boss: number;
  readonly ours: number;
}

/**
 * (a) plain SQL, the limit; (b) pg-boss; (c) ours through HTTP: from the first send to the last ack, in batches and one
 * by one.
 */
export async function throughput(
  stack: Stack,
  urls: { readonly plain: string; readonly boss: string },
  quick: boolean,
): Promise<Figure[]> {
  const plain = await openPlainQueue(urls.plain);
  const boss = await openBossQueue(urls.boss);
  const ours = openOurQueue(stack.urls.api ?? '');
  const rounds = async (count: number, of: (queue: Queue, atOnce: number) => Promise<number>) => {
    const done: Round[] = [];
    for (let round = 0; round <= count; round += 1) {
      const rates = {
        plain: await of(plain.queue, 16),
        boss: await of(boss.queue, 16),
        ours: await of(ours.queue, 64),
      };
      // The first round fills caches and compiles: it does not count.
      if (round > 0) done.push(rates);
    }
    return done;
  };
  const messages = quick ? 10_000 : 40_000;
  const batches = await rounds(quick ? 3 : 5, (queue) => endToEnd(queue, { messages, perCall: batchSize, atOnce: 4 }));
  const singles = await rounds(quick ? 3 : 5, (queue, atOnce) =>
    endToEnd(queue, { messages: messages / 5, perCall: 1, atOnce }),
  );
  ours.close();
  await Promise.all([plain.close(), boss.close()]);
  return [...figuresOf('communication.batches', batches, 0.5), ...figuresOf('communication.singles', singles, 0.4)];
}

function figuresOf(name: string, rounds: readonly Round[], aim: number): Figure[] {
  const median = (of: (round: Round) => number) => quantile(rounds.map(of), 0.5);
  const ours = median((round) => round.ours);
  const against = (peer: 'plain' | 'boss', label: string, least: number): Figure =>
    compared(
      name,
      ours,
      'messages/s',
      { against: label, reference: median((round) => round[peer]), ratio: median((round) => round.ours / round[peer]) },
      { text: `>= ${least}`, isMet: (ratio) => ratio >= least },
    );
  return [
    against('plain', 'plain pg', aim),
    against('boss', 'pg-boss', 1),
    absolute(
      `${name}.spread`,
      (Math.max(...rounds.map((round) => round.plain)) / Math.min(...rounds.map((round) => round.plain)) - 1) * 100,
      '% between the rounds of plain pg',
    ),
  ];
}

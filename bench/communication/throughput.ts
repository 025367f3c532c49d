import type { Stack } from '../../src/dev-stack/stack.js';
import { absolute, compared, quantile, type Figure } from '../figure.js';
import { openPgBossQueue } from './pg-boss-queue.js';
import { openProductQueue } from './product-queue.js';
import { openPlainQueue } from './plain-queue.js';
import { batchSize, endToEnd, type Queue } from './queue.js';

/** Messages per second of the three queues in one round. They alternate, so that all meet the same noise. */
interface Round {
  readonly plain: number;
  readonly boss: number;
  readonly product: number;
}

/**
 * (a) Plain SQL, the limit; (b) pg-boss; (c) the product over HTTP: from the first send to the last ack, in batches and
 * one by one.
 */
export async function throughput(
  stack: Stack,
  urls: { readonly plain: string; readonly boss: string },
  quick: boolean,
): Promise<Figure[]> {
  const plain = await openPlainQueue(urls.plain);
  const boss = await openPgBossQueue(urls.boss);
  const product = openProductQueue(stack.urls.api ?? '');
  const rounds = async (count: number, of: (queue: Queue, concurrency: number) => Promise<number>) => {
    const done: Round[] = [];
    for (let round = 0; round <= count; round += 1) {
      const rates = {
        plain: await of(plain.queue, 16),
        boss: await of(boss.queue, 16),
        product: await of(product.queue, 64),
      };
      // The first round warms caches and the JIT compiler; it is not counted.
      if (round > 0) done.push(rates);
    }
    return done;
  };
  const messages = quick ? 10_000 : 40_000;
  const batches = await rounds(quick ? 3 : 5, (queue) =>
    endToEnd(queue, { messages, perCall: batchSize, concurrency: 4 }),
  );
  const singles = await rounds(quick ? 3 : 5, (queue, concurrency) =>
    endToEnd(queue, { messages: messages / 5, perCall: 1, concurrency }),
  );
  product.close();
  await Promise.all([plain.close(), boss.close()]);
  return [...figuresOf('communication.batches', batches, 0.5), ...figuresOf('communication.singles', singles, 0.4)];
}

function figuresOf(name: string, rounds: readonly Round[], aim: number): Figure[] {
  const median = (of: (round: Round) => number) => quantile(rounds.map(of), 0.5);
  const product = median((round) => round.product);
  const against = (peer: 'plain' | 'boss', label: string, least: number): Figure =>
    compared(
      name,
      product,
      'messages/s',
      {
        against: label,
        reference: median((round) => round[peer]),
        ratio: median((round) => round.product / round[peer]),
      },
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

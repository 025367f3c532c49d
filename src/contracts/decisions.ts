import { z } from 'zod';
import { scalingRequest } from './scaling.js';

/** The body of POST /v1/clusters/{id}/scale: a scaling request whose cluster the path names. */
export const scaleCluster = scalingRequest.omit({ clusterId: true });
export type ScaleCluster = z.input<typeof scaleCluster>;

/** A stored decision about a cluster's size, as lists have it. */
export const decisionSummary = z.object({
  id: z.string(),
  clusterId: z.string(),
  operationId: z.string().nullable(),
  round: z.int(),
  at: z.iso.datetime(),
  /** The decision as a sentence that can be checked by hand. */
  sentence: z.string(),
  /** What became of it; null while that is open. */
  outcome: z.string().nullable(),
});
export type DecisionSummary = z.infer<typeof decisionSummary>;

/** With everything it followed from: `decision` has usage, formula, clamps and vetoes, `facts` what they were read from. */
export const decisionView = decisionSummary.extend({
  decision: z.unknown(),
  facts: z.unknown(),
  outcomeDetail: z.unknown(),
});
export type DecisionView = z.infer<typeof decisionView>;

const term = z.looseObject({ exact: z.number(), members: z.number() });
const formula = z.looseObject({
  usage: term.extend({ ratio: z.number() }).nullable(),
  work: term.extend({ slots: z.number() }).nullable(),
  unmet: z.number(),
  desired: z.number(),
});

/** What a reader may rely on in `decision`; a newer manager may say more. */
export const decisionNumbers = z.looseObject({
  direction: z.string(),
  from: z.number(),
  desired: z.number(),
  wished: z.number(),
  because: z.string(),
  victims: z.array(z.string()),
  usage: z.looseObject({
    resources: z.array(
      z.looseObject({
        resource: z.string(),
        capacity: z.number(),
        out: z.number(),
        outBefore: z.number(),
        in: z.number(),
        silent: z.number(),
      }),
    ),
    unmeasured: z.array(z.string()),
    stale: z.array(z.string()),
  }),
  formula: z.looseObject({ out: formula, in: formula }),
  size: z.looseObject({ min: z.number(), max: z.number() }),
  clamps: z.array(z.looseObject({ by: z.string(), from: z.number(), to: z.number() })),
  vetoes: z.array(z.looseObject({ by: z.string() })),
});
export type DecisionNumbers = z.infer<typeof decisionNumbers>;

/** A stability score with what it is made of. */
export const scoreView = z.object({
  at: z.iso.datetime(),
  /** 0 to 1; null when it is not known, and then `unknown` says why. */
  score: z.number().nullable(),
  /** Availability, membership, latency, delivery, balance: `a`, `m`, `l`, `d`, `b`. */
  parts: z.record(z.string(), z.number().nullable()),
  /** What bounds the score from above: `below_minimum`, `no_quorum`, `none_ready`. */
  caps: z.array(z.string()),
  /** Parts that count as perfect because too little happened to measure them. */
  assumed: z.array(z.string()),
  unknown: z.string().nullable(),
});
export type ScoreView = z.infer<typeof scoreView>;

/** The last stored scores of a cluster, oldest first. */
export const clusterScores = z.object({ clusterId: z.string(), scores: z.array(scoreView) });

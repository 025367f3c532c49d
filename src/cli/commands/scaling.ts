import type { Command } from '@commander-js/extra-typings';
import type { HttpClient } from '../../client/http-client.js';
import { decisionNumbers, type DecisionNumbers, type DecisionView, type ScoreView } from '../../contracts/decisions.js';
import { defined } from '../../contracts/defined.js';
import { ManagerError } from '../../contracts/errors.js';
import type { OperationView } from '../../contracts/operations.js';
import { scalingResult } from '../../contracts/scaling.js';
import { ago } from '../format.js';
import { acceptedOrCompleted } from '../operation-output.js';
import { wholeNumber } from '../option-parsers.js';
import { printing } from '../print.js';
import { facts, table } from '../table.js';

const scale = (command: Command): unknown =>
  command
    .argument('<cluster>', "the cluster's id")
    .option('--desired <count>', 'the number of members; without it the formula decides', wholeNumber(1, 1000))
    .option('--reason <text>', 'stored with the decision')
    .option('--soak <seconds>', 'how long the cluster is observed after the change; 0: not', wholeNumber(0, 3600))
    .option('--drain <seconds>', 'the time that departing members have to finish deliveries', wholeNumber(0, 3600))
    .option('--grant <seconds>', 'how long to wait for the orchestrator to add agents', wholeNumber(0, 604_800))
    .option('--request-id <id>', 'the same id again returns the same operation')
    .option('--wait [seconds]', 'wait for the end, at most this long (default 600)', wholeNumber(1, 604_800))
    .addHelpText(
      'after',
      '\nExample:\n  cluster-manager scale cl_translators --desired 5 --reason "Monday" --soak 0 --wait',
    )
    .action(
      printing(async (connect, id, { wait, soak, drain, grant, ...options }) => {
        const body = { ...options, soakSeconds: soak, drainSeconds: drain, grantSeconds: grant };
        const api = connect();
        const { operation } = await api.scaleCluster({ params: { id }, body: defined(body) });
        return acceptedOrCompleted(api, operation, { wait, lines: scaledLines });
      }),
    );

function scaledLines({ id, result }: OperationView): string[] {
  const scaled = scalingResult.safeParse(result);
  if (!scaled.success) return [`Operation ${id} is completed.`];
  const { clusterId, decisionId, outcome, from, size, joined, left, explanation, verdict } = scaled.data;
  return [
    `${clusterId}: ${outcome}, from ${from} to ${size} members`,
    ...(joined.length > 0 ? [`Joined: ${joined.join(' ')}`] : []),
    ...(left.length > 0 ? [`Left: ${left.join(' ')}`] : []),
    explanation,
    `Verdict: ${verdict}`,
    `Explanation: cluster-manager explain ${decisionId}`,
  ];
}

const explain = (command: Command): unknown =>
  command
    .argument('<id>', 'a decision (dec_…), or a cluster for its latest decision')
    .addHelpText('after', '\nExample:\n  cluster-manager explain cl_translators')
    .action(
      printing(async (connect, id) => {
        const api = connect();
        const document = await api.getDecision({
          params: { id: id.startsWith('cl_') ? await latestDecision(api, id) : id },
        });
        return { document, lines: decisionLines(document.decision) };
      }),
    );

async function latestDecision(api: HttpClient, clusterId: string): Promise<string> {
  const [latest] = (await api.listDecisions({ params: { id: clusterId }, query: { limit: 1 } })).decisions;
  if (latest) return latest.id;
  throw new ManagerError(
    'not_found',
    `Cluster "${clusterId}" has no decision yet; "cluster-manager scale ${clusterId}" makes one`,
  );
}

function decisionLines(decision: DecisionView): string[] {
  const { data: numbers } = decisionNumbers.safeParse(decision.decision);
  return [
    decision.sentence,
    '',
    ...facts({
      decision: decision.id,
      cluster: decision.clusterId,
      operation: decision.operationId,
      decided: decision.at,
      outcome: outcomeText(decision),
      ...(numbers && sizeFacts(numbers)),
    }),
    ...(numbers ? [...usageLines(numbers), '', ...limitLines(numbers)] : []),
  ];
}

function outcomeText({ outcome, outcomeDetail }: DecisionView): string {
  if (outcome === null) return 'open';
  const detail = outcomeDetail as { readonly verdict?: unknown } | null;
  return typeof detail?.verdict === 'string' ? `${outcome}: ${detail.verdict}` : outcome;
}

const sizeFacts = ({ from, desired, wished, because, size, victims, formula }: DecisionNumbers) => ({
  members: `${from} now, ${desired} desired; ${wished} before limits, because of ${because}; bounds ${size.min}..${size.max}`,
  leaving: victims.join(' '),
  'to grow': formulaText(formula.out, from),
  'to shrink': formulaText(formula.in, from),
});

function formulaText({ usage, work, unmet, desired }: DecisionNumbers['formula']['out'], from: number): string {
  const terms = [
    ...(usage ? [`usage ${usage.ratio} of ${from} needs ${usage.exact}, so ${usage.members}`] : []),
    ...(work ? [`${work.slots} slots of work need ${work.exact}, so ${work.members}`] : []),
    ...(unmet > from ? [`unmet capacity: ${unmet}`] : []),
  ];
  return terms.length === 0 ? `nothing is measured: ${desired}` : `max(${terms.join('; ')}) = ${desired}`;
}

function usageLines({ usage: { resources, unmeasured, stale } }: DecisionNumbers): string[] {
  return [
    ...(resources.length === 0 ? [] : ['']),
    ...table(resources, {
      RESOURCE: ({ resource }) => resource,
      CAPACITY: ({ capacity }) => capacity,
      'USED, TO GROW': ({ out }) => out,
      'PREVIOUS SAMPLE': ({ outBefore }) => outBefore,
      'USED, TO SHRINK': (reading) => reading.in,
      'MEMBERS WITHOUT REPORT': ({ silent }) => silent || null,
    }),
    ...(unmeasured.length === 0 ? [] : [`Offered, but not measured: ${unmeasured.join(', ')}`]),
    ...(stale.length === 0 ? [] : [`With a reading that is too old: ${stale.join(', ')}`]),
  ];
}

function limitLines({ clamps, vetoes }: DecisionNumbers): string[] {
  const lines = [
    ...clamps.map(({ by, from, to }) => `clamped by ${by}: ${from} to ${to}`),
    ...vetoes.map(({ by, ...detail }) =>
      `vetoed by ${by} ${Object.keys(detail).length === 0 ? '' : JSON.stringify(detail)}`.trimEnd(),
    ),
  ];
  return lines.length === 0 ? ['No clamps, no vetoes.'] : lines;
}

const formula =
  'score = 0.30 available + 0.25 membership + 0.20 latency + 0.15 delivery + 0.10 balance, at most its bounds';

const score = (command: Command): unknown =>
  command
    .argument('<cluster>', "the cluster's id")
    .option('--count <count>', 'the number of latest scores', wholeNumber(1, 1000), 10)
    .action(
      printing(async (api, id, query) => {
        const document = await api().getScore({ params: { id }, query });
        const { clusterId, scores } = document;
        const lines = [...scoreTable(scores), '', formula];
        return { document, lines: scores.length === 0 ? [`No score of ${clusterId} yet: it is unknown.`] : lines };
      }),
    );

function scoreTable(scores: readonly ScoreView[]): string[] {
  const part = (name: string) => (one: ScoreView) => scoreText(one.parts[name] ?? null);
  return table(scores, {
    TAKEN: ({ at }) => ago(at),
    SCORE: (one) => scoreText(one.score),
    AVAILABLE: part('a'),
    MEMBERSHIP: part('m'),
    LATENCY: part('l'),
    DELIVERY: part('d'),
    BALANCE: part('b'),
    REMARK: remark,
  });
}

const scoreText = (value: number | null): string => (value === null ? 'unknown' : value.toFixed(3));

const remark = ({ unknown, caps, assumed }: ScoreView): string =>
  [
    unknown ?? '',
    caps.length > 0 ? `bounded: ${caps.join(', ')}` : '',
    assumed.length > 0 && unknown === null ? `assumed perfect: ${assumed.join(', ')}` : '',
  ]
    .filter((text) => text !== '')
    .join('; ');

export const commands = { scale, explain, score };

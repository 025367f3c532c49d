import type { Command } from 'commander';
import type { HttpClient } from '../../client/http-client.js';
import { decisionNumbers, type DecisionNumbers, type DecisionView } from '../../contracts/decisions.js';
import { ManagerError } from '../../contracts/errors.js';
import { apiAction } from '../api-action.js';
import { facts, table } from '../table.js';

export function define(command: Command): void {
  command
    .argument('<id>', 'a decision (dec_…), or a cluster for its latest decision')
    .addHelpText('after', '\nExample:\n  cluster-manager explain cl_translators')
    .action(explain);
}

const explain = apiAction(async (api, id: string) => {
  const decision = await readDecision(api, id);
  const { data: numbers } = decisionNumbers.safeParse(decision.decision);
  const lines = [
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
  return { document: { decision }, lines };
});

async function readDecision(api: HttpClient, id: string): Promise<DecisionView> {
  if (!id.startsWith('cl_')) return api.decision(id);
  const [latest] = (await api.decisions(id, { limit: 1 })).decisions;
  if (latest) return api.decision(latest.id);
  throw new ManagerError('not_found', `Cluster "${id}" has no decision yet; "cluster-manager scale ${id}" makes one`);
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

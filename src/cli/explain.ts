import type { Command } from 'commander';
import type { HttpClient } from '../client/http-client.js';
import { decisionNumbers, type DecisionNumbers, type DecisionView } from '../contracts/decisions.js';
import { ManagerError } from '../contracts/errors.js';
import { connect } from './connection.js';
import { facts, show, table } from './output.js';

export function define(command: Command): void {
  command
    .argument('<id>', 'a decision (dec_…), or a cluster: then its last decision')
    .addHelpText('after', '\nExample:\n  cluster-manager explain cl_translators')
    .action(explain);
}

async function explain(id: string, _options: object, command: Command): Promise<void> {
  const decision = await find(connect(command), id);
  const numbers = decisionNumbers.safeParse(decision.decision);
  show(command, { decision: documentOf(decision) }, [
    decision.sentence,
    '',
    ...facts([
      ['decision', decision.id],
      ['cluster', decision.clusterId],
      ['operation', decision.operationId],
      ['decided', decision.at],
      ['outcome', outcomeOf(decision)],
      ...(numbers.success ? numbersOf(numbers.data) : []),
    ]),
    ...(numbers.success ? usageTable(numbers.data) : []),
    ...(numbers.success ? boundsOf(numbers.data) : []),
  ]);
}

/** Clusters begin with `cl_`, unless nothing else is found under the id. */
async function find(api: HttpClient, id: string): Promise<DecisionView> {
  if (!id.startsWith('cl_')) return api.decision(id);
  const [last] = (await api.decisions(id, { limit: 1 })).decisions;
  if (last) return api.decision(last.id);
  throw new ManagerError('not_found', `Nothing was decided about cluster "${id}" yet; "scale ${id}" decides now`);
}

function outcomeOf({ outcome, outcomeDetail }: DecisionView): string {
  if (outcome === null) return 'open';
  const detail = outcomeDetail as { readonly verdict?: unknown } | null;
  return typeof detail?.verdict === 'string' ? `${outcome}: ${detail.verdict}` : outcome;
}

const numbersOf = ({ from, desired, wished, because, size, victims, formula }: DecisionNumbers): [string, string][] => [
  ['members', `${from}, to be ${desired}; wished ${wished} because of ${because}; bounds ${size.min}..${size.max}`],
  ['leave', victims.join(' ')],
  ['to grow', formulaText(formula.out, from)],
  ['to shrink', formulaText(formula.in, from)],
];

const formulaText = (formula: DecisionNumbers['formula']['out'], from: number): string => {
  const { usage, work, unmet, desired } = formula;
  const terms = [
    ...(usage ? [`usage ${usage.ratio} of ${from} needs ${usage.exact}, so ${usage.members}`] : []),
    ...(work ? [`${work.slots} slots of work need ${work.exact}, so ${work.members}`] : []),
    ...(unmet > from ? [`waited for ${unmet}`] : []),
  ];
  return terms.length === 0 ? `nothing is measured: ${desired}` : `max(${terms.join('; ')}) = ${desired}`;
};

function usageTable({ usage: { resources, unmeasured, stale } }: DecisionNumbers): string[] {
  const rows = resources.map(({ resource, capacity, out, outBefore, in: shrinking, silent }) => [
    resource,
    String(capacity),
    String(out),
    String(outBefore),
    String(shrinking),
    silent === 0 ? '' : String(silent),
  ]);
  const headings = ['RESOURCE', 'CAPACITY', 'USED, TO GROW', 'A SAMPLE BEFORE', 'USED, TO SHRINK', 'SILENT MEMBERS'];
  return [
    ...(rows.length === 0 ? [] : ['', ...table(headings, rows)]),
    ...(unmeasured.length === 0 ? [] : [`Offered, but measured by nobody: ${unmeasured.join(', ')}`]),
    ...(stale.length === 0 ? [] : [`With a reading that is too old: ${stale.join(', ')}`]),
  ];
}

function boundsOf({ clamps, vetoes }: DecisionNumbers): string[] {
  const lines = [
    ...clamps.map(({ by, from, to }) => `clamped by ${by}: ${from} to ${to}`),
    ...vetoes.map(
      ({ by, ...rest }) => `vetoed by ${by}${Object.keys(rest).length === 0 ? '' : ` ${JSON.stringify(rest)}`}`,
    ),
  ];
  return lines.length === 0 ? ['', 'No clamps, no vetoes.'] : ['', ...lines];
}

const documentOf = (decision: DecisionView) => ({
  id: decision.id,
  clusterId: decision.clusterId,
  operationId: decision.operationId,
  round: decision.round,
  at: decision.at,
  sentence: decision.sentence,
  decision: decision.decision,
  facts: decision.facts,
  outcome: decision.outcome,
  outcomeDetail: decision.outcomeDetail,
});

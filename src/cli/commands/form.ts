import type { Command, CommandUnknownOpts } from '@commander-js/extra-typings';
import { defined } from '../../contracts/defined.js';
import { ManagerError } from '../../contracts/errors.js';
import { formationResult, type FormationRequest } from '../../contracts/formation.js';
import type { OperationView } from '../../contracts/operations.js';
import { durationBetween } from '../format.js';
import { parseJson, readText } from '../json-input.js';
import { acceptedOrCompleted } from '../operation-output.js';
import { collect, parseAmounts, parsePairs, parseRole, sizeRange, spreadRule, wholeNumber } from '../option-parsers.js';
import { note, printing } from '../print.js';
import { table } from '../table.js';

const formOptions = (command: Command) =>
  command
    .option('--name <name>', "the cluster's name")
    .option('--capability <name>', 'a capability that the members must cover together; may be repeated', collect)
    .option('--role <role>', 'name=capability, name=capability:2 or name=capability:1..3; may be repeated', collect)
    .option('--size <size>', 'the number of members: 4, 3..5 (3 now, at most 5) or 3..4..5 (4 now)', sizeRange)
    .option('--spread <rule>', 'host, host:hard, zone or zone:hard', spreadRule)
    .option('--resource <amount>', 'what each member must have free, such as slots=2; may be repeated', collect)
    .option('--label <label>', 'a label that each member must have, such as team=blue; may be repeated', collect)
    .option('--deadline <seconds>', 'cancel and compensate the formation after this time', wholeNumber(1, 3600))
    .option('--queue', 'queue the request while there are too few agents, instead of failing')
    .option('--file <file>', 'the request as JSON, "-" for stdin; other options override its fields')
    .option('--request-id <id>', 'the same id again returns the same operation, without a second cluster')
    .option('--wait [seconds]', 'wait for the end, at most this long (default 600)', wholeNumber(1, 86_400))
    .addHelpText(
      'after',
      '\nExample:\n  cluster-manager form --name translators --capability translate --size 3..5 --spread host:hard --wait',
    );

type Options = ReturnType<ReturnType<typeof formOptions>['opts']>;

const form = (command: Command): unknown =>
  formOptions(command).action(
    printing(async (connect, options, self) => {
      const request = parseRequest(options);
      const api = connect();
      const accepted = await api.request({ type: 'FORMATION', ...request });
      const { wait } = options;
      return acceptedOrCompleted(api, accepted, { wait, lines: formedLines, onChange: progressReporter(self) });
    }),
  );

export const commands = { form };

function parseRequest(options: Options): FormationRequest {
  const { file, name, capability, role, size, spread, resource, label, deadline, queue, requestId } = options;
  const request: Partial<FormationRequest> = {
    ...(file === undefined ? {} : readRequest(file)),
    ...defined({
      name,
      requiredCapabilities: capability,
      roles: role?.map(parseRole),
      size,
      spread,
      resources: resource && parseAmounts('--resource', resource),
      labels: label && parsePairs('--label', label),
      deadlineSeconds: deadline,
      onInsufficient: queue && ('queue' as const),
      requestId,
    }),
  };
  if (request.name !== undefined) return { ...request, name: request.name };
  throw new ManagerError('invalid_request', 'The cluster has no name; give one with --name, or a request with --file');
}

/** The file's fields, unchecked: the manager validates them and reports every problem. */
function readRequest(file: string): Partial<FormationRequest> {
  const parsed = parseJson(`--file ${file}`, readText('--file', file));
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new ManagerError(
      'invalid_request',
      `--file ${file} must hold one JSON object, such as {"name": "translators"}`,
    );
  }
  const { type: _type, ...request } = parsed as { type?: unknown };
  return request;
}

/** Prints each step that ends or is retried, once, on a terminal. */
function progressReporter(command: CommandUnknownOpts): (operation: OperationView) => void {
  const printed = new Set<string>();
  const printOnce = (line: string): void => {
    if (!printed.has(line)) note(command, line);
    printed.add(line);
  };
  return ({ state, steps }) => {
    if (!process.stderr.isTTY) return;
    for (const step of steps.filter((one) => one.state === 'completed' || one.state === 'retrying')) {
      printOnce(`  ${step.name} ${step.state}${step.error ? `: ${step.error}` : ''}`);
    }
    if (state === 'queued') printOnce('  queued: waiting for agents');
  };
}

function formedLines({ id, result, createdAt, endedAt, temporalUrl }: OperationView): string[] {
  const formed = formationResult.safeParse(result);
  if (!formed.success || endedAt === null) return [`Operation ${id} is completed.`];
  const { clusterId, epoch, coordinator, members } = formed.data;
  return [
    `Formed ${clusterId}: ${members.length} members, epoch ${epoch}, in ${durationBetween(createdAt, endedAt)}`,
    '',
    ...table(members, {
      AGENT: ({ agentId }) => agentId,
      ROLES: ({ roles }) => roles.join(' '),
      COORDINATOR: ({ agentId }) => (agentId === coordinator ? 'yes' : ''),
    }),
    ...(temporalUrl ? ['', `Temporal UI: ${temporalUrl}`] : []),
  ];
}

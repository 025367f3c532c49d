import type { Command } from 'commander';
import type { HttpClient } from '../client/http-client.js';
import { ManagerError } from '../contracts/errors.js';
import { formationResult, type FormationRequest } from '../contracts/formation.js';
import type { OperationView } from '../contracts/operations.js';
import { collect, numbers, pairs, roleOf, sizeRange, spreadRule, wholeNumber } from './arguments.js';
import { connect } from './connection.js';
import { parseJson, readText } from './json-input.js';
import { operationDocument, requireCompleted, showAccepted } from './operation-text.js';
import { duration, remark, show, table } from './output.js';

interface Options {
  readonly file?: string;
  readonly name?: string;
  readonly capability?: string[];
  readonly role?: string[];
  readonly size?: ReturnType<typeof sizeRange>;
  readonly spread?: ReturnType<typeof spreadRule>;
  readonly resource?: string[];
  readonly label?: string[];
  readonly deadline?: number;
  readonly queue?: true;
  readonly requestId?: string;
  readonly wait?: true | number;
}

export function define(command: Command): void {
  command
    .option('--name <name>', "the cluster's name")
    .option('--capability <name>', 'a capability that the members together must have; may be repeated', collect)
    .option('--role <role>', 'name=capability, name=capability:2 or name=capability:1..3; may be repeated', collect)
    .option('--size <size>', 'how many members: 4, 3..5 (3 now, 5 at most) or 3..4..5 (4 now)', sizeRange)
    .option('--spread <rule>', 'host, host:hard, zone or zone:hard', spreadRule)
    .option('--resource <amount>', 'what each member must have free, such as slots=2; may be repeated', collect)
    .option('--label <label>', 'a label that each member must have, such as team=blue; may be repeated', collect)
    .option('--deadline <seconds>', 'give up and undo after this', wholeNumber(1, 3600))
    .option('--queue', 'wait in the queue when there are too few agents, rather than fail')
    .option('--file <file>', 'the request as JSON, "-" for stdin; other options win over it')
    .option('--request-id <id>', 'the same id again gives the same operation, never a second cluster')
    .option('--wait [seconds]', 'wait for the end, at most so long (default 600)', wholeNumber(1, 86_400))
    .addHelpText(
      'after',
      '\nExample:\n  cluster-manager form --name translators --capability translate --size 3..5 --spread host:hard --wait',
    )
    .action(form);
}

async function form(options: Options, command: Command): Promise<void> {
  const request = requestOf(options);
  const api = connect(command);
  const accepted = await api.request({ type: 'FORMATION', ...request });
  if (options.wait === undefined) return showAccepted(command, accepted);
  const timeoutMs = (options.wait === true ? 600 : options.wait) * 1000;
  const ended = await waitFor(api, accepted, { timeoutMs, command });
  requireCompleted(ended);
  show(command, { operation: operationDocument(ended) }, formedLines(ended));
}

function requestOf(options: Options): FormationRequest {
  const { file, name, capability, role, size, spread, resource, label, deadline, queue, requestId } = options;
  const request: Partial<FormationRequest> = {
    ...(file === undefined ? {} : readRequest(file)),
    ...(name === undefined ? {} : { name }),
    ...(capability ? { requiredCapabilities: capability } : {}),
    ...(role ? { roles: role.map(roleOf) } : {}),
    ...(size ? { size } : {}),
    ...(spread ? { spread } : {}),
    ...(resource ? { resources: numbers('--resource', resource) } : {}),
    ...(label ? { labels: pairs('--label', label) } : {}),
    ...(deadline === undefined ? {} : { deadlineSeconds: deadline }),
    ...(queue ? { onInsufficient: 'queue' } : {}),
    ...(requestId === undefined ? {} : { requestId }),
  };
  if (request.name !== undefined) return { ...request, name: request.name };
  throw new ManagerError('invalid_request', 'The cluster has no name; give one with --name, or a request with --file');
}

/** The file's fields as they are: the manager judges them, and names every problem. */
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

/** Waits and tells each step that came to an end, for a person who watches. */
async function waitFor(
  api: HttpClient,
  accepted: OperationView,
  { timeoutMs, command }: { readonly timeoutMs: number; readonly command: Command },
): Promise<OperationView> {
  const told = new Set<string>();
  return api.waitForOperation(accepted.id, {
    timeoutMs,
    onChange: ({ state, steps }) => {
      if (!process.stderr.isTTY) return;
      for (const step of steps.filter(({ state: now }) => now === 'completed' || now === 'retrying')) {
        const line = `  ${step.name} ${step.state}${step.error ? `: ${step.error}` : ''}`;
        if (!told.has(line)) remark(command, line);
        told.add(line);
      }
      if (state === 'queued' && !told.has(state)) remark(command, '  queued: waiting for agents');
      told.add(state);
    },
  });
}

function formedLines(operation: OperationView): string[] {
  const result = formationResult.safeParse(operation.result);
  if (!result.success || operation.endedAt === null) return [`Operation ${operation.id} is completed.`];
  const { clusterId, epoch, coordinator, members } = result.data;
  const tookMs = Date.parse(operation.endedAt) - Date.parse(operation.createdAt);
  return [
    `Formed ${clusterId}: ${members.length} members, epoch ${epoch}, in ${duration(tookMs)}`,
    '',
    ...table(
      ['AGENT', 'ROLES', 'COORDINATOR'],
      members.map(({ agentId, roles }) => [agentId, roles.join(' '), agentId === coordinator ? 'yes' : '']),
    ),
    ...(operation.temporalUrl ? ['', `Temporal UI: ${operation.temporalUrl}`] : []),
  ];
}

import { ManagerError } from '../../contracts/errors.js';
import type { DeadLetterView } from '../../contracts/messages.js';
import { replayDeadLetter } from '../../messaging/replay-dead-letter.js';
import {
  deadLetterIdOf,
  deadLetterNoOf,
  discardDeadLetter,
  findDeadLetter,
  listDeadLetters,
  type DeadLetterRow,
} from '../../stores/communication/index.js';
import { requesterOf } from '../../operations/requester.js';
import { requireCapability } from '../../operations/require-capability.js';
import { nextCursor, numberIn, positionOf } from '../cursor.js';
import type { Api, MessageDeps } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';

const list = operationRoute({
  operationId: 'listDeadLetters',
  method: 'get',
  path: '/v1/dead-letters',
  summary: 'List dead letters, newest first, each with its reason',
  tags: ['dead letters'],
  request: { query: shapes.deadLettersQuery },
  responses: { 200: json(shapes.deadLettersPage, 'A page of dead letters') },
});

const replay = operationRoute({
  operationId: 'replayDeadLetter',
  method: 'post',
  path: '/v1/dead-letters/{id}/replay',
  summary: 'Deliver a dead letter once more, with all its tries',
  tags: ['dead letters'],
  request: { params: shapes.byId },
  responses: { 200: json(shapes.deadLetterReplayed, 'Replayed, and to how many') },
});

const discard = operationRoute({
  operationId: 'discardDeadLetter',
  method: 'post',
  path: '/v1/dead-letters/{id}/discard',
  summary: 'Let a dead letter go; it is still listed until its retention is over',
  tags: ['dead letters'],
  request: { params: shapes.byId },
  responses: { 200: json(shapes.deadLetterAnswer, 'Discarded') },
});

export function deadLetterRoutes(api: Api, deps: MessageDeps): void {
  api.openapi(list, async (c) => {
    const { cursor, limit, ...filter } = c.req.valid('query');
    const before = numberIn(positionOf(cursor, 1)?.[0]);
    const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
    const rows = await listDeadLetters(deps.communication, {
      ...given,
      ...(before === undefined ? {} : { before }),
      limit: limit + 1,
    });
    const { page, nextCursor: next } = nextCursor(rows, limit, ({ no }) => [String(no)]);
    return c.json({ deadLetters: page.map(viewOf), nextCursor: next }, 200);
  });

  api.openapi(replay, async (c) => {
    requireCapability(deps, c.var.principal, 'communication_management');
    const letter = await find(deps, c.req.valid('param').id);
    const matched = await replayDeadLetter(deps, letter, requesterOf(c.var.principal));
    return c.json({ deadLetter: viewOf(await find(deps, c.req.valid('param').id)), matched }, 200);
  });

  api.openapi(discard, async (c) => {
    requireCapability(deps, c.var.principal, 'communication_management');
    const letter = await find(deps, c.req.valid('param').id);
    if (!(await discardDeadLetter(deps.communication, letter.no, requesterOf(c.var.principal)))) {
      throw new ManagerError('state_conflict', `Dead letter ${c.req.valid('param').id} was ${letter.state} already`);
    }
    return c.json({ deadLetter: viewOf(await find(deps, c.req.valid('param').id)) }, 200);
  });
}

async function find({ communication }: MessageDeps, id: string): Promise<DeadLetterRow> {
  const no = deadLetterNoOf(id);
  const letter = no === undefined ? undefined : await findDeadLetter(communication, no);
  if (!letter) throw new ManagerError('not_found', `There is no dead letter "${id}"`);
  return letter;
}

const viewOf = ({
  no,
  messageNo: _messageNo,
  inboxNo: _inboxNo,
  at,
  endedAt,
  ...rest
}: DeadLetterRow): DeadLetterView => ({
  ...rest,
  id: deadLetterIdOf(no),
  at: at.toISOString(),
  endedAt: endedAt?.toISOString() ?? null,
});

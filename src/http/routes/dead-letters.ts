import { ManagerError } from '../../contracts/errors.js';
import { isoDates } from '../../contracts/iso-dates.js';
import type { DeadLetterView } from '../../contracts/messages.js';
import { replayDeadLetter } from '../../messaging/replay-dead-letter.js';
import { requesterOf } from '../../operations/requester.js';
import {
  deadLetterIdOf,
  deadLetterNoOf,
  discardDeadLetter,
  findDeadLetter,
  listDeadLetters,
  type CommunicationDb,
  type DeadLetterRow,
} from '../../stores/communication/index.js';
import { defined, pageByNumber } from '../cursor.js';
import type { MessageDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';

export const deadLetterHandlers = (deps: MessageDeps) =>
  ({
    listDeadLetters: async ({ query: { cursor, limit, ...filter } }) => {
      const page = await pageByNumber(
        { cursor, limit },
        (before, atMost) => listDeadLetters(deps.communication, { ...defined({ before, ...filter }), limit: atMost }),
        ({ no }) => no,
      );
      return { deadLetters: page.rows.map(viewOf), nextCursor: page.nextCursor };
    },

    replayDeadLetter: async ({ params: { id }, principal }) => {
      const letter = await existing(deps.communication, id);
      const matched = await replayDeadLetter(deps, letter, requesterOf(principal));
      return { deadLetter: viewOf(await existing(deps.communication, id)), matched };
    },

    discardDeadLetter: async ({ params: { id }, principal }) => {
      const letter = await existing(deps.communication, id);
      if (!(await discardDeadLetter(deps.communication, letter.no, requesterOf(principal)))) {
        throw new ManagerError('state_conflict', `Dead letter ${id} was ${letter.state} already`);
      }
      return { deadLetter: viewOf(await existing(deps.communication, id)) };
    },
  }) satisfies Partial<Handlers>;

async function existing(communication: CommunicationDb, id: string): Promise<DeadLetterRow> {
  const no = deadLetterNoOf(id);
  const letter = no === undefined ? undefined : await findDeadLetter(communication, no);
  if (!letter) throw new ManagerError('not_found', `Dead letter "${id}" does not exist`);
  return letter;
}

const viewOf = ({ no, messageNo: _messageNo, inboxNo: _inboxNo, ...row }: DeadLetterRow): DeadLetterView => ({
  id: deadLetterIdOf(no),
  ...isoDates(row),
});

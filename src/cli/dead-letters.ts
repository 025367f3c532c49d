import type { Command } from 'commander';
import type { DeadLetterQuery, HttpClient } from '../client/http-client.js';
import { errorTable, ManagerError, type ErrorCode } from '../contracts/errors.js';
import { deadLetterReasons, type DeadLetterView } from '../contracts/messages.js';
import { connect } from './connection.js';
import { addressText } from './message-text.js';
import { ago, counted, cut, remark, show, table } from './output.js';
import { limitOption, moreLine, readPages } from './pages.js';

interface Filter {
  readonly reason?: string;
  readonly recipient?: string;
  readonly cluster?: string;
}

const addFilter = (command: Command): Command =>
  command
    .option('--reason <reason>', `only ${deadLetterReasons.join(', ')}`)
    .option('--recipient <agent>', 'only those that were for this agent')
    .option('--cluster <id>', 'only those that were sent to this cluster');

export function define(command: Command): void {
  addFilter(command.command('list').description('dead letters, the newest first, each with its reason'))
    .option('--state <state>', 'only dead, replayed or discarded')
    .option(...limitOption)
    .action(list);
  addFilter(command.command('replay [ids...]').description('deliver dead letters once more, the oldest first'))
    .option('--all', 'every one that is dead and matches the other options')
    .action((ids: string[], options: EndOptions, self: Command) => endEach(ids, options, { self, ...replaying }));
  addFilter(command.command('discard [ids...]').description('let dead letters go'))
    .option('--all', 'every one that is dead and matches the other options')
    .action((ids: string[], options: EndOptions, self: Command) => endEach(ids, options, { self, ...discarding }));
}

const queryOf = ({ reason, recipient, cluster }: Filter): DeadLetterQuery => ({
  ...(reason === undefined ? {} : { reason }),
  ...(recipient === undefined ? {} : { recipient }),
  ...(cluster === undefined ? {} : { clusterId: cluster }),
});

function read(api: HttpClient, limit: number, filter: DeadLetterQuery) {
  return readPages(limit, async (query) => {
    const { deadLetters, nextCursor } = await api.deadLetters({ ...filter, ...query });
    return { items: deadLetters, nextCursor };
  });
}

async function list(
  options: Filter & { readonly state?: string; readonly limit: number },
  command: Command,
): Promise<void> {
  const { limit, state } = options;
  const { items, more } = await read(connect(command), limit, { ...queryOf(options), ...(state ? { state } : {}) });
  const rows = items.map((letter) => [
    letter.id,
    letter.state,
    ago(letter.at),
    letter.reason,
    letter.recipient ?? addressText(letter.to),
    letter.source,
    letter.type,
    letter.attempts === 0 ? '' : String(letter.attempts),
    letter.messageId,
    cut(letter.detail, 100),
  ]);
  const headings = ['DEAD LETTER', 'STATE', 'DIED', 'REASON', 'FOR', 'FROM', 'TYPE', 'TRIES', 'MESSAGE', 'DETAIL'];
  const lines = rows.length === 0 ? ['No dead letters.'] : table(headings, rows);
  show(command, { deadLetters: items.map(documentOf), more }, [...lines, ...moreLine('dead letters', limit, more)]);
}

interface EndOptions extends Filter {
  readonly all?: true;
}

interface Ended {
  readonly id: string;
  readonly matched?: number;
}

interface Ending {
  readonly done: 'replayed' | 'discarded';
  readonly end: (api: HttpClient, id: string) => Promise<Ended>;
  readonly line: (ended: Ended) => string;
}

const replaying: Ending = {
  done: 'replayed',
  end: async (api, id) => ({ id, matched: (await api.replayDeadLetter(id)).matched }),
  line: ({ id, matched = 0 }) => `${id} is replayed, to ${counted(matched, 'recipient')}`,
};
const discarding: Ending = {
  done: 'discarded',
  end: async (api, id) => ({ id: (await api.discardDeadLetter(id)).id }),
  line: ({ id }) => `${id} is discarded`,
};

const atMost = 100_000;

/** Ends each, goes on after a refusal, and says in the end which were refused. */
async function endEach(
  given: readonly string[],
  options: EndOptions,
  { self, done, end, line }: Ending & { readonly self: Command },
): Promise<void> {
  const api = connect(self);
  const ids = await idsOf(api, given, options);
  const ended: Ended[] = [];
  const refused: { readonly id: string; readonly code: ErrorCode; readonly message: string }[] = [];
  for (const id of ids) {
    try {
      ended.push(await end(api, id));
    } catch (error) {
      if (!(error instanceof ManagerError) || ids.length === 1 || isTheirs(error)) throw error;
      refused.push({ id, code: error.code, message: error.message });
    }
  }
  const none = ids.length === 0 ? ['No dead letters are dead and match.'] : [];
  show(self, { [done]: ended, refused }, [...none, ...ended.map(line)]);
  for (const { message } of refused) remark(self, message);
  const [first] = refused;
  if (first) process.exitCode = errorTable[first.code].exit;
}

/** Not about this letter: the next one would meet the same. */
const isTheirs = ({ code }: ManagerError): boolean => !['state_conflict', 'not_found'].includes(code);

async function idsOf(api: HttpClient, given: readonly string[], options: EndOptions): Promise<readonly string[]> {
  const filter = queryOf(options);
  if (options.all && given.length === 0) {
    const { items } = await read(api, atMost, { ...filter, state: 'dead' });
    // Read before the first is ended, and the oldest first: those of one sender arrive in their order.
    return items.map(({ id }) => id).toReversed();
  }
  if (given.length > 0 && !options.all && Object.keys(filter).length === 0) return given;
  throw new ManagerError(
    'invalid_request',
    'Name the dead letters by their ids, or give --all, which --reason, --recipient and --cluster narrow',
  );
}

/** The command's own shape. */
const documentOf = (letter: DeadLetterView) => ({
  id: letter.id,
  state: letter.state,
  reason: letter.reason,
  detail: letter.detail,
  messageId: letter.messageId,
  source: letter.source,
  type: letter.type,
  to: letter.to,
  recipient: letter.recipient,
  clusterId: letter.clusterId,
  attempts: letter.attempts,
  at: letter.at,
  endedAt: letter.endedAt,
  endedBy: letter.endedBy,
});

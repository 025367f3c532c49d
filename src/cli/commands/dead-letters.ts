import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { HttpClient } from '../../client/http-client.js';
import { errorTable, ManagerError, type ErrorCode } from '../../contracts/errors.js';
import { deadLetterReasons, type DeadLetterView } from '../../contracts/messages.js';
import { connect } from '../connect.js';
import { ago, counted, truncate } from '../format.js';
import { filterQuery, listCommand, readPages } from '../list-command.js';
import { withOptions } from '../option-parsers.js';
import { note, print } from '../print.js';
import { table } from '../table.js';
import { addressText } from './messages.js';

const filterOptions = new Command()
  .option('--reason <reason>', `only those with this reason: ${deadLetterReasons.join(', ')}`)
  .option('--recipient <agent>', 'only those addressed to this agent')
  .option('--cluster <id>', 'only those sent to this cluster');

const settleOptions = withOptions(new Command(), filterOptions).option(
  '--all',
  'every open dead letter that matches the other options',
);

type SettleOptions = ReturnType<typeof settleOptions.opts>;

function deadLetters(command: Command): void {
  withOptions(
    listCommand(command, {
      description: 'list dead letters with their reasons, newest first',
      endpoint: 'listDeadLetters',
      key: 'deadLetters',
      noun: 'dead letters',
      lines: deadLetterTable,
    }),
    filterOptions,
  ).option('--state <state>', 'only those that are dead, replayed or discarded');
  const replay = command.command('replay [ids...]').description('deliver dead letters again, oldest first');
  withOptions(replay, settleOptions).action(
    settleAction('replayed', async (api, id) => {
      const { matched } = await api.replayDeadLetter({ params: { id } });
      return { id, matched };
    }),
  );
  const discard = command.command('discard [ids...]').description('discard dead letters');
  withOptions(discard, settleOptions).action(
    settleAction('discarded', async (api, id) => {
      await api.discardDeadLetter({ params: { id } });
      return { id };
    }),
  );
}

export const commands = { 'dead-letters': deadLetters };

const deadLetterTable = (listed: readonly DeadLetterView[]): string[] =>
  table(listed, {
    'DEAD LETTER': (letter) => letter.id,
    STATE: (letter) => letter.state,
    SINCE: (letter) => ago(letter.at),
    REASON: (letter) => letter.reason,
    RECIPIENT: (letter) => letter.recipient ?? addressText(letter.to),
    SENDER: (letter) => letter.source,
    TYPE: (letter) => letter.type,
    ATTEMPTS: (letter) => letter.attempts || null,
    MESSAGE: (letter) => letter.messageId,
    DETAIL: (letter) => truncate(letter.detail, 100),
  });

interface Settled {
  readonly id: string;
  readonly matched?: number;
}

/** Settles each dead letter, also after a refusal; the exit code is that of the first refusal. */
const settleAction =
  (done: 'replayed' | 'discarded', settle: (api: HttpClient, id: string) => Promise<Settled>) =>
  async (given: readonly string[], options: SettleOptions, command: CommandUnknownOpts): Promise<void> => {
    const api = connect(command);
    const ids = await selectIds(api, given, options);
    const settled: Settled[] = [];
    const refused: { readonly id: string; readonly code: ErrorCode; readonly message: string }[] = [];
    for (const id of ids) {
      try {
        settled.push(await settle(api, id));
      } catch (error) {
        if (!(error instanceof ManagerError) || ids.length === 1 || !concernsOneLetter(error)) throw error;
        refused.push({ id, code: error.code, message: error.message });
      }
    }
    const lines = settled.map(
      ({ id, matched }) => `${id} is ${done}${matched === undefined ? '' : `, to ${counted(matched, 'recipient')}`}`,
    );
    print(command, {
      document: { [done]: settled, refused },
      lines: ids.length === 0 ? ['No open dead letters match.'] : lines,
    });
    for (const { message } of refused) note(command, message);
    const [first] = refused;
    if (first) process.exitCode = errorTable[first.code].exit;
  };

/** Any other error would meet the next dead letter too. */
const concernsOneLetter = ({ code }: ManagerError): boolean => code === 'state_conflict' || code === 'not_found';

const maxSettled = 100_000;

async function selectIds(
  api: HttpClient,
  given: readonly string[],
  { all, ...filter }: SettleOptions,
): Promise<readonly string[]> {
  if (all && given.length === 0) {
    const { items } = await readPages(maxSettled, async (page) => {
      const query = { ...filterQuery(filter), ...page, state: 'dead' };
      const { deadLetters: items, nextCursor } = await api.listDeadLetters({ query });
      return { items, nextCursor };
    });
    // Oldest first, so that messages of one sender arrive in their order.
    return items.map(({ id }) => id).toReversed();
  }
  if (given.length > 0 && !all && Object.keys(filter).length === 0) return given;
  throw new ManagerError(
    'invalid_request',
    'Name dead letters by their ids, or give --all, optionally with --reason, --recipient and --cluster',
  );
}

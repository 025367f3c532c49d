import { managerMessageTypes } from '../../contracts/inbox.js';
import type { NewDelivery } from '../../stores/communication/index.js';

/** Who a cluster consists of from an epoch on. */
export interface MembershipChange {
  readonly clusterId: string;
  readonly name: string;
  readonly epoch: number;
  readonly coordinator: string | null;
  readonly members: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
}

/** What the manager tells of it to those it concerns. Ids are made of the epoch, so that telling it again changes nothing. */
export function membershipMessages(
  source: string,
  news: MembershipChange,
  to: { readonly joined?: readonly string[]; readonly changed: readonly string[] },
): NewDelivery[] {
  const { clusterId, epoch } = news;
  const mail = (type: string, recipients: readonly string[] = []): NewDelivery[] =>
    recipients.length === 0
      ? []
      : [
          {
            message: {
              id: `msg_${clusterId}_e${epoch}_${type}`,
              source,
              type,
              clusterId,
              epoch,
              data: { ...news, fencingToken: epoch },
            },
            recipients,
          },
        ];
  return [...mail(managerMessageTypes.joined, to.joined), ...mail(managerMessageTypes.changed, to.changed)];
}

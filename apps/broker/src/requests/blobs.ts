import { MeshError } from '@claudemesh/protocol'
import type { BlobTickets, RequestDependencies, RequestHandler } from './request-handler.ts'

export const uploadBlob: RequestHandler<'blobs.upload'> = async (dependencies, caller, params) => {
  const { address, size_bytes: sizeBytes, recipients, expires_at: expiresAt } = params
  const issued = await relayOf(dependencies).reserve(caller, { address, sizeBytes, recipients, expiresAt })
  return {
    ticket: issued.ticket,
    ticket_expires_at: issued.ticketExpiresAt,
    expires_at: issued.expiresAt,
    stored: issued.stored,
  }
}

export const downloadBlob: RequestHandler<'blobs.download'> = async (dependencies, caller, params) => {
  const { address, size_bytes: sizeBytes } = params
  const issued = await relayOf(dependencies).grantDownload(caller, { address, sizeBytes })
  return { ticket: issued.ticket, ticket_expires_at: issued.ticketExpiresAt, expires_at: issued.expiresAt }
}

export const acknowledgeBlob: RequestHandler<'blobs.acknowledge'> = async (dependencies, caller, { address }) => {
  await relayOf(dependencies).acknowledge(caller, address)
  return {}
}

function relayOf({ relay }: RequestDependencies): BlobTickets {
  if (relay === null) throw new MeshError('relay_unavailable')
  return relay
}

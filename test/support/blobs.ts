/** Sealed bytes, as far as a broker can tell, and the HTTP side of its relay. */
import { randomBytes } from 'node:crypto'
import { digestBytes, formatContentAddress } from '@claudemesh/artifacts'
import { eventually } from './eventually.ts'
import type { RawMember } from './raw-member.ts'
import type { MemberIdentity } from './raw-mesh.ts'

export interface Blob {
  readonly bytes: Buffer
  readonly address: string
}

export interface BlobRequest {
  readonly method: 'PUT' | 'PATCH' | 'HEAD' | 'GET'
  readonly ticket: string | null
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
}

export function randomBlob(size: number): Blob {
  const bytes = randomBytes(size)
  return { bytes, address: formatContentAddress(digestBytes(bytes).primary) }
}

/** Asks for room. @returns the ticket */
export async function uploadTicket(
  sender: RawMember,
  blob: Blob,
  recipients: readonly MemberIdentity[],
  expiresAt = Date.now() + 3_600_000,
): Promise<string> {
  const { ticket } = await sender.request('blobs.upload', {
    address: blob.address,
    size_bytes: blob.bytes.length,
    recipients: recipients.map(({ memberId }) => memberId),
    expires_at: expiresAt,
  })
  return ticket
}

export async function downloadTicket(recipient: RawMember, blob: Blob): Promise<string> {
  const asked = { address: blob.address, size_bytes: blob.bytes.length }
  return (await recipient.request('blobs.download', asked)).ticket
}

export function requestBlob(httpUrl: string, address: string, o: BlobRequest): Promise<Response> {
  return fetch(`${httpUrl}/v1/blobs/${address}`, {
    method: o.method,
    headers: { ...o.headers, ...(o.ticket === null ? {} : { authorization: `Bearer ${o.ticket}` }) },
    ...(o.body === undefined ? {} : { body: o.body, duplex: 'half' }),
  } as RequestInit)
}

/** The `code` of a problem document, with the status. */
export async function refusalOf(response: Response): Promise<string> {
  const { code } = (await response.json()) as { code: string }
  return `${response.status} ${code}`
}

/** Uploads all of a blob in one request, and waits until it is there. */
export async function putBlob(httpUrl: string, blob: Blob, ticket: string): Promise<void> {
  const response = await requestBlob(httpUrl, blob.address, { method: 'PUT', ticket, body: blob.bytes })
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`)
}

/** How many bytes the broker has, once they are what is expected. */
export function awaitOffset(httpUrl: string, blob: Blob, o: { ticket: string; offset: number }): Promise<boolean> {
  return eventually(`the broker has ${o.offset} bytes`, async () => {
    const response = await requestBlob(httpUrl, blob.address, { method: 'HEAD', ticket: o.ticket })
    return Number(response.headers.get('upload-offset')) === o.offset
  })
}

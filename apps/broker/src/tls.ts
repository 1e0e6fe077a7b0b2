/** The certificate of the broker's own port. It is read again on request: certificates last months, brokers years. */
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { MeshError } from '@claudemesh/protocol'
import type { TlsFiles } from './config.ts'

export interface TlsMaterial {
  /** PEM, the broker's own certificate first. */
  readonly cert: Buffer
  readonly key: Buffer
}

/** @throws MeshError `config_invalid` when a file cannot be read, or the two do not belong together */
export function readTlsMaterial({ cert, key }: TlsFiles): TlsMaterial {
  const material = { cert: read(cert), key: read(key) }
  try {
    createSecureContext({ ...material, minVersion: 'TLSv1.2' })
  } catch (error) {
    throw invalid(`${cert} and ${key} are no certificate and its key`, error)
  }
  return material
}

function read(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw invalid(`cannot read ${path}`, error)
  }
}

function invalid(what: string, cause: unknown): MeshError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new MeshError('config_invalid', {
    detail: `${what}: ${why}`,
    data: { field: 'tls' },
    hint: 'Name a PEM file with the certificate chain and one with its private key, readable by the broker.',
    cause,
  })
}

/**
 * Which host this is (05 §3), so that a home that was copied by accident is noticed.
 *
 *     SHA-256(host id | stable MAC)      both as lower-case text, either may be missing
 *
 * 1. The same host gives the same fingerprint at every start, before and after the network is up. A MAC address that
 *    can change by itself is not taken: of a virtual, removable or wireless interface, or one that was set by software.
 * 2. A host on which nothing can be read gets a random id, which is kept and said to be one: it moves with a copy.
 * 3. Nothing that was read leaves this module, only its digest.
 *
 * It is no defence against somebody who copies both the home and what is read here.
 */
import { createHash, randomBytes } from 'node:crypto'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { type HostSources, readHostId, readStableMac, systemSources } from './host-sources.ts'
import { readPrivateJson, writePrivateJson } from './private-json-file.ts'

const hostBases = ['machine_id', 'dbus_machine_id', 'platform_uuid', 'host_uuid', 'mac', 'random'] as const

/** What a fingerprint stands on. */
export type HostBasis = (typeof hostBases)[number]

export interface HostFingerprint {
  /** SHA-256 in hex. */
  readonly fingerprint: string
  readonly basis: HostBasis
  /** A sentence for the log and for `doctor` when a copy of this home would go unnoticed; else null. */
  readonly warning: string | null
}

/**
 * The fingerprint of this host. On a host that shows nothing of itself the random id is made at the first call.
 *
 * @param input.persisted `host_fingerprint.json`
 * @throws MeshError `unsafe_permissions`, `config_invalid` when the file is needed and cannot be used; an error of
 *   the file system when a random id cannot be kept
 */
export function readHostFingerprint(input: {
  readonly sources?: HostSources
  readonly persisted: string
}): HostFingerprint {
  const { sources = systemSources(), persisted } = input
  const host = readHostId(sources)
  const mac = readStableMac(sources, { asHostId: host === null })
  if (host === null && mac === null) return randomFingerprint(persisted)
  return { fingerprint: fingerprintOf(host?.id ?? null, mac), basis: host?.basis ?? 'mac', warning: null }
}

/** The digest of what a host shows, each null where it shows none. */
export function fingerprintOf(hostId: string | null, mac: string | null): string {
  return createHash('sha256')
    .update((hostId ?? '') + (mac ?? ''), 'utf8')
    .digest('hex')
}

/** The host that this home was last accepted on. */
export type AcceptedHost = Pick<HostFingerprint, 'fingerprint' | 'basis'>

/**
 * @param path `host_fingerprint.json`
 * @returns null when none was accepted so far
 * @throws MeshError `unsafe_permissions`, or `config_invalid` when the file cannot be used
 */
export function readAcceptedHost(path: string): AcceptedHost | null {
  const file = readPrivateJson(path, check)
  return file === null ? null : { fingerprint: file.fingerprint, basis: file.basis }
}

/** Makes this the host that the home belongs on. It throws as `writeKeyFile` does. */
export function acceptHost(path: string, host: AcceptedHost): void {
  writePrivateJson(path, { version: 1, fingerprint: host.fingerprint, basis: host.basis })
}

const check = Compile(
  Type.Object(
    {
      version: Type.Literal(1),
      fingerprint: Type.String({ pattern: '^[0-9a-f]{64}$' }),
      basis: Type.Union(hostBases.map((basis) => Type.Literal(basis))),
    },
    { additionalProperties: false },
  ),
)

/** A home that was accepted for something that can no longer be read keeps that, and is found to have moved. */
function randomFingerprint(persisted: string): HostFingerprint {
  const accepted = readAcceptedHost(persisted)
  const fingerprint = accepted?.basis === 'random' ? accepted.fingerprint : randomBytes(32).toString('hex')
  if (accepted === null) acceptHost(persisted, { fingerprint, basis: 'random' })
  return {
    fingerprint,
    basis: 'random',
    warning: 'nothing on this host tells it from others, so a copy of this home on another host will go unnoticed',
  }
}

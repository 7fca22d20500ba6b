import type { EndedCall, SessionRedis } from './scripts.ts'
import type { Session } from './session.ts'
import { encodeChanges, encodeValues, type RecordChanges } from './session-record.ts'
import { type KeptValue, nameOfValue, type ValueFields, type ValueOrigin } from './values.ts'

export interface Changes extends RecordChanges {
  /** Cached values by name. */
  values?: ReadonlyMap<string, KeptValue>
  /** Names whose older values are no longer true, and have no newer ones. They are removed. */
  outdated?: { names: readonly string[], origin: ValueOrigin }
  /** A call that ends with this, in the same script as its outputs are kept. */
  endedCall?: EndedCall | null
}

/**
 * Writes changes in one round trip, and restarts the idle TTL. The record of a call releases the call's slot.
 *
 * Many values go in portions, so that Redis serves others between them: another request may read some of them before
 * the last ones are written. Credentials go with the first portion, since they count as bytes of the session, and the
 * record of the call with the last one.
 *
 * Gives the names of values that did not fit, which then have no older value either. `null` when the session has
 * ended since it was loaded: then nothing is left of what was written.
 */
export type WriteChanges = (session: Session, changes: Changes) => Promise<string[] | null>

export interface WriteChangesOptions {
  idleTtlSeconds: number
  /** Most bytes of a session's cached values, names included. */
  maxBytes: number
  valueFields: ValueFields
}

/**
 * Most fields of a session: a value and its origin are two. A name and a short value take more memory in Redis than
 * they have bytes.
 */
export const mostFields = 20_000

/** How many values one command writes: Redis serves nobody else meanwhile. */
const mostValuesToWrite = 500

export function createWriteChanges (
  { client, scripts, inTime }: SessionRedis, { idleTtlSeconds, maxBytes, valueFields }: WriteChangesOptions
): WriteChanges {
  /** The fields of outdated values, those that the session has. */
  async function fieldsToDrop (
    { id, key }: Session, { names, origin }: NonNullable<Changes['outdated']>
  ): Promise<string[]> {
    const outdated = new Set(names.map(name => valueFields.fieldOf(name, origin)))
    return (await inTime(client.hkeys(key), id)).filter(field => outdated.has(field))
  }

  async function writePortion (
    session: Session, { dropped, values }: Portion, changes: RecordChanges, endedCall: EndedCall | null
  ): Promise<string[] | null> {
    const isCall = changes.call !== undefined
    const slot = isCall ? session.slot : null
    const written = inTime(scripts.writeSession(session.key, {
      meta: session.meta,
      ttlSeconds: idleTtlSeconds,
      now: new Date(),
      slotId: slot?.id ?? null,
      calls: isCall ? 1 : 0,
      endedCall,
      dropped,
      fields: encodeChanges(changes, session),
      values: encodeValues(new Map(values), { valueFields, seal: session.seal }),
      mostBytes: maxBytes,
      mostFields
    }))
    slot?.releasedBy(written)
    return await written
  }

  const isTooLarge = ([, { text }]: [string, KeptValue]) => text.length > maxBytes

  return async function write (session, { values = new Map(), outdated, call, endedCall = null, ...others }) {
    const outdatedFields = outdated === undefined ? [] : await fieldsToDrop(session, outdated)
    // One that cannot fit is not even sent: it may be as large as a message.
    const entries = [...values]
    const tooLarge = entries.filter(isTooLarge).map(([name, { origin }]) => valueFields.fieldOf(name, origin))
    const portions = portionsToWrite([...outdatedFields, ...tooLarge], entries.filter(entry => !isTooLarge(entry)))
    const leftOut = tooLarge
    for (const [index, portion] of portions.entries()) {
      const isLast = index === portions.length - 1
      const first = index === 0 ? others : {}
      const changes = isLast && call !== undefined ? { call, ...first } : first
      const fields = await writePortion(session, portion, changes, isLast ? endedCall : null)
      if (fields === null) return null
      leftOut.push(...fields)
    }
    return leftOut.map(nameOfValue)
  }
}

/** A part of a write: fields of values to remove, and values by name. */
interface Portion { dropped: readonly string[], values: ReadonlyArray<readonly [string, KeptValue]> }

/** At least one portion. */
function portionsToWrite (
  dropped: readonly string[], values: ReadonlyArray<readonly [string, KeptValue]>
): Portion[] {
  const portions = [
    ...portionsOf(dropped, mostValuesToWrite).map(dropped => ({ dropped, values: [] })),
    ...portionsOf(values, mostValuesToWrite).map(values => ({ dropped: [], values }))
  ]
  return portions.length === 0 ? [{ dropped: [], values: [] }] : portions
}

/** A list in pieces of so many items at most. */
export const portionsOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))

import type { RedisClient } from '../redis/client.ts'
import { type AwaitCommand, createAwaitCommand } from '../redis/command.ts'
import { defineScript, type Script, type ScriptArgument } from '../redis/lua.ts'

/*
 * Lua for all that must be atomic in Redis: one script a file in scripts/, its header says what it does and returns.
 * https://redis.io/docs/latest/develop/programmability/eval-intro/
 */

/** Fields by name, as Redis has them; `null` where one is absent. */
export type StoredFields = ReadonlyMap<string, string | null>

/** The result of a read. `seen` says what is at the key instead of a session; see scripts/includes/seen.lua. */
export type Reading =
  { is: 'session', fields: StoredFields, earlier?: EarlierCall | null } | { is: 'none' } | { is: 'other', seen: string }

/** The call to begin with a request, unless an earlier one has its idempotency key. See ../calls/call.ts. */
export interface CallClaim {
  keyHash: string
  /** Digest of what is asked. */
  digest: string
  id: string
  lease: string
  leaseMs: number
  /** How long the call is kept (ms). */
  ttlMs: number
  /** How many calls a session may have. */
  mostCalls: number
}

/** A call that has the idempotency key already, as it is stored. */
export interface EarlierCall { id: string, head: string, answer: string | null }

/** A call that ends with a write, and its answer; '' for one that is not kept. */
export interface EndedCall {
  id: string
  lease: string
  state: string
  ttlMs: number
  mostBytes: number
  answer: string
}

export interface LoadArguments {
  ttlSeconds: number
  now: Date
  /** Hash of the token that the session must have; `null` for any. */
  tokenHash: string | null
  /** The call slot to take; `null` for none. */
  slot: { id: string, holdMs: number, mostSlots: number } | null
  claim: CallClaim | null
  /** The first two are `meta` and `credentials`. */
  fields: readonly string[]
}

/** A cached value as it is stored. */
export interface EncodedValue {
  field: string
  text: string
  /** '' for none. */
  origin: string
}

/** Fields to write. Those of cached values are stored as far as they fit. */
export interface Written {
  fields: Readonly<Record<string, string>>
  values: readonly EncodedValue[]
  /** Bounds all cached values, names included. */
  mostBytes: number
  /** Bounds all fields of the session. */
  mostFields: number
}

export interface CreateArguments extends Written {
  /** Says what must be at the key now. */
  seen: string
  ttlSeconds: number
  now: Date
  /** End of the session's whole lifetime (ms since 1970); `null` for none. */
  endsAt: number | null
}

export interface WriteArguments extends Written {
  meta: string
  /** Fields of cached values to remove. */
  dropped: readonly string[]
  ttlSeconds: number
  now: Date
  /** The call slot to release; `null` for none. */
  slotId: string | null
  /** How many calls to count. */
  calls: number
  endedCall: EndedCall | null
}

export interface RemoveArguments {
  /** Hash of the token that the session must have; `null` for any. */
  tokenHash: string | null
  /** Fields to read before they are gone. */
  fields: readonly string[]
}

export interface Description {
  idleLeftMs: number
  bytes: string | null
  calls: string | null
  lastCall: string | null
  /** The cached values, by their fields. An origin is '' where it is not known. */
  values: ReadonlyArray<{ field: string, bytes: number, origin: string }>
}

export interface SessionScripts {
  loadSession: Script<LoadArguments, Reading | { is: 'busy' } | { is: 'full' }>
  peekSession: Script<{ fields: readonly string[] }, Reading>
  /** Gives the fields of the values that did not fit; `null` when something else is there. */
  createSession: Script<CreateArguments, string[] | null>
  /** Gives the fields of the values that did not fit; `null` when the session is gone. */
  writeSession: Script<WriteArguments, string[] | null>
  /** Gives 0 when all are taken, `null` when the session is gone. */
  takeCallSlot: Script<{ meta: string, slotId: string, slotMs: number, mostSlots: number }, 0 | 1 | null>
  countRequest: Script<{ tokenHash: string | null, windowMs: number, most: number }, [number, number] | null>
  renewCallSlot: Script<{ meta: string, slotId: string, slotMs: number }, 0 | 1>
  releaseCallSlot: Script<{ meta: string, slotId: string }, 0 | 1>
  exchangeField: Script<{ meta: string, field: string, before: string | null, after: string | null }, string | null>
  /** Gives the number of values; `null` when the session is gone. */
  removeValues: Script<{ meta: string, name: string }, number | null>
  removeSession: Script<RemoveArguments, { removed: number, fields: StoredFields }>
  describeSession: Script<{ meta: string }, Description | null>
  /** Takes a call that an older version kept. */
  takePendingCall: Script<{ meta: string, token: string }, string | null>
  settleExpiryIndex: Script<{ lifeMs: number, entries: readonly SettledEntry[] }, number>
}

/** An entry of the expiry index: its id, the score that was read, and its next score; `null` to remove it. */
export type SettledEntry = [id: string, score: string, next: number | null]

/** Redis as the other files of this room use it. */
export interface SessionRedis {
  client: RedisClient
  scripts: SessionScripts
  inTime: AwaitCommand
}

export function createSessionRedis (client: RedisClient, commandTimeoutMs: number): SessionRedis {
  return { client, scripts: defineSessionScripts(client), inTime: createAwaitCommand(commandTimeoutMs) }
}

type ReadReply = ['none'] | ['other', string] | ['session', ...Array<string | null>]
type LoadReply = ['busy'] | ['full'] | ['none'] | ['other', string] |
  ['session', ...Array<string | null | [id: string, head: string, answer: string]>]
type WriteReply = [0] | [1, ...string[]]
type RemoveReply = [removed: number, ...Array<string | null>]
type DescribeReply = [
  idleLeftMs: number, bytes: string | null, calls: string | null, lastCall: string | null, ...Array<string | number>
]

/** The scripts, with their arguments in the order of their headers. An absent argument is the empty string there. */
export function defineSessionScripts (client: RedisClient): SessionScripts {
  const define = <Args, Reply>(name: string, argv: (args: Args) => ScriptArgument[]) =>
    defineScript<Args, Reply>(client, new URL(`scripts/${name}.lua`, import.meta.url), argv)

  return {
    loadSession: decoded(
      define<LoadArguments, LoadReply>('load-session', ({ ttlSeconds, now, tokenHash, slot, claim, fields }) => [
        ttlSeconds, now.toISOString(), now.getTime(), tokenHash ?? '',
        ...slot === null ? ['', '', ''] : [slot.id, slot.holdMs, slot.mostSlots],
        claim === null ? '' : claimText(claim),
        ...fields
      ]),
      (reply, { fields, claim }) => loadingOf(reply, fields, claim !== null)
    ),
    peekSession: decoded(
      define<{ fields: readonly string[] }, ReadReply>('peek-session', ({ fields }) => [...fields]),
      (reply, { fields }) => readingOf(reply, fields)
    ),
    createSession: decoded(
      define<CreateArguments, WriteReply>('create-session', ({
        seen, ttlSeconds, now, endsAt, mostBytes, mostFields, fields, values
      }) => [
        seen, ttlSeconds, now.getTime(), endsAt ?? '', mostBytes, mostFields, Object.keys(fields).length,
        ...Object.entries(fields).flat(), ...valuesArgv(values)
      ]),
      leftOutOf
    ),
    writeSession: decoded(
      define<WriteArguments, WriteReply>('write-session', ({
        meta, ttlSeconds, now, slotId, calls, endedCall, dropped, mostBytes, mostFields, fields, values
      }) => [
        meta, ttlSeconds, now.getTime(), slotId ?? '', calls, mostBytes, mostFields, Object.keys(fields).length,
        dropped.length, endedCall === null ? '' : endText(endedCall), endedCall?.answer ?? '',
        ...Object.entries(fields).flat(), ...dropped, ...valuesArgv(values)
      ]),
      leftOutOf
    ),
    takeCallSlot: define('take-call-slot', ({ meta, slotId, slotMs, mostSlots }) => [meta, slotId, slotMs, mostSlots]),
    countRequest: define('count-session-request', ({ tokenHash, windowMs, most }) => [tokenHash ?? '', windowMs, most]),
    renewCallSlot: define('renew-call-slot', ({ meta, slotId, slotMs }) => [meta, slotId, slotMs]),
    releaseCallSlot: define('release-call-slot', ({ meta, slotId }) => [meta, slotId]),
    exchangeField: define('exchange-field', ({ meta, field, before, after }) =>
      [meta, field, before ?? '', after ?? '']),
    removeValues: define('remove-values', ({ meta, name }) => [meta, name]),
    removeSession: decoded(
      define<RemoveArguments, RemoveReply>('remove-session', ({ tokenHash, fields }) => [tokenHash ?? '', ...fields]),
      ([removed, ...texts], { fields }) => ({ removed, fields: byName(fields, texts) })
    ),
    describeSession: decoded(
      define<{ meta: string }, DescribeReply | null>('describe-session', ({ meta }) => [meta]),
      descriptionOf
    ),
    takePendingCall: define('take-pending-call', ({ meta, token }) => [meta, token]),
    settleExpiryIndex: define('settle-expiry-index', ({ lifeMs, entries }) =>
      [lifeMs, ...entries.flatMap(([id, score, next]) => [id, score, next ?? ''])])
  }
}

function decoded<Args, Raw, Reply> (
  script: Script<Args, Raw>, decode: (raw: Raw, args: Args) => Reply
): Script<Args, Reply> {
  return (key, args) => script(key, args).then(raw => decode(raw, args))
}

const valuesArgv = (values: readonly EncodedValue[]): ScriptArgument[] =>
  values.flatMap(({ field, text, origin }) => [field, text, origin])

const claimText = ({ keyHash, digest, id, lease, leaseMs, ttlMs, mostCalls }: CallClaim) =>
  [keyHash, digest, id, lease, leaseMs, ttlMs, mostCalls].join(' ')

const endText = ({ id, lease, state, ttlMs, mostBytes }: EndedCall) => [id, lease, state, ttlMs, mostBytes].join(' ')

/** The load that was to begin a call has one item more: the earlier call with its key, or ''. */
function loadingOf (
  reply: LoadReply, names: readonly string[], hasClaim: boolean
): Reading | { is: 'busy' } | { is: 'full' } {
  if (reply[0] === 'busy' || reply[0] === 'full') return { is: reply[0] }
  const reading = readingOf(reply as ReadReply, names)
  if (reading.is !== 'session' || !hasClaim) return reading
  const last = reply.at(-1)
  if (!Array.isArray(last)) return { ...reading, earlier: null }
  const [id, head, answer] = last
  return { ...reading, earlier: { id, head, answer: answer === '' ? null : answer } }
}

function readingOf (reply: ReadReply, names: readonly string[]): Reading {
  if (reply[0] === 'none') return { is: 'none' }
  if (reply[0] === 'other') return { is: 'other', seen: reply[1] }
  const [, ...texts] = reply
  return { is: 'session', fields: byName(names, texts) }
}

const byName = (names: readonly string[], texts: ReadonlyArray<string | null>): StoredFields =>
  new Map(names.map((name, position) => [name, texts[position] ?? null]))

function leftOutOf ([isWritten, ...fields]: WriteReply): string[] | null {
  return isWritten === 1 ? fields : null
}

function descriptionOf (reply: DescribeReply | null): Description | null {
  if (reply === null) return null
  const [idleLeftMs, bytes, calls, lastCall, ...items] = reply
  const values: Array<Description['values'][number]> = []
  for (let i = 0; i < items.length; i += 3) {
    values.push({ field: String(items[i]), bytes: Number(items[i + 1]), origin: String(items[i + 2]) })
  }
  return { idleLeftMs, bytes, calls, lastCall, values }
}

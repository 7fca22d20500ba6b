import type { RedisClient } from '../redis/client.ts'
import { defineScript, type Script, type ScriptArgument } from '../redis/lua.ts'

/*
 * A call is opened, moved and read by one script each, which is atomic: any worker may ask, and one of them gets it.
 * Each script is a file in scripts/, whose header says what it does and returns.
 */

export interface OpenArguments {
  meta: string
  id: string
  state: 'queued' | 'input_required'
  kind: string
  ttlMs: number
  keyHash: string
  digest: string
  data: string
  answer: string
  mostCalls: number
  mostWaiting: number
  mostBytes: number
}

export type OpenReply =
  ['opened', head: string] | ['earlier', id: string, head: string, answer: string] | ['full'] | ['large']

export interface BeginArguments {
  /** '' for any. */
  meta: string
  id: string
  state: 'queued' | 'input_required'
  kind: string
  /** '' for any. */
  round: number | ''
  lease: string
  leaseMs: number
}

export interface SettleArguments {
  meta: string
  id: string
  lease: string
  state: string
  ttlMs: number
  data: string
  answer: string
  mostBytes: number
  freesKey: boolean
}

export interface AppendArguments {
  meta: string
  id: string
  lease: string
  ttlMs: number
  mostEvents: number
  mostBytes: number
  events: ReadonlyArray<{ event: string, data: string }>
}

export interface ReadEventsArguments {
  meta: string
  id: string
  after: string
  most: number
  ttlMs: number
}

interface CallArguments { meta: string, id: string }

/** The key of a session, and that of a call's events. */
export type CallKeys = readonly [session: string, events: string]

export interface CallScripts {
  /** Gives `null` when the session is gone. */
  open: Script<OpenArguments, OpenReply | null>
  begin: Script<BeginArguments, [1, head: string, data: string] | [0, head: string] | null>
  settle: Script<SettleArguments, string | null>
  renew: Script<CallArguments & { lease: string, leaseMs: number }, 0 | 1 | 2>
  read: Script<CallArguments, [head: string, answer: string, idleLeftMs: number, progress: string] | null, CallKeys>
  list: Script<{ meta: string }, [idleLeftMs: number, ...string[]] | null>
  cancel: Script<CallArguments, [head: string, isDone: 0 | 1] | null>
  appendEvents: Script<AppendArguments, 0 | 1, CallKeys>
  readEvents: Script<
    ReadEventsArguments, [head: string, answer: string, idleLeftMs: number, ...string[]] | null, CallKeys
  >
}

/** The scripts, with their arguments in the order of their headers. */
export function defineCallScripts (client: RedisClient): CallScripts {
  const fileOf = (name: string) => new URL(`scripts/${name}.lua`, import.meta.url)
  const define = <Args, Reply>(name: string, argv: (args: Args) => ScriptArgument[]) =>
    defineScript<Args, Reply>(client, fileOf(name), argv)
  const defineOfTwo = <Args, Reply>(name: string, argv: (args: Args) => ScriptArgument[]) =>
    defineScript<Args, Reply, CallKeys>(client, fileOf(name), argv)

  return {
    open: define('open-call', ({
      meta, id, state, kind, ttlMs, keyHash, digest, data, answer, mostCalls, mostWaiting, mostBytes
    }) => [meta, id, state, kind, ttlMs, keyHash, digest, data, answer, mostCalls, mostWaiting, mostBytes]),
    begin: define('begin-call', ({ meta, id, state, kind, round, lease, leaseMs }) =>
      [meta, id, state, kind, round, lease, leaseMs]),
    settle: define('settle-call', ({ meta, id, lease, state, ttlMs, data, answer, mostBytes, freesKey }) =>
      [meta, id, lease, state, ttlMs, data, answer, mostBytes, freesKey ? 'free' : '']),
    renew: define('renew-call', ({ meta, id, lease, leaseMs }) => [meta, id, lease, leaseMs]),
    read: defineOfTwo('read-call', ({ meta, id }) => [meta, id]),
    list: define('list-calls', ({ meta }) => [meta]),
    cancel: define('cancel-call', ({ meta, id }) => [meta, id]),
    appendEvents: defineOfTwo('append-events', ({ meta, id, lease, ttlMs, mostEvents, mostBytes, events }) =>
      [meta, id, lease, ttlMs, mostEvents, mostBytes, ...events.flatMap(({ event, data }) => [event, data])]),
    readEvents: defineOfTwo('read-events', ({ meta, id, after, most, ttlMs }) => [meta, id, after, most, ttlMs])
  }
}

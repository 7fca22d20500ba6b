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
}

interface CallArguments { meta: string, id: string }

export interface CallScripts {
  /** Gives `null` when the session is gone. */
  open: Script<OpenArguments, OpenReply | null>
  begin: Script<BeginArguments, [1, head: string, data: string] | [0, head: string] | null>
  settle: Script<SettleArguments, string | null>
  renew: Script<CallArguments & { lease: string, leaseMs: number }, 0 | 1 | 2>
  read: Script<CallArguments, [head: string, answer: string, idleLeftMs: number] | null>
  list: Script<{ meta: string }, [idleLeftMs: number, ...string[]] | null>
  cancel: Script<CallArguments, [head: string, isDone: 0 | 1] | null>
}

/** The scripts, with their arguments in the order of their headers. */
export function defineCallScripts (client: RedisClient): CallScripts {
  const define = <Args, Reply>(name: string, argv: (args: Args) => ScriptArgument[]) =>
    defineScript<Args, Reply>(client, new URL(`scripts/${name}.lua`, import.meta.url), argv)

  return {
    open: define('open-call', ({
      meta, id, state, kind, ttlMs, keyHash, digest, data, answer, mostCalls, mostWaiting, mostBytes
    }) => [meta, id, state, kind, ttlMs, keyHash, digest, data, answer, mostCalls, mostWaiting, mostBytes]),
    begin: define('begin-call', ({ meta, id, state, kind, round, lease, leaseMs }) =>
      [meta, id, state, kind, round, lease, leaseMs]),
    settle: define('settle-call', ({ meta, id, lease, state, ttlMs, data, answer, mostBytes }) =>
      [meta, id, lease, state, ttlMs, data, answer, mostBytes]),
    renew: define('renew-call', ({ meta, id, lease, leaseMs }) => [meta, id, lease, leaseMs]),
    read: define('read-call', ({ meta, id }) => [meta, id]),
    list: define('list-calls', ({ meta }) => [meta]),
    cancel: define('cancel-call', ({ meta, id }) => [meta, id])
  }
}

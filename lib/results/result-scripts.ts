import type { RedisClient } from '../redis/client.ts'
import { defineScript, type Script, type ScriptArgument } from '../redis/lua.ts'

interface ResultArguments {
  meta: string
  ref: string
  ttlMs: number
}

export interface KeepArguments extends ResultArguments {
  mostResults: number
  mostBytes: number
  bytes: number
  pieceCount: number
  /** '' while more pieces are to come. */
  head: string
  /** Number of the first piece. */
  first: number
  pieces: readonly Buffer[]
}

/** Each of them touches a session and its results. */
export interface ResultScripts {
  /** Gives `null` when the session is gone. */
  keep: Script<KeepArguments, ['kept', expiresAt: string] | ['large'] | ['displaced'] | null>
  read: Script<ResultArguments, string | null>
}

/** The scripts, with their arguments in the order of their headers. */
export function defineResultScripts (client: RedisClient): ResultScripts {
  const define = <Args, Reply>(name: string, argv: (args: Args) => ScriptArgument[]) =>
    defineScript<Args, Reply>(client, new URL(`scripts/${name}.lua`, import.meta.url), argv)

  return {
    keep: define('keep-result', ({
      meta, ref, ttlMs, mostResults, mostBytes, bytes, pieceCount, head, first, pieces
    }) => [meta, ref, ttlMs, mostResults, mostBytes, bytes, pieceCount, head, first, ...pieces]),
    read: define('read-result', ({ meta, ref, ttlMs }) => [meta, ref, ttlMs])
  }
}

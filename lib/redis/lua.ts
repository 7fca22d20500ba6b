import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Command } from 'ioredis'
import type { RedisClient } from './client.ts'

/**
 * A Lua script as a function of the key that it touches, or of several with one hash tag, so that it works in a
 * cluster, and of named arguments.
 */
export type Script<Args, Reply, Keys extends ScriptKeys = ScriptKeys> = (keys: Keys, args: Args) => Promise<Reply>

type ScriptKeys = string | readonly string[]

export type ScriptArgument = string | number | Buffer

/**
 * The text of a Lua script. A line `--- @include "name"` stands for the file `name.lua`, relative to the file that says
 * so; a file that is included again is left out the second time. Throws when a file cannot be read.
 */
export function readScript (file: URL, included = new Set<string>()): string {
  return readFileSync(file, 'utf8').replace(/^--- @include "(.+)"$/gm, (_, name: string) => {
    const part = new URL(`${name}.lua`, file)
    if (included.has(part.href)) return ''
    included.add(part.href)
    return readScript(part, included)
  })
}

/**
 * A script as a function: EVALSHA, and EVAL where the server does not know the script. `argv` puts the named arguments
 * into the order of the script's header. `Reply` is what the header says that it returns.
 *
 * The first command on a connection is EVAL: none is refused, and so none is overtaken by a later one. A server that
 * has forgotten its scripts since gets the text once more.
 *
 * The client's own `defineCommand` does the same with three promises and a method more for each command.
 */
export function defineScript<Args, Reply, Keys extends ScriptKeys = ScriptKeys> (
  client: RedisClient, file: URL, argv: (args: Args) => ScriptArgument[]
): Script<Args, Reply, Keys> {
  const text = readScript(file)
  const digest = hash('sha1', text)
  const told = new WeakSet<object>()

  class ScriptCommand extends Command {
    override toWritable (socket: object): string | Buffer {
      if (!told.has(socket)) {
        told.add(socket)
        this.name = 'eval'
        this.args[0] = text
      }
      return super.toWritable(socket)
    }
  }

  return (given, args) => {
    const keys = [given].flat() as string[]
    const all = [keys.length, ...keys, ...argv(args)]
    const options = { replyEncoding: 'utf8' } as const
    const answer = client.sendCommand(new ScriptCommand('evalsha', [digest, ...all], options)) as Promise<Reply>
    return answer.catch((error: Error) => {
      if (!error.message.startsWith('NOSCRIPT')) throw error
      return client.sendCommand(new Command('eval', [text, ...all], options)) as Promise<Reply>
    })
  }
}

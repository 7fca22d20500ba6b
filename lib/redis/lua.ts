import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { RedisClient } from './client.ts'

/**
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
 * Gives the client a script as a command: EVALSHA, and EVAL once where the server does not know the script. `argv`
 * puts the named arguments into the order of the script's header. `Reply` is what the header says that it returns.
 */
export function defineScript<Args, Reply, Keys extends ScriptKeys = ScriptKeys> (
  client: RedisClient, file: URL, argv: (args: Args) => ScriptArgument[]
): Script<Args, Reply, Keys> {
  const name = `mcp:${basename(file.pathname, '.lua')}`
  client.defineCommand(name, { lua: readScript(file) })
  // defineCommand adds methods that the client's type does not have.
  const command = Reflect.get(client, name) as (count: number, keys: string[], argv: ScriptArgument[]) => Promise<Reply>
  // A list is one argument here, and the client flattens it: as many arguments of a function would overflow the stack.
  return (given, args) => {
    const keys = [given].flat() as string[]
    return command.call(client, keys.length, keys, argv(args))
  }
}

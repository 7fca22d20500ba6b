import type { Redis } from 'ioredis'

/*
 * What must be atomic in Redis. Each script touches the one key it is given, so all of them work in a cluster.
 * https://redis.io/docs/latest/develop/programmability/eval-intro/
 */

/**
 * KEYS[1] session · ARGV[1] TTL in seconds, '' to leave it alone · ARGV[2] now
 * → {'none'} · {'session', meta, credentials} · {'flask', value} · {'foreign'}
 */
const read = `
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return {'none'} end
if kind == 'string' then return {'flask', redis.call('GET', KEYS[1])} end
if kind ~= 'hash' then return {'foreign'} end
local fields = redis.call('HMGET', KEYS[1], 'meta', 'credentials')
if not fields[1] or not fields[2] then return {'foreign'} end
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[1], 'last_accessed', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return {'session', fields[1], fields[2]}
`

/**
 * KEYS[1] session · ARGV[1] TTL in seconds · ARGV[2] what must be there now as a string, '' for anything · ARGV[3…] fields, values
 * → 1, or 0 when something else is there and nothing was changed
 */
const replace = `
if ARGV[2] ~= '' then
  if redis.call('TYPE', KEYS[1]).ok ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
end
redis.call('DEL', KEYS[1])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
`

/**
 * KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] TTL in seconds · ARGV[3] now · ARGV[4] record of a call, '' for none
 * ARGV[5…] fields, values → 1, or 0 when that session is gone: a write never brings one back, and never goes into another
 * one that was opened under the same id since.
 */
const write = `
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HGET', KEYS[1], 'meta') ~= ARGV[1] then return 0 end
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], 'last_accessed', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'last_call', ARGV[4])
  redis.call('HINCRBY', KEYS[1], 'calls', 1)
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
`

/**
 * KEYS[1] index · ARGV triples: id, the score it was seen with, its new score or '' to remove it → number of entries.
 * An entry that another worker has changed since it was seen is left alone.
 */
const settleIndex = `
for i = 1, #ARGV, 3 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) == tonumber(ARGV[i + 1]) then
    if ARGV[i + 2] == '' then redis.call('ZREM', KEYS[1], ARGV[i])
    else redis.call('ZADD', KEYS[1], ARGV[i + 2], ARGV[i]) end
  end
end
return redis.call('ZCARD', KEYS[1])
`

export type ReadReply = ['none'] | ['foreign'] | ['flask', string] | ['session', string, string]

export interface SessionScripts {
  mcpReadSession: (key: string, ttl: number | '', now: string) => Promise<ReadReply>
  mcpReplaceSession: (key: string, ttl: number, expected: string, ...fields: string[]) => Promise<0 | 1>
  mcpWriteSession: (key: string, meta: string, ttl: number, now: string, call: string, ...fields: string[]) => Promise<0 | 1>
  mcpSettleIndex: (key: string, ...entries: Array<string | number>) => Promise<number>
}

/** Gives the client the scripts as commands: EVALSHA, and EVAL once where the server does not know the script. */
export function defineSessionScripts<Client extends Redis> (client: Client): Client & SessionScripts {
  client.defineCommand('mcpReadSession', { numberOfKeys: 1, lua: read })
  client.defineCommand('mcpReplaceSession', { numberOfKeys: 1, lua: replace })
  client.defineCommand('mcpWriteSession', { numberOfKeys: 1, lua: write })
  client.defineCommand('mcpSettleIndex', { numberOfKeys: 1, lua: settleIndex })
  return client as Client & SessionScripts // defineCommand adds methods that its types cannot tell
}

import type { Redis } from 'ioredis'

/*
 * What must be atomic in Redis. Each script touches the one key it is given, so all of them work in a cluster.
 * https://redis.io/docs/latest/develop/programmability/eval-intro/
 */

/*
 * A script costs what it calls, not what it computes. So the two of a tool call read all that they need with one HMGET, whose error or
 * gaps also tell that there is no session, and set all that changes with one HSET.
 */

/**
 * Places of running calls, in one field of the session: `id until id until …`, times in ms of Redis's own clock. A worker that
 * dies gives nothing back: its places lapse. Defines for the scripts below: `running(text, without)`, the places that have not
 * lapsed, without the one given; `place(id, ms)`, one that holds for so long; `keep(key, list)`, which writes them.
 */
const places = `
local now
local function clock ()
  if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return now
end
local function running (text, without)
  local list = {}
  for id, expires in string.gmatch(text or '', '(%S+) (%d+)') do
    if id ~= without and tonumber(expires) > clock() then list[#list + 1] = id .. ' ' .. expires end
  end
  return list
end
local function place (id, ms) return id .. ' ' .. string.format('%.0f', clock() + ms) end
local function keep (key, list)
  if #list > 0 then redis.call('HSET', key, 'running', table.concat(list, ' '))
  else redis.call('HDEL', key, 'running') end
end
`

/**
 * KEYS[1] session · ARGV[1] TTL in seconds, '' to change nothing · ARGV[2] now · ARGV[3] place to take for a call, '' for none ·
 * ARGV[4] how long it holds without being renewed (ms) · ARGV[5] most places · ARGV[6…] fields to read
 * → {'none'} · {'session', meta, credentials, value of each field or nil …} · {'flask', value} · {'foreign'} · {'busy'}
 */
const read = `${places}
local reply = redis.pcall('HMGET', KEYS[1], 'running', 'meta', 'credentials', unpack(ARGV, 6))
if reply.err or not reply[2] or not reply[3] then
  local kind = redis.call('TYPE', KEYS[1]).ok
  if kind == 'none' then return {'none'} end
  if kind == 'string' then return {'flask', redis.call('GET', KEYS[1])} end
  return {'foreign'}
end
local text = reply[1]
reply[1] = 'session'
if ARGV[1] == '' then return reply end
local changes = {'last_accessed', ARGV[2]}
if ARGV[3] ~= '' then
  local list = running(text)
  if #list >= tonumber(ARGV[5]) then
    reply = {'busy'}
  else
    list[#list + 1] = place(ARGV[3], tonumber(ARGV[4]))
    changes[3], changes[4] = 'running', table.concat(list, ' ')
  end
end
redis.call('HSET', KEYS[1], unpack(changes))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return reply
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
 * KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] TTL in seconds · ARGV[3] place to give back, '' for none · ARGV[4] how many
 * calls to count · ARGV[5…] fields, values → 1, or 0 when that session is gone: a write never brings one back, and never goes into another
 * one that was opened under the same id since.
 */
const write = `${places}
local session = redis.pcall('HMGET', KEYS[1], 'meta', 'running')
if session.err or session[1] ~= ARGV[1] then return 0 end
for first = 5, #ARGV, 1000 do -- in portions: what unpack can take is limited
  redis.call('HSET', KEYS[1], unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if ARGV[4] ~= '0' then redis.call('HINCRBY', KEYS[1], 'calls', ARGV[4]) end
if ARGV[3] ~= '' then keep(KEYS[1], running(session[2], ARGV[3])) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
`

/**
 * KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] field · ARGV[3] what it has now, '' for nothing · ARGV[4] what it is to have
 * → what it has then: that, or something else that it has by now; nil for nothing, and when the session is gone. Leaves the TTL alone.
 */
const exchange = `
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HGET', KEYS[1], 'meta') ~= ARGV[1] then return false end
if (redis.call('HGET', KEYS[1], ARGV[2]) or '') == ARGV[3] then redis.call('HSET', KEYS[1], ARGV[2], ARGV[4]) end
return redis.call('HGET', KEYS[1], ARGV[2])
`

/*
 * Calls that wait for answers: each in a field `q:<token>`, the tokens in their order in the field `questions`. A caller who never answers
 * leaves one behind, so there is a most, and the oldest makes room.
 */

/** KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] token · ARGV[3] the call · ARGV[4] most → 1, or 0 when the session is gone */
const askQuestion = `
local session = redis.pcall('HMGET', KEYS[1], 'meta', 'questions')
if session.err or session[1] ~= ARGV[1] then return 0 end
local tokens = {}
for token in string.gmatch(session[2] or '', '%S+') do tokens[#tokens + 1] = token end
while #tokens >= tonumber(ARGV[4]) do redis.call('HDEL', KEYS[1], 'q:' .. table.remove(tokens, 1)) end
tokens[#tokens + 1] = ARGV[2]
redis.call('HSET', KEYS[1], 'q:' .. ARGV[2], ARGV[3], 'questions', table.concat(tokens, ' '))
return 1
`

/** KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] token → the call, which nobody gets a second time, or nil */
const takeQuestion = `
local session = redis.pcall('HMGET', KEYS[1], 'meta', 'questions', 'q:' .. ARGV[2])
if session.err or session[1] ~= ARGV[1] or not session[3] then return false end
local tokens = {}
for token in string.gmatch(session[2] or '', '%S+') do if token ~= ARGV[2] then tokens[#tokens + 1] = token end end
redis.call('HDEL', KEYS[1], 'q:' .. ARGV[2])
redis.call('HSET', KEYS[1], 'questions', table.concat(tokens, ' '))
return session[3]
`

/** KEYS[1] session · ARGV fields → number of keys removed, and the value of each field or nil, of a session only */
const remove = `
local values = {}
if redis.call('TYPE', KEYS[1]).ok == 'hash' then values = redis.call('HMGET', KEYS[1], unpack(ARGV)) end
return {redis.call('UNLINK', KEYS[1]), unpack(values)}
`

/**
 * KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] place · ARGV[3] how long it holds from now (ms), '' to give it back
 * Leaves the TTL alone.
 */
const renew = `${places}
local session = redis.pcall('HMGET', KEYS[1], 'meta', 'running')
if session.err or session[1] ~= ARGV[1] then return 0 end
local list = running(session[2], ARGV[2])
if ARGV[3] ~= '' then list[#list + 1] = place(ARGV[2], tonumber(ARGV[3])) end
keep(KEYS[1], list)
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

export type ReadReply = ['none'] | ['foreign'] | ['flask', string] | ['session', string, string, ...Array<string | null>] | ['busy']

export interface SessionScripts {
  mcpReadSession: (key: string, ttl: number | '', now: string, place: string, placeMs: number, mostPlaces: number, ...fields: string[]) => Promise<ReadReply>
  mcpReplaceSession: (key: string, ttl: number, expected: string, ...fields: string[]) => Promise<0 | 1>
  mcpWriteSession: (key: string, meta: string, ttl: number, place: string, calls: number, ...fields: string[]) => Promise<0 | 1>
  mcpPlace: (key: string, meta: string, place: string, ms: number | '') => Promise<0 | 1>
  mcpExchangeField: (key: string, meta: string, field: string, now: string, next: string) => Promise<string | null>
  mcpRemoveSession: (key: string, ...fields: string[]) => Promise<[number, ...Array<string | null>]>
  mcpAskQuestion: (key: string, meta: string, token: string, call: string, most: number) => Promise<0 | 1>
  mcpTakeQuestion: (key: string, meta: string, token: string) => Promise<string | null>
  mcpSettleIndex: (key: string, ...entries: Array<string | number>) => Promise<number>
}

/** Gives the client the scripts as commands: EVALSHA, and EVAL once where the server does not know the script. */
export function defineSessionScripts<Client extends Redis> (client: Client): Client & SessionScripts {
  client.defineCommand('mcpReadSession', { numberOfKeys: 1, lua: read })
  client.defineCommand('mcpReplaceSession', { numberOfKeys: 1, lua: replace })
  client.defineCommand('mcpWriteSession', { numberOfKeys: 1, lua: write })
  client.defineCommand('mcpPlace', { numberOfKeys: 1, lua: renew })
  client.defineCommand('mcpExchangeField', { numberOfKeys: 1, lua: exchange })
  client.defineCommand('mcpRemoveSession', { numberOfKeys: 1, lua: remove })
  client.defineCommand('mcpAskQuestion', { numberOfKeys: 1, lua: askQuestion })
  client.defineCommand('mcpTakeQuestion', { numberOfKeys: 1, lua: takeQuestion })
  client.defineCommand('mcpSettleIndex', { numberOfKeys: 1, lua: settleIndex })
  return client as Client & SessionScripts // defineCommand adds methods that its types cannot tell
}

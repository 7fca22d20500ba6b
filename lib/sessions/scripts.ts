import type { RedisClient } from '../redis/client.ts'

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
 * Defines `expire(key, ttl, ends, now)`, which restarts the idle TTL (s), but never beyond the end of the session's whole lifetime; times in ms
 * of the worker's clock, because one that is days away need not be exact, and asking for Redis's own costs a call. And `seen(key)`, which
 * says what is there: a text that is the same as long as it is.
 */
const common = `
local function expire (key, ttl, ends, now)
  if ends and tonumber(ends) < tonumber(now) + ttl * 1000 then redis.call('PEXPIREAT', key, ends)
  else redis.call('EXPIRE', key, ttl) end
end
local function seen (key)
  local kind = redis.call('TYPE', key).ok
  if kind == 'none' then return '' end
  if kind == 'string' then return 'string:' .. redis.call('GET', key) end
  if kind == 'hash' then return 'hash:' .. (redis.call('HGET', key, 'meta') or '') end
  return kind
end
`

/**
 * KEYS[1] session · ARGV[1] TTL in seconds, '' to change nothing · ARGV[2] now · ARGV[3] now (ms) · ARGV[4] hash of the token that the
 * session must have, '' for any · ARGV[5] place to take for a call, '' for none · ARGV[6] how long it holds without being renewed (ms) ·
 * ARGV[7] most places · ARGV[8…] fields to read
 * → {'none'} · {'session', meta, credentials, end of its lifetime or nil, value of each field or nil …} · {'other', what is there} · {'busy'}
 *
 * A wrong token is answered before anything else is read: as soon as an unknown session is.
 */
const read = `${places}${common}
if ARGV[4] ~= '' and redis.pcall('HGET', KEYS[1], 'token') ~= ARGV[4] then return {'none'} end
local reply = redis.pcall('HMGET', KEYS[1], 'running', 'meta', 'credentials', 'ends', unpack(ARGV, 8))
if reply.err or not reply[2] or not reply[3] then
  local there = seen(KEYS[1])
  if there == '' then return {'none'} end
  return {'other', there}
end
local text = reply[1]
reply[1] = 'session'
if ARGV[1] == '' then return reply end
local ends = reply[4]
local changes = {'last_accessed', ARGV[2]}
if ARGV[5] ~= '' then
  local list = running(text)
  if #list >= tonumber(ARGV[7]) then
    reply = {'busy'}
  else
    list[#list + 1] = place(ARGV[5], tonumber(ARGV[6]))
    changes[3], changes[4] = 'running', table.concat(list, ' ')
  end
end
redis.call('HSET', KEYS[1], unpack(changes))
expire(KEYS[1], ARGV[1], ends, ARGV[3])
return reply
`

/**
 * KEYS[1] session · ARGV[1] TTL in seconds · ARGV[2] now (ms) · ARGV[3] end of its lifetime (ms), '' for none · ARGV[4] what must be there
 * now, as the script above says it, '' for nothing · ARGV[5…] fields, values → 1, or 0 when something else is there and nothing was changed
 */
const replace = `${common}
if seen(KEYS[1]) ~= ARGV[4] then return 0 end
redis.call('DEL', KEYS[1])
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
local ends = ARGV[3] ~= '' and ARGV[3]
if ends then redis.call('HSET', KEYS[1], 'ends', ends) end
expire(KEYS[1], ARGV[1], ends, ARGV[2])
return 1
`

/**
 * KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] TTL in seconds · ARGV[3] now (ms) · ARGV[4] place to give back, '' for none ·
 * ARGV[5] how many calls to count · ARGV[6] most bytes of cached values, names included · ARGV[7] how many of them · ARGV[8] how many of the
 * following pairs are not cached values · ARGV[9…] fields, values
 * → {1, each value that did not fit, by its field …}, or {0} when that session is gone: a write never brings one back, and never goes into
 * another one that was opened under the same id since. A value that does not fit takes the older one of its name along, which is no longer so.
 */
const write = `${places}${common}
local session = redis.pcall('HMGET', KEYS[1], 'meta', 'running', 'bytes', 'ends')
if session.err or session[1] ~= ARGV[1] then return {0} end
local reply, changes, bytes = {1}, {}, tonumber(session[3] or 0)
local first = 9 + 2 * ARGV[8]
for i = 9, first - 1 do changes[#changes + 1] = ARGV[i] end
for i = first, #ARGV, 2 do
  local field, text = ARGV[i], ARGV[i + 1]
  local before = redis.call('HSTRLEN', KEYS[1], field)
  if before > 0 then bytes = bytes - #field - before end
  if bytes + #field + #text <= tonumber(ARGV[6]) and (before > 0 or redis.call('HLEN', KEYS[1]) + #changes / 2 < tonumber(ARGV[7])) then
    changes[#changes + 1] = field
    changes[#changes + 1] = text
    bytes = bytes + #field + #text
  else
    if before > 0 then redis.call('HDEL', KEYS[1], field) end
    reply[#reply + 1] = field
  end
end
if first <= #ARGV then
  changes[#changes + 1] = 'bytes'
  changes[#changes + 1] = string.format('%.0f', math.max(bytes, 0))
end
for from = 1, #changes, 1000 do -- in portions: what unpack can take is limited
  redis.call('HSET', KEYS[1], unpack(changes, from, math.min(from + 999, #changes)))
end
if ARGV[5] ~= '0' then redis.call('HINCRBY', KEYS[1], 'calls', ARGV[5]) end
if ARGV[4] ~= '' then keep(KEYS[1], running(session[2], ARGV[4])) end
expire(KEYS[1], ARGV[2], session[4], ARGV[3])
return reply
`

/**
 * KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] field · ARGV[3] what it has now, '' for nothing · ARGV[4] what it is to have
 * → what it has then: that, or something else that it has by now; nil for nothing, and when the session is gone. Leaves the TTL alone.
 */
const exchange = `
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HGET', KEYS[1], 'meta') ~= ARGV[1] then return false end
if (redis.call('HGET', KEYS[1], ARGV[2]) or '') == ARGV[3] then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
  if string.sub(ARGV[2], 1, 2) == 'p:' then redis.call('HINCRBY', KEYS[1], 'bytes', #ARGV[4] - #ARGV[3]) end
end
return redis.call('HGET', KEYS[1], ARGV[2])
`

/*
 * Calls that wait for answers: each in a field `q:<token>`, the tokens in their order in the field `questions`. A caller who never answers
 * leaves one behind, so there is a most, and the oldest makes room.
 */

/**
 * KEYS[1] session · ARGV[1] the meta it was loaded with · ARGV[2] token · ARGV[3] the call · ARGV[4] most calls · ARGV[5] most bytes of them
 * → 1, 0 when the session is gone, or -1 when the call is larger than all of them may be
 */
const askQuestion = `
local session = redis.pcall('HMGET', KEYS[1], 'meta', 'questions')
if session.err or session[1] ~= ARGV[1] then return 0 end
if #ARGV[3] > tonumber(ARGV[5]) then return -1 end
local tokens, bytes = {}, #ARGV[3]
for token in string.gmatch(session[2] or '', '%S+') do
  tokens[#tokens + 1] = token
  bytes = bytes + redis.call('HSTRLEN', KEYS[1], 'q:' .. token)
end
while #tokens > 0 and (#tokens >= tonumber(ARGV[4]) or bytes > tonumber(ARGV[5])) do
  local oldest = 'q:' .. table.remove(tokens, 1)
  bytes = bytes - redis.call('HSTRLEN', KEYS[1], oldest)
  redis.call('HDEL', KEYS[1], oldest)
end
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

/**
 * KEYS[1] session · ARGV[1] hash of the token that the session must have, '' for any · ARGV[2…] fields
 * → number of keys removed, and of a session its meta and the value of each field or nil
 */
const remove = `
if ARGV[1] ~= '' and redis.pcall('HGET', KEYS[1], 'token') ~= ARGV[1] then return {0} end
local values = redis.pcall('HMGET', KEYS[1], 'meta', unpack(ARGV, 2))
if values.err then values = {} end
return {redis.call('UNLINK', KEYS[1]), unpack(values, 1, #ARGV)}
`

/**
 * KEYS[1] session · ARGV[1] the meta it was loaded with
 * → nil when it is gone, else {idle time left (ms), end of its lifetime or nil, bytes of its cached values or nil, how many calls it had,
 * record of the last one or nil, name and bytes of each cached value …}. Leaves the TTL alone.
 */
const describe = `
local session = redis.pcall('HMGET', KEYS[1], 'meta', 'ends', 'bytes', 'calls', 'last_call')
if session.err or session[1] ~= ARGV[1] then return false end
session[1] = redis.call('PTTL', KEYS[1])
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 'p:' then
    session[#session + 1] = string.sub(field, 3)
    session[#session + 1] = redis.call('HSTRLEN', KEYS[1], field)
  end
end
return session
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

export type ReadReply = ['none'] | ['other', string] | ['session', string, string, string | null, ...Array<string | null>] | ['busy']
export type Description = [pttl: number, ends: string | null, bytes: string | null, calls: string | null, lastCall: string | null, ...Array<string | number>]

export interface SessionScripts {
  mcpReadSession: (key: string, ttl: number | '', now: string, nowMs: number, token: string, place: string, placeMs: number, mostPlaces: number, ...fields: string[]) => Promise<ReadReply>
  mcpReplaceSession: (key: string, ttl: number, nowMs: number, ends: number | '', expected: string, ...fields: string[]) => Promise<0 | 1>
  mcpWriteSession: (
    key: string, meta: string, ttl: number, nowMs: number, place: string, calls: number, mostBytes: number, mostFields: number, plainPairs: number, ...fields: string[]
  ) => Promise<[0 | 1, ...string[]]>
  mcpPlace: (key: string, meta: string, place: string, ms: number | '') => Promise<0 | 1>
  mcpExchangeField: (key: string, meta: string, field: string, now: string, next: string) => Promise<string | null>
  mcpRemoveSession: (key: string, token: string, ...fields: string[]) => Promise<[number, ...Array<string | null>]>
  mcpDescribeSession: (key: string, meta: string) => Promise<Description | null>
  mcpAskQuestion: (key: string, meta: string, token: string, call: string, mostCalls: number, mostBytes: number) => Promise<-1 | 0 | 1>
  mcpTakeQuestion: (key: string, meta: string, token: string) => Promise<string | null>
  mcpSettleIndex: (key: string, ...entries: Array<string | number>) => Promise<number>
}

const scripts = {
  mcpReadSession: read,
  mcpReplaceSession: replace,
  mcpWriteSession: write,
  mcpPlace: renew,
  mcpExchangeField: exchange,
  mcpRemoveSession: remove,
  mcpDescribeSession: describe,
  mcpAskQuestion: askQuestion,
  mcpTakeQuestion: takeQuestion,
  mcpSettleIndex: settleIndex
} satisfies Record<keyof SessionScripts, string>

/** Gives the client the scripts as commands: EVALSHA, and EVAL once where the server does not know the script. */
export function defineSessionScripts<Client extends RedisClient> (client: Client): Client & SessionScripts {
  for (const [name, lua] of Object.entries(scripts)) client.defineCommand(name, { numberOfKeys: 1, lua })
  return client as Client & SessionScripts // defineCommand adds methods that its types cannot tell
}

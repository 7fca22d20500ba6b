--[[
  Takes a call that waits for answers, so that it goes on once. Leaves the session's TTL alone.

  KEYS[1]  session
  ARGV[1]  `meta` that the session was loaded with
  ARGV[2]  token

  Returns the call, or nil when none waits under the token or the session is gone.
]]
local key = KEYS[1]
local meta, token = ARGV[1], ARGV[2]

local session = redis.pcall('HMGET', key, 'meta', 'questions', 'q:' .. token)
if session.err or session[1] ~= meta then return false end
local call = session[3]
if not call then return false end

local tokens = {}
for waiting in string.gmatch(session[2] or '', '%S+') do
  if waiting ~= token then tokens[#tokens + 1] = waiting end
end
redis.call('HDEL', key, 'q:' .. token)
redis.call('HSET', key, 'questions', table.concat(tokens, ' '))
return call
